# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The simulated robot and the policy node, for a closer look with the ROS tools.

ros2 launch spec_vla_ros demo.launch.py
ros2 topic pub --once /instruction std_msgs/msg/String \
    '{data: pick up the blue block}'

A new scene: ros2 service call /reset spec_vla_ros/srv/ResetEpisode '{seed: 1}'
"""

from launch import LaunchDescription
from spec_vla_ros.ros.startup.launching import Entities, Given, described, policy, robot
from spec_vla_ros.settings.launch import PASSED_ON


def generate_launch_description() -> LaunchDescription:
    """Return the arguments and both nodes."""
    return described('demo', _nodes)


def _nodes(given: Given) -> Entities:
    return [robot('sim_robot', given), policy(given, PASSED_ON)]
