# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""LIBERO's robot and the policy node, for a closer look with the ROS tools.

ros2 launch spec_vla_ros libero.launch.py checkpoint:=/path/to/checkpoint suite:=libero_object
ros2 service call /reset spec_vla_ros/srv/ResetEpisode \
    '{instruction: pick up the milk and place it in the basket, initial_state: 0}'
ros2 topic pub --once /instruction std_msgs/msg/String \
    '{data: pick up the milk and place it in the basket}'

What is started beside it must follow the time on /clock: --ros-args -p use_sim_time:=true
"""

from ament_index_python.packages import get_package_share_directory
from launch.actions import (
    DeclareLaunchArgument,
    IncludeLaunchDescription,
    OpaqueFunction,
    Shutdown,
)
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from launch import Event, LaunchContext, LaunchDescription, LaunchDescriptionEntity
from spec_vla_ros.checkpoints import libero_checkpoint
from spec_vla_ros.models.recipes import PLAIN, libero_rotation, read_recipe
from spec_vla_ros.ros.parameter_files import checked_file
from spec_vla_ros.settings.launch import LIBERO_ARGUMENTS, LIBERO_PASSED_ON
from spec_vla_ros.settings.nodes import LiberoRobotSettings

SHARE = get_package_share_directory('spec_vla_ros')
NAME = 'libero_robot'


def generate_launch_description() -> LaunchDescription:
    """Return the arguments and both nodes."""
    arguments = [
        DeclareLaunchArgument(name, **argument.declared(share=SHARE))
        for name, argument in LIBERO_ARGUMENTS.items()
    ]
    return LaunchDescription([*arguments, OpaqueFunction(function=_nodes)])


def _nodes(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    given = {name: LaunchConfiguration(name).perform(context) for name in LIBERO_ARGUMENTS}
    try:
        given['checkpoint'] = given['checkpoint'] or str(libero_checkpoint(given['suite']))
    except ValueError as missing:
        raise RuntimeError(f'checkpoint:= is needed: {missing}') from missing
    recipe = read_recipe(given['observation_recipe'] or PLAIN)
    turn = given['image_rotation'] or libero_rotation(recipe)
    overrides = {
        'suite': ParameterValue(given['suite'], value_type=str),
        'image_rotation': ParameterValue(int(turn), value_type=int),
    }
    if given['image_transport']:
        overrides['image_transport'] = ParameterValue(given['image_transport'], value_type=str)
    file = checked_file(
        given['robot_params_file'],
        node=NAME,
        namespace=given['namespace'],
        settings=LiberoRobotSettings,
    )
    robot = Node(
        package='spec_vla_ros',
        executable='libero_robot',
        name=NAME,
        namespace=given['namespace'],
        parameters=[file, overrides],
        arguments=['--end-with-parent'],
        output='screen',
        on_exit=_end,
    )
    policy = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(f'{SHARE}/launch/spec_vla.launch.py'),
        launch_arguments=[(name, given[name]) for name in LIBERO_PASSED_ON],
    )
    return [robot, policy]


def _end(event: Event, context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """End the launch, unless it is ending already."""
    return [] if context.is_shutdown else [Shutdown(reason="LIBERO's robot has ended")]
