# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The simulated robot and the policy node, for a closer look with the ROS tools.

ros2 launch spec_vla_ros demo.launch.py
ros2 topic pub --once /instruction std_msgs/msg/String \
    '{data: pick up the blue block}'

A new scene: ros2 service call /reset spec_vla_ros/srv/ResetEpisode '{seed: 1}'
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
from spec_vla_ros.ros.parameter_files import checked_file
from spec_vla_ros.settings.launch import DEMO_ARGUMENTS, PASSED_ON
from spec_vla_ros.settings.nodes import SimSettings

SHARE = get_package_share_directory('spec_vla_ros')
NAME = 'sim_robot'


def generate_launch_description() -> LaunchDescription:
    """Return the arguments and both nodes."""
    arguments = [
        DeclareLaunchArgument(name, **argument.declared(share=SHARE))
        for name, argument in DEMO_ARGUMENTS.items()
    ]
    policy = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(f'{SHARE}/launch/spec_vla.launch.py'),
        launch_arguments=[(name, LaunchConfiguration(name)) for name in PASSED_ON],
    )
    return LaunchDescription([*arguments, OpaqueFunction(function=_robot), policy])


def _robot(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    given = {name: LaunchConfiguration(name).perform(context) for name in DEMO_ARGUMENTS}
    transport = given['image_transport']
    override = {'image_transport': ParameterValue(transport, value_type=str)}
    return [
        Node(
            package='spec_vla_ros',
            executable='sim_robot',
            name=NAME,
            namespace=given['namespace'],
            parameters=[
                checked_file(
                    given['sim_params_file'],
                    node=NAME,
                    namespace=given['namespace'],
                    settings=SimSettings,
                ),
                *([override] if transport else []),
            ],
            arguments=['--end-with-parent'],
            output='screen',
            on_exit=_end,
        )
    ]


def _end(event: Event, context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """End the launch, unless it is ending already."""
    return [] if context.is_shutdown else [Shutdown(reason='the simulated robot has ended')]
