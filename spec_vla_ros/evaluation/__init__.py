# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Evaluates policies in closed loop, in a simulator, and on recordings. Needs no ROS."""
