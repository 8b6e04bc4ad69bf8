# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Two arms, each with a camera, an instruction and a policy node of its own; one emergency stop.

ros2 launch examples/two_arms.launch.py checkpoint:=/path/to/checkpoint unnorm_key:=bridge_orig \
    observation_recipe:=bridge
ros2 topic pub --once /left_arm/instruction std_msgs/msg/String \
    '{data: pick up the red block}'

Each node lives in the namespace of its arm, so all its topics do: /left_arm/action,
/left_arm/status. Names that begin with / are shared by both, or belong to somebody else.
"""

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch.actions import DeclareLaunchArgument, GroupAction, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration

from launch import LaunchDescription

SHARE = get_package_share_directory('spec_vla_ros')
HERE = Path(__file__).parent

ARMS = {
    'left_arm': {
        'image_topic': '/left_camera/color/image_raw',
        'command_topic': '/left_servo/delta_twist_cmds',
        'command_frame': 'left_base_link',
        'params_file': str(HERE / 'left_arm.yaml'),
    },
    'right_arm': {
        'image_topic': '/right_camera/color/image_raw',
        'command_topic': '/right_servo/delta_twist_cmds',
        'command_frame': 'right_base_link',
        'params_file': str(HERE / 'right_arm.yaml'),
    },
}
"""Namespace of an arm -> arguments of spec_vla.launch.py; what an arm may do is in its file."""

SHARED = {
    'checkpoint': 'Its folder',
    'unnorm_key': 'Its norm stats, where it has several',
    'observation_recipe': "What it was trained on: 'plain', 'libero', 'bridge', a YAML file",
    'device': "'cpu', 'cuda:1'",
}
"""Arguments that both arms are given -> what they mean; empty: as spec_vla.launch.py has it."""


def generate_launch_description() -> LaunchDescription:
    """Return the arguments, and the policy node of each arm."""
    return LaunchDescription(
        [
            *(
                DeclareLaunchArgument(name, default_value='', description=meaning)
                for name, meaning in SHARED.items()
            ),
            *(_arm(name, arguments) for name, arguments in ARMS.items()),
        ]
    )


def _arm(namespace: str, arguments: dict[str, str]) -> GroupAction:
    """Return a node with its arguments, which a group keeps from the other arm."""
    include = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(f'{SHARE}/launch/spec_vla.launch.py'),
        launch_arguments=[
            *((name, LaunchConfiguration(name)) for name in SHARED),
            ('namespace', namespace),
            ('emergency_stop_topic', '/emergency_stop'),
            *arguments.items(),
        ],
    )
    return GroupAction([include])
