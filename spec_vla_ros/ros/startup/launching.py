# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""What the launch files share; importing it needs the launch system."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

from ament_index_python.packages import get_package_share_directory
from launch.actions import (
    DeclareLaunchArgument,
    IncludeLaunchDescription,
    LogInfo,
    OpaqueFunction,
    Shutdown,
)
from launch.event import Event
from launch.launch_context import LaunchContext
from launch.launch_description import LaunchDescription
from launch.launch_description_entity import LaunchDescriptionEntity
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from spec_vla_ros.ros.startup.including import left_over, refuse_overruled
from spec_vla_ros.ros.startup.launch_arguments import FILE_OF, refuse_twice, refuse_unknown
from spec_vla_ros.ros.startup.parameter_files import checked_file
from spec_vla_ros.settings.tables import LAUNCHES, NODES

Given = dict[str, Any]
"""Name of an argument -> its value as a word, given or by default; besides, `PUSHED` and `SET`."""

PUSHED = 'ros_namespace'
"""Where the launch system keeps the namespace that PushRosNamespace puts around a launch file."""
SET = 'global_params'
"""Where it keeps what SetParameter and SetParametersFromFile set for all nodes."""

_BEFORE = 'spec_vla_ros, given to '
"""Where we keep, in front of the name of a file, what it was given when it was included last."""

Entities = list[LaunchDescriptionEntity]


def described(file: str, start: Callable[[Given], Entities]) -> LaunchDescription:
    """Return a launch description that declares arguments and starts something with them.

    The launch ends with an error if a name is given that is not one of the arguments, or if an
    argument is given twice with different values.

    file: name of the launch file, one of `LAUNCHES`. start: returns what to start.
    """
    arguments, memory = LAUNCHES[file], _BEFORE + file
    share = get_package_share_directory('spec_vla_ros')

    def check(context: LaunchContext) -> Entities:
        known = context.launch_configurations
        given = [name for name in known if not name.startswith(_BEFORE)]
        refuse_unknown(given, arguments, command_line=sys.argv)
        refuse_twice(sys.argv, arguments)
        text = left_over(known.get(memory, {}), known, arguments, share=share)
        return [LogInfo(msg=text)] if text else []

    def started(context: LaunchContext) -> Entities:
        known = context.launch_configurations
        given = {name: LaunchConfiguration(name).perform(context) for name in arguments}
        known[memory] = given
        return start({**given, PUSHED: known.get(PUSHED, ''), SET: known.get(SET, [])})

    return LaunchDescription(
        [
            OpaqueFunction(function=check),  # first, since the declarations add their own names
            *(
                DeclareLaunchArgument(name, **argument.declared(share=share))
                for name, argument in arguments.items()
            ),
            OpaqueFunction(function=started),
        ]
    )


def of_a_node(
    name: str, given: Given, *, enclave: str, overrides: Mapping[str, Any]
) -> dict[str, Any]:
    """Return keyword arguments of launch_ros's Node that all nodes of the package are given.

    Args:
        name: name of the node.
        given: the launch file's arguments.
        enclave: the node's SROS2 enclave; empty for none.
        overrides: parameters that overrule those of the node's file.

    Raises:
        RuntimeError: see `checked_file` and `refuse_overruled`.
    """
    namespace = given['namespace']
    if not namespace.startswith('/'):
        namespace = f'{given[PUSHED]}/{namespace}'
    file = checked_file(given[FILE_OF[name]], node=name, namespace=namespace, settings=NODES[name])
    whole = f'/{namespace.strip("/")}/{name}'.replace('//', '/')
    share = get_package_share_directory('spec_vla_ros')
    refuse_overruled(given.get(SET, []), file, node=whole, share=share)
    values = {key: ParameterValue(v, value_type=type(v)) for key, v in overrides.items()}
    return {
        'package': 'spec_vla_ros',
        'name': name,
        'namespace': given['namespace'],
        'parameters': [file, *([values] if values else [])],
        'arguments': ['--end-with-parent'],  # on SIGTERM, launch ends without ending its nodes
        'ros_arguments': ['--enclave', enclave] if enclave else None,
        'output': 'screen',
        'on_exit': ending(f'the node {name} has ended'),
    }


def robot(name: str, given: Given, **overrides: Any) -> Node:
    """Return the node of a simulated robot; its program has the same name."""
    if given['image_transport']:
        overrides['image_transport'] = given['image_transport']
    common = of_a_node(name, given, enclave=given['robot_enclave'], overrides=overrides)
    return Node(executable=name, **common)


def policy(given: Given, names: tuple[str, ...]) -> IncludeLaunchDescription:
    """Return an inclusion of the policy node's launch file that passes on these arguments."""
    share = get_package_share_directory('spec_vla_ros')
    return IncludeLaunchDescription(
        PythonLaunchDescriptionSource(f'{share}/launch/spec_vla.launch.py'),
        launch_arguments=[(name, given[name]) for name in names],
    )


def ending(reason: str) -> Callable[[Event, LaunchContext], Entities]:
    """Return a handler for the end of a process: it ends the launch, if that goes on."""

    def end(event: Event, context: LaunchContext) -> Entities:
        return [] if context.is_shutdown else [Shutdown(reason=reason)]

    return end
