# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The names of the nodes' topics, services and actions, and which of them a wrong name means."""

from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Iterable

_OF_EVERY_NODE = (
    '/clock',
    '/parameter_events',
    '/rosout',
    '~/describe_parameters',
    '~/get_parameter_types',
    '~/get_parameters',
    '~/list_parameters',
    '~/set_parameters',
    '~/set_parameters_atomically',
    '~/get_type_description',
)

CAMERA_TOPICS = ('image', 'image/compressed')
"""Of raw images, and of compressed ones."""

POLICY_NAMES = (
    *_OF_EVERY_NODE,
    *CAMERA_TOPICS,
    'instruction',
    'end_effector_pose',
    'emergency_stop',
    'delta_twist_cmds',
    'pose_target',
    'gripper_command',
    'gripper_cmd',
    'execute_instruction',
    'action',
    'status',
    'diagnostics',
    'annotated_image',
    'markers',
    '~/statistics',
    '~/enable',
    '~/stop',
    '~/reset',
    '~/transition_event',
    '~/change_state',
    '~/get_state',
    '~/get_available_states',
    '~/get_available_transitions',
    '~/get_transition_graph',
)
"""All names that the policy node uses in any configuration, also of services that it calls."""

ROBOT_NAMES = (
    *_OF_EVERY_NODE,
    'delta_twist_cmds',
    'gripper_command',
    *CAMERA_TOPICS,
    'camera_info',
    'end_effector_pose',
    'episode',
    'reset',
)
"""The same for the simulated robots."""


ALSO_CALLED = {
    'spec_vla': ('policy_node', 'spec_vla_node', 'spec_vla_ros'),
    'sim_robot': ('sim_node', 'sim_robot_node'),
    'libero_robot': ('libero_node', 'libero_robot_node'),
}
"""Name of a node -> names that people mistake for it: those of its program and its package."""

EMERGENCY_STOPS = (
    *('emergency_stop', 'estop', 'e_stop', 'kill_switch', 'safety_stop', 'protective_stop'),
    *('runstop', 'emergency_button', 'panic_stop'),
)
"""Usual names of an emergency stop."""
_OF_A_STOP = re.compile(
    r'^(?:robot|hardware|software|hard|soft|hw|wireless|remote|joy|left|right|front|rear)_?'
    r'|_?(?:button|pressed|cmd|signal|switch|triggered|engaged|request|input)$'
    r'|_?(?:left|right|front|rear|\d+)$',
    re.IGNORECASE,
)
"""What may stand before or behind such a name. _state, _status and _active may not, since such a
topic tells whether the stop is pressed, and does not press it."""
_SOUNDS_ALIKE = 0.85  # similarity of names; low enough for typing errors, too high for _state
_MISSPELT = 2  # letters too many or too few; keeps out emergency_button_state, which is alike
_TELL = re.compile(r'stat(?:e|es|us|uses)$', re.IGNORECASE)

ALIKE = 0.8
"""How alike, from 0 to 1, a misspelt name must be to the name that it is taken for."""

_NUMBERED = re.compile(r'(_[a-z]|_?\d+)$')


def means(name: str, node: str) -> bool:
    """Whether a name seems to be meant for this node, but is wrong.

    arm_1 does not mean arm_2: names that differ only in a number or letter at their end are names
    of different nodes.
    """
    if name == node or _NUMBERED.sub('', name) == _NUMBERED.sub('', node):
        return False
    return name in ALSO_CALLED.get(node, ()) or bool(nearest(name, (node,), cutoff=ALIKE))


@functools.lru_cache(maxsize=4096)
def sounds_like_a_stop(name: str) -> bool:
    """Whether a topic's name is that of an emergency stop, by its last part or its last two.

    `/estop/pressed` is one by both parts together. `/status/estop` is none: it tells a status.
    Answers are kept, since all topics of a robot are looked through twice a second, in the thread
    that commands the arm: to compare a thousand names takes longer than from one command to the
    next.
    """
    above, _, last = name.rpartition('/')
    above = above.rpartition('/')[2]
    return not _TELL.search(above) and (_is_a_stop(last) or _is_a_stop(f'{above}_{last}'))


def _is_a_stop(name: str) -> bool:
    while True:
        near = nearest(name, EMERGENCY_STOPS, cutoff=_SOUNDS_ALIKE)
        if near and abs(len(plain(name)) - len(plain(near))) <= _MISSPELT:
            return True
        name, before = _OF_A_STOP.sub('', name), name
        if name == before:
            return False


def nearest(name: str, names: Iterable[str], *, cutoff: float = 0.6) -> str:
    """Return which of the names a wrong one probably means; empty if none is near.

    cutoff: how alike they must be, from 0 to 1; case, dashes and underscores do not count.
    """
    sounds = {plain(each): each for each in names}
    near = difflib.get_close_matches(plain(name), sounds, n=1, cutoff=cutoff)
    return sounds[near[0]] if near else ''


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """Return a question for the nearest name, to end an error message; empty if none is near."""
    near = nearest(name, names)
    return f'; did you mean {near}?' if near else ''


def plain(name: str) -> str:
    """Return a name in lower case, without dashes and underscores, for comparison."""
    return re.sub(r'[\W_]', '', name).lower()
