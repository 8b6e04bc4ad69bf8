# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The ROS layer: the only modules that import rclpy and ROS messages."""
