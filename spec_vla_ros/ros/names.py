# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The names of the nodes' topics, services and actions, and which of several a wrong one means."""

from __future__ import annotations

import difflib
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

POLICY_NAMES = (
    *_OF_EVERY_NODE,
    'image',
    'image/compressed',
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
"""What the policy node publishes, hears, serves and calls, in every configuration."""

ROBOT_NAMES = (
    *_OF_EVERY_NODE,
    'delta_twist_cmds',
    'gripper_command',
    'image',
    'image/compressed',
    'camera_info',
    'end_effector_pose',
    'episode',
    'reset',
)
"""The same of the simulated robots."""


ALSO_CALLED = {
    'spec_vla': ('policy_node', 'spec_vla_node', 'spec_vla_ros'),
    'sim_robot': ('sim_node', 'sim_robot_node'),
    'libero_robot': ('libero_node', 'libero_robot_node'),
}
"""Name of a node -> what it is taken to be called: its programs, its package."""

EMERGENCY_STOPS = (
    *('emergency_stop', 'estop', 'e_stop', 'kill_switch', 'safety_stop', 'protective_stop'),
    *('runstop', 'emergency_button', 'panic_stop'),
)
"""What an emergency stop is called."""
_OF_A_STOP = re.compile(
    r'^(?:robot|hardware|software|hard|soft|hw|wireless|remote|joy|left|right)_?'
    r'|_?(?:button|pressed|cmd|signal|switch|triggered|engaged|request|input)$',
    re.IGNORECASE,
)
"""Around what it is called; _state, _status and _active tell how it stands, and press none."""
_SOUNDS_ALIKE = 0.85  # emergency_stop_ does, and emergency_stop_state not
_MISSPELT = 2  # letters too many or too few; emergency_button_state is long enough to sound alike
_TELL = re.compile(r'stat(?:e|es|us|uses)$', re.IGNORECASE)

ALIKE = 0.8
"""How alike, from 0 to 1, a misspelt name is to what it means."""

_NUMBERED = re.compile(r'(_[a-z]|_?\d+)$')


def means(name: str, node: str) -> bool:
    """Whether a name seems to be a wrong one of this node; arm_1 is none of arm_2."""
    if name == node or _NUMBERED.sub('', name) == _NUMBERED.sub('', node):
        return False
    return name in ALSO_CALLED.get(node, ()) or bool(nearest(name, (node,), cutoff=ALIKE))


def sounds_like_a_stop(name: str) -> bool:
    """Whether a topic of this name is taken for an emergency stop, by its last two parts.

    Both count together, too: `~/pressed` of a node `estop` is one, `/status/estop` is none.
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
    """Return the one of the names that a wrong one is likely to mean; empty: none is near.

    cutoff: how alike they must be, 0 to 1; case, dashes and underscores do not count.
    """
    sounds = {plain(each): each for each in names}
    near = difflib.get_close_matches(plain(name), sounds, n=1, cutoff=cutoff)
    return sounds[near[0]] if near else ''


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """Return the nearest name as the end of an error message; empty: none is near."""
    near = nearest(name, names)
    return f'; did you mean {near}?' if near else ''


def plain(name: str) -> str:
    """Return a name as it sounds: without case, dashes and underscores."""
    return re.sub(r'[\W_]', '', name).lower()
