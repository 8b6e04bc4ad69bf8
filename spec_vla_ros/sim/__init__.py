# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Simulated robots with scripted experts: the tabletop, and LIBERO in `libero`."""

import os
import sys

if sys.platform == 'linux':
    # MuJoCo looks for a display unless this is set before it is imported.
    os.environ.setdefault('MUJOCO_GL', 'egl')
