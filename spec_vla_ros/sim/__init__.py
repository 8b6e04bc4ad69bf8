# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The simulated tabletop: scene, environment and scripted expert. MuJoCo and numpy only."""

import os
import sys

if sys.platform == 'linux':
    # Drawn off screen; MuJoCo would look for a display unless told so before it is imported.
    os.environ.setdefault('MUJOCO_GL', 'egl')
