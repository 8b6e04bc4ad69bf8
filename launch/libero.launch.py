# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""LIBERO's robot and the policy node, for a closer look with the ROS tools.

ros2 launch spec_vla_ros libero.launch.py checkpoint:=/path/to/checkpoint suite:=libero_object
ros2 service call /reset spec_vla_ros/srv/ResetEpisode \
    '{instruction: pick up the milk and place it in the basket, initial_state: 0}'
ros2 topic pub --once /instruction std_msgs/msg/String \
    '{data: pick up the milk and place it in the basket}'

What is started beside it must follow the time on /clock: --ros-args -p use_sim_time:=true
"""

from launch import LaunchDescription
from spec_vla_ros.checkpoints import libero_checkpoint
from spec_vla_ros.models.recipes import PLAIN, libero_rotation, read_recipe
from spec_vla_ros.ros.startup.launching import Entities, Given, described, policy, robot
from spec_vla_ros.settings.launch import LIBERO_PASSED_ON


def generate_launch_description() -> LaunchDescription:
    """Return the arguments and both nodes."""
    return described('libero', _nodes)


def _nodes(given: Given) -> Entities:
    try:
        checkpoint = given['checkpoint'] or str(libero_checkpoint(given['suite']))
    except ValueError as missing:
        raise RuntimeError(f'checkpoint:= is needed: {missing}') from missing
    recipe = read_recipe(given['observation_recipe'] or PLAIN)
    turn = int(given['image_rotation'] or libero_rotation(recipe))
    return [
        robot('libero_robot', given, suite=given['suite'], image_rotation=turn),
        policy({**given, 'checkpoint': checkpoint}, LIBERO_PASSED_ON),
    ]
