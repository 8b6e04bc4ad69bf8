# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Measures running nodes, for development. Nothing that runs on a robot imports it."""
