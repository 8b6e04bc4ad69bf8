# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Saying what was set and counts for nothing, because of what else was set."""

from __future__ import annotations

from rclpy.node import Node

from spec_vla_ros.settings.nodes import PolicySettings
from spec_vla_ros.settings.outputs import ACTION, PARALLEL, POSE, POSITION, TWIST
from spec_vla_ros.settings.parameter import without_effect

_ONLY_WITH = {
    'delta_twist_cmds': ('command_type', (TWIST,)),
    'pose_target': ('command_type', (POSE,)),
    'gripper_command': ('gripper_type', (POSITION,)),
    'gripper_cmd': ('gripper_type', (ACTION, PARALLEL)),
}
"""Name of a topic or action -> a parameter, and the values of that with which it is opened."""


class NoEffect:
    """Warns of each parameter and remap that has no effect, once for as long as it has none.

    node: whose.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._said: set[str] = set()

    def look(self, settings: PolicySettings) -> None:
        """Warn of what is new; settings: those in force."""
        found = [*without_effect(settings), *_remapped_in_vain(self._node, settings)]
        for text in found:
            if text not in self._said:
                self._node.get_logger().warning(text)
        self._said = set(found)


def _remapped_in_vain(node: Node, settings: PolicySettings) -> list[str]:
    own = node.get_namespace().rstrip('/')
    return [
        f'{name} is remapped to {there}, and has no effect: {parameter} is {value!r}'
        for name, (parameter, values) in _ONLY_WITH.items()
        if (value := getattr(settings, parameter)) not in values
        and (there := node.resolve_topic_name(name)) != f'{own}/{name}'
    ]
