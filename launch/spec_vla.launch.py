# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The policy node on a robot: started, configured and activated.

ros2 launch spec_vla_ros spec_vla.launch.py checkpoint:=/path/to/checkpoint dry_run:=true \
    image_topic:=/camera/color/image_raw command_topic:=/servo_node/delta_twist_cmds

Its arguments: spec_vla_ros/settings/launch.py, or `ros2 launch --show-args`.
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
    Shutdown,
)
from launch.conditions import IfCondition
from launch.events import matches_action
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import LifecycleNode
from launch_ros.event_handlers import OnStateTransition
from launch_ros.events.lifecycle import ChangeState
from launch_ros.parameter_descriptions import ParameterValue
from lifecycle_msgs.msg import Transition

from launch import Event, LaunchContext, LaunchDescription, LaunchDescriptionEntity
from spec_vla_ros.ros.parameter_files import checked_file
from spec_vla_ros.settings.launch import POLICY_ARGUMENTS, camera, is_true, parameters_given
from spec_vla_ros.settings.nodes import PolicySettings

SHARE = get_package_share_directory('spec_vla_ros')
NAME = 'spec_vla'


def generate_launch_description() -> LaunchDescription:
    """Return the arguments, the node, and the events that bring it up."""
    arguments = [
        DeclareLaunchArgument(name, **argument.declared(share=SHARE))
        for name, argument in POLICY_ARGUMENTS.items()
    ]
    return LaunchDescription([*arguments, OpaqueFunction(function=_bring_up)])


def _bring_up(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    given = {name: LaunchConfiguration(name).perform(context) for name in POLICY_ARGUMENTS}
    image_topic, given['image_transport'] = camera(given)
    overrides = {
        name: ParameterValue(value, value_type=type(value))
        for name, value in parameters_given(given).items()
    }
    file = checked_file(
        given['params_file'], node=NAME, namespace=given['namespace'], settings=PolicySettings
    )
    names = {a.name: given[key] for key, a in POLICY_ARGUMENTS.items() if a.name}
    node = LifecycleNode(
        package='spec_vla_ros',
        executable='policy_node',
        name=NAME,
        namespace=given['namespace'],
        parameters=[file, *([overrides] if overrides else [])],
        remappings=[
            *{**names, 'image': image_topic}.items(),
            ('image/compressed', f'{image_topic}/compressed'),
        ],
        arguments=['--end-with-parent'],  # told to terminate, the launch system leaves nodes alone
        ros_arguments=['--enclave', given['enclave']] if given['enclave'] else None,
        output='screen',
        on_exit=_end,
    )

    def transition(transition_id: int) -> EmitEvent:
        return EmitEvent(
            event=ChangeState(
                lifecycle_node_matcher=matches_action(node), transition_id=transition_id
            ),
            condition=IfCondition(str(is_true(given['autostart']))),
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


def _end(event: Event, context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """End the launch, unless it is ending already."""
    return [] if context.is_shutdown else [Shutdown(reason='the policy node has ended')]


def _recorder(given: dict[str, str]) -> list[LaunchDescriptionEntity]:
    """Return the process that records, if it is wanted; RuntimeError where it is not installed."""
    if not is_true(given['record']):
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
