# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The policy node on a robot: started, configured and activated.

ros2 launch spec_vla_ros spec_vla.launch.py checkpoint:=/path/to/checkpoint dry_run:=true \
    image_topic:=/camera/color/image_raw command_topic:=/servo_node/delta_twist_cmds

Its arguments: spec_vla_ros/settings/launch.py, or `ros2 launch --show-args`.
"""

from pathlib import Path

from ament_index_python.packages import PackageNotFoundError, get_package_prefix
from launch.actions import EmitEvent, ExecuteProcess, RegisterEventHandler
from launch.conditions import IfCondition
from launch.events import matches_action
from launch_ros.actions import LifecycleNode
from launch_ros.event_handlers import OnStateTransition
from launch_ros.events.lifecycle import ChangeState
from lifecycle_msgs.msg import Transition

from launch import LaunchDescription
from spec_vla_ros.ros.startup.launching import Entities, Given, described, ending, of_a_node
from spec_vla_ros.settings.launch import POLICY_ARGUMENTS, camera, is_true, parameters_given


def generate_launch_description() -> LaunchDescription:
    """Return the arguments, the node, and the events that bring it up."""
    return described('spec_vla', _bring_up)


def _bring_up(given: Given) -> Entities:
    image_topic, given['image_transport'] = camera(given)
    names = {a.name: given[key] for key, a in POLICY_ARGUMENTS.items() if a.name}
    common = of_a_node(
        'spec_vla', given, enclave=given['enclave'], overrides=parameters_given(given)
    )
    node = LifecycleNode(
        executable='policy_node',
        remappings=[
            *{**names, 'image': image_topic}.items(),
            ('image/compressed', f'{image_topic}/compressed'),
        ],
        **common,
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


def _recorder(given: Given) -> Entities:
    """Return the process that records, if it is wanted; RuntimeError where it could not."""
    folder = Path(given['record_folder']).expanduser() if given['record_folder'] else None
    if not is_true(given['record']):
        if folder is not None:
            raise RuntimeError(f'record_folder:={folder} needs record:=true, or leave it out')
        return []
    try:
        get_package_prefix('ros2bag')
        get_package_prefix('rosbag2_storage_mcap')
    except PackageNotFoundError as missing:
        raise RuntimeError(
            f'record:=true needs ros2bag and rosbag2_storage_mcap ({missing}): install what is '
            'missing, or launch with record:=false'
        ) from missing
    if folder is not None and folder.exists():
        raise RuntimeError(
            f'record_folder:={folder} is there already, and a recording makes a new one: give '
            'another name, or move this folder away'
        )
    output = [] if folder is None else ['--output', str(folder)]
    return [
        ExecuteProcess(
            cmd=['ros2', 'bag', 'record', '--storage', 'mcap', '--all', *output],
            output='screen',
            on_exit=ending('the recorder has ended'),
        )
    ]
