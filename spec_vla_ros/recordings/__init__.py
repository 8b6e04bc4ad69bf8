# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Reads observations and messages from users' recordings. Needs no ROS."""
