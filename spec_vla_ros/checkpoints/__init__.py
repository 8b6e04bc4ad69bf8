# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Checkpoints that come with the package, in OpenVLA's layout on disk."""

from pathlib import Path

TABLETOP = Path(__file__).parent / 'tabletop'
"""The small policy for the simulated tabletop."""
