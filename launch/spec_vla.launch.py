# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The policy node on a robot: started, configured and activated.

ros2 launch spec_vla_ros spec_vla.launch.py model:=/path/to/checkpoint \
    image_topic:=/camera/color/image_raw command_topic:=/servo_node/delta_twist_cmds
"""

from ament_index_python.packages import (
    PackageNotFoundError,
    get_package_prefix,
    get_package_share_directory,
)
from launch.actions import (
    DeclareLaunchArgument,
    EmitEvent,
    ExecuteProcess,
    OpaqueFunction,
    RegisterEventHandler,
)
from launch.conditions import IfCondition
from launch.events import matches_action
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import LifecycleNode
from launch_ros.event_handlers import OnStateTransition
from launch_ros.events.lifecycle import ChangeState
from launch_ros.parameter_descriptions import ParameterValue
from lifecycle_msgs.msg import Transition

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from spec_vla_ros.ros.parameter_files import existing_file

SHARE = get_package_share_directory('spec_vla_ros')

ARGUMENTS = {
    'model': ('', 'Folder of an OpenVLA checkpoint'),
    'unnorm_key': ('', 'Norm stats to un-normalise actions with'),
    'observation_recipe': (
        '',
        "Trained on: 'plain', 'libero', 'bridge', or a YAML file",
    ),
    'drafter': ('', "Folder of the checkpoint's drafter"),
    'decoding_mode': ('', "'auto', 'autoregressive', 'strict' or 'relaxed'"),
    'device': ('', "Where the policy runs: 'auto', 'cpu', 'cuda', 'cuda:1', ..."),
    'image_transport': ('', "'raw' or 'compressed'"),
    'frame': ('', 'Frame of the commands'),
    'command_type': ('', "'twist', 'pose' or 'message'"),
    'gripper_type': ('', "'position', 'action' or 'none'"),
    'image_topic': ('image', 'Camera images; for compressed ones the name before /compressed'),
    'instruction_topic': ('instruction', 'What to do, std_msgs/String'),
    'command_topic': ('delta_twist_cmds', 'Where velocities go'),
    'target_topic': ('pose_target', 'Where target poses go, with command_type pose'),
    'gripper_topic': ('gripper_command', 'Where gripper positions go'),
    'gripper_action': ('gripper_cmd', 'Where gripper goals go, with gripper_type action'),
    'pose_topic': ('end_effector_pose', 'Where the end effector is, geometry_msgs/PoseStamped'),
    'emergency_stop_topic': ('emergency_stop', 'True presses the emergency stop, std_msgs/Bool'),
    'diagnostics_topic': ('/diagnostics', 'Health and figures, diagnostic_msgs/DiagnosticArray'),
    'namespace': ('', 'Namespace of the node and of its relative topics'),
    'params_file': (f'{SHARE}/config/spec_vla.yaml', 'Parameters of the node'),
    'autostart': ('true', 'Configure and activate at once'),
    'record': ('false', 'Record every topic to MCAP; needs ros2bag and rosbag2_storage_mcap'),
    'record_folder': ('', 'Where the recording goes; empty: a new folder named by the time'),
}

PARAMETERS = {
    'model': 'checkpoint',
    'unnorm_key': 'unnorm_key',
    'observation_recipe': 'observation_recipe',
    'drafter': 'drafter',
    'decoding_mode': 'decoding_mode',
    'device': 'device',
    'image_transport': 'image_transport',
    'frame': 'command_frame',
    'command_type': 'command_type',
    'gripper_type': 'gripper_type',
}
"""Which argument sets which parameter; an empty one leaves it to the parameter file."""


def generate_launch_description() -> LaunchDescription:
    """Return the arguments, the node, and the events that bring it up."""
    arguments = [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for name, (default, description) in ARGUMENTS.items()
    ]
    return LaunchDescription([*arguments, OpaqueFunction(function=_bring_up)])


def _bring_up(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    given = {name: LaunchConfiguration(name).perform(context) for name in ARGUMENTS}
    overrides = {
        parameter: ParameterValue(given[argument], value_type=str)
        for argument, parameter in PARAMETERS.items()
        if given[argument]
    }
    node = LifecycleNode(
        package='spec_vla_ros',
        executable='policy_node',
        name='spec_vla',
        namespace=given['namespace'],
        parameters=[existing_file(given['params_file']), *([overrides] if overrides else [])],
        remappings=[
            ('image', given['image_topic']),
            ('image/compressed', f'{given["image_topic"]}/compressed'),
            ('instruction', given['instruction_topic']),
            ('delta_twist_cmds', given['command_topic']),
            ('pose_target', given['target_topic']),
            ('gripper_command', given['gripper_topic']),
            ('gripper_cmd', given['gripper_action']),
            ('end_effector_pose', given['pose_topic']),
            ('emergency_stop', given['emergency_stop_topic']),
            ('diagnostics', given['diagnostics_topic']),
        ],
        output='screen',
    )

    def transition(transition_id: int) -> EmitEvent:
        return EmitEvent(
            event=ChangeState(
                lifecycle_node_matcher=matches_action(node), transition_id=transition_id
            ),
            condition=IfCondition(given['autostart']),
        )

    activate_once_configured = OnStateTransition(
        target_lifecycle_node=node,
        start_state='configuring',
        goal_state='inactive',
        entities=[transition(Transition.TRANSITION_ACTIVATE)],
        handle_once=True,  # what is configured later is activated by who configures it
    )
    return [
        *_recorder(given),
        RegisterEventHandler(activate_once_configured),
        node,
        transition(Transition.TRANSITION_CONFIGURE),
    ]


def _recorder(given: dict[str, str]) -> list[LaunchDescriptionEntity]:
    """Return the process that records, if it is wanted; RuntimeError where it is not installed."""
    if given['record'].lower() not in ('true', '1'):
        return []
    try:
        get_package_prefix('ros2bag')
        get_package_prefix('rosbag2_storage_mcap')
    except PackageNotFoundError as missing:
        raise RuntimeError(
            f'record:=true needs ros2bag and rosbag2_storage_mcap ({missing}): install what is '
            'missing, or launch with record:=false'
        ) from missing
    folder = ['--output', given['record_folder']] if given['record_folder'] else []
    command = ['ros2', 'bag', 'record', '--storage', 'mcap', '--all', *folder]
    return [ExecuteProcess(cmd=command, output='screen')]
