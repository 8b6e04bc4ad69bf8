# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The simulated robot and the policy node, for a closer look with the ROS tools.

ros2 launch spec_vla_ros demo.launch.py
ros2 topic pub --once /instruction std_msgs/msg/String \
    '{data: pick up the red block}'

A new scene: ros2 service call /reset spec_vla_ros/srv/ResetEpisode '{seed: 1}'
"""

from ament_index_python.packages import get_package_share_directory
from launch.actions import (
    DeclareLaunchArgument,
    IncludeLaunchDescription,
    OpaqueFunction,
)
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from spec_vla_ros.ros.parameter_files import existing_file

SHARE = get_package_share_directory('spec_vla_ros')

ARGUMENTS = {
    'model': ('', 'Folder of an OpenVLA checkpoint; empty: the shipped tabletop policy'),
    'device': ('', "Where the policy runs: 'auto', 'cpu', 'cuda', 'cuda:1', ..."),
    'image_transport': ('', "'raw' or 'compressed'; empty: as in the parameter files"),
    'namespace': ('', 'Namespace of both nodes'),
    'record': ('false', 'Record every topic to MCAP; needs ros2bag and rosbag2_storage_mcap'),
    'record_folder': ('', 'Where the recording goes; empty: a new folder named by the time'),
    'params_file': (f'{SHARE}/config/spec_vla.yaml', 'Parameters of the policy node'),
    'sim_params_file': (f'{SHARE}/config/sim_robot.yaml', 'Parameters of the simulated robot'),
}

FOR_POLICY = (
    'model',
    'device',
    'image_transport',
    'namespace',
    'params_file',
    'record',
    'record_folder',
)
"""Arguments that are passed on to spec_vla.launch.py."""


def generate_launch_description() -> LaunchDescription:
    """Return the arguments and both nodes."""
    arguments = [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for name, (default, description) in ARGUMENTS.items()
    ]
    policy = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(f'{SHARE}/launch/spec_vla.launch.py'),
        launch_arguments=[(name, LaunchConfiguration(name)) for name in FOR_POLICY],
    )
    return LaunchDescription([*arguments, OpaqueFunction(function=_robot), policy])


def _robot(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    given = {name: LaunchConfiguration(name).perform(context) for name in ARGUMENTS}
    transport = given['image_transport']
    override = {'image_transport': ParameterValue(transport, value_type=str)}
    return [
        Node(
            package='spec_vla_ros',
            executable='sim_robot',
            name='sim_robot',
            namespace=given['namespace'],
            parameters=[
                existing_file(given['sim_params_file']),
                *([override] if transport else []),
            ],
            output='screen',
        )
    ]
