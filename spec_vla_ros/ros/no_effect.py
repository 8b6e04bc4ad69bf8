# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Warnings about parameters and remaps that have no effect because of other parameters."""

from __future__ import annotations

from rclpy.node import Node

from spec_vla_ros.ros.names import CAMERA_TOPICS
from spec_vla_ros.settings.nodes import PolicySettings
from spec_vla_ros.settings.outputs import ACTION, PARALLEL, POSE, POSITION, TWIST
from spec_vla_ros.settings.parameter import without_effect

_ONLY_WITH = {
    'delta_twist_cmds': ('command_type', (TWIST,)),
    'pose_target': ('command_type', (POSE,)),
    'gripper_command': ('gripper_type', (POSITION,)),
    'gripper_cmd': ('gripper_type', (ACTION, PARALLEL)),
}
"""Name of a topic or action -> a parameter, and its values with which the topic is used."""


class NoEffect:
    """Warns of parameters and remaps that have no effect; again if one had an effect in between.

    node: the node whose remaps are checked, and in whose log the warnings go.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._said: set[str] = set()

    def look(self, settings: PolicySettings) -> None:
        """Warn of everything that has lost its effect since the last call.

        settings: the settings in force.
        """
        found = [*without_effect(settings), *_remapped_in_vain(self._node, settings)]
        for text in found:
            if text not in self._said:
                self._node.get_logger().warning(text)
        self._said = set(found)


def _remapped_in_vain(node: Node, settings: PolicySettings) -> list[str]:
    own = node.get_namespace().rstrip('/')

    def other(name: str) -> str:
        there = node.resolve_topic_name(name)
        return '' if there == f'{own}/{name}' else there

    found = [
        f'{name} is remapped to {there}, and has no effect: {parameter} is {value!r}'
        for name, (parameter, values) in _ONLY_WITH.items()
        if (value := getattr(settings, parameter)) not in values and (there := other(name))
    ]
    compressed = settings.image_transport == 'compressed'
    unused, used = CAMERA_TOPICS if compressed else CAMERA_TOPICS[::-1]
    # The launch files remap both topics, whichever is read, so remaps of both are no mistake.
    if (there := other(unused)) and not other(used):
        found.append(
            f'{unused} is remapped to {there}, and has no effect: image_transport is '
            f'{settings.image_transport!r}, which reads {used}: remap that one'
        )
    return found
