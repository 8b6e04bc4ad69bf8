# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Measures what ROS and the node add to the model's time; run by `spec-vla bench --ros`."""
