# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Declares every argument of the launch files once: what it sets, valid values, and meaning."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from spec_vla_ros.settings.nodes import LiberoRobotSettings, PolicySettings
from spec_vla_ros.settings.parameter import meaning_of

TRUE, FALSE = ('true', 'True', '1', 'yes'), ('false', 'False', '0', 'no')
SHARE = '{share}'
"""Placeholder in defaults for the folder in which the package has installed its files."""

COMPRESSED = '/compressed'


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchArgument:
    """An argument of a launch file; its value is always a string.

    meaning: its description.
    choices: the valid values; any if empty.
    parameter: the node's parameter that it sets; with an empty value, the parameter file counts.
    name: the node's topic or action that it renames.
    newer: the argument of which it is an older name.
    """

    meaning: str
    default: str = ''
    choices: tuple[str, ...] = ()
    parameter: str = ''
    name: str = ''
    newer: str = ''

    def declared(self, *, share: str) -> dict[str, Any]:
        """Return arguments of DeclareLaunchArgument; share: the package's share folder."""
        return {
            'default_value': self.default.format(share=share),
            'description': self.meaning,
            'choices': list(self.choices) or None,
        }


Arguments = Mapping[str, LaunchArgument]


def _of_parameters(*names: str) -> dict[str, LaunchArgument]:
    """Return arguments that set the policy node's parameters of the same names."""
    fields = {field.name: field for field in dataclasses.fields(PolicySettings)}
    found = {}
    for name in names:
        meaning = meaning_of(fields[name])
        choices = meaning.choices
        if isinstance(fields[name].default, bool):
            choices = (*TRUE, *FALSE)
        found[name] = LaunchArgument(
            meaning=meaning.description,
            choices=('', *(c for c in choices if c)) if choices else (),
            parameter=name,
        )
    return found


def _older(name: str) -> LaunchArgument:
    return LaunchArgument(meaning=f'Older name of {name}', newer=name)


def _yes_or_no(meaning: str, *, default: bool) -> LaunchArgument:
    return LaunchArgument(meaning=meaning, default=str(default).lower(), choices=(*TRUE, *FALSE))


def _renamed(name: str, meaning: str, *, default: str = '') -> LaunchArgument:
    return LaunchArgument(meaning=meaning, default=default or name, name=name)


_SIM_TIME = LaunchArgument(
    meaning='Follow the simulated time on /clock',
    choices=('', *TRUE, *FALSE),
    parameter='use_sim_time',
)
_RECORDING = {
    'record': _yes_or_no(
        'Record every topic to MCAP; needs ros2bag and rosbag2_storage_mcap', default=False
    ),
    'record_folder': LaunchArgument(
        meaning='Where the recording goes; empty: a new folder named by the time'
    ),
}

POLICY_ARGUMENTS: Arguments = {
    **_of_parameters(
        'checkpoint',
        'unnorm_key',
        'observation_recipe',
        'drafter',
        'draft_top_k',
        'decoding_mode',
        'device',
        'dry_run',
        'image_transport',
        'command_frame',
        'command_type',
        'gripper_type',
    ),
    'model': _older('checkpoint'),
    'frame': _older('command_frame'),
    'use_sim_time': _SIM_TIME,
    'image_topic': _renamed(
        'image', 'Camera images; a name that ends with /compressed chooses compressed ones'
    ),
    'instruction_topic': _renamed('instruction', 'What to do, std_msgs/String'),
    'command_topic': _renamed('delta_twist_cmds', 'Where velocities go'),
    'target_topic': _renamed('pose_target', 'Where target poses go, with command_type pose'),
    'gripper_topic': _renamed('gripper_command', 'Where gripper positions go'),
    'gripper_action': _renamed(
        'gripper_cmd', 'Where gripper goals go, with gripper_type action or parallel_action'
    ),
    'pose_topic': _renamed(
        'end_effector_pose', 'Where the end effector is, geometry_msgs/PoseStamped'
    ),
    'emergency_stop_topic': _renamed(
        'emergency_stop', 'True presses the emergency stop, std_msgs/Bool'
    ),
    'diagnostics_topic': _renamed(
        'diagnostics',
        'Health and figures, diagnostic_msgs/DiagnosticArray',
        default='/diagnostics',
    ),
    'namespace': LaunchArgument(meaning='Namespace of the node and of its relative topics'),
    'enclave': LaunchArgument(meaning="The node's SROS2 enclave, such as /spec_vla/spec_vla"),
    'params_file': LaunchArgument(
        meaning='Parameters of the node', default=f'{SHARE}/config/spec_vla.yaml'
    ),
    'autostart': _yes_or_no('Configure and activate at once', default=True),
    **_RECORDING,
}
"""The arguments of spec_vla.launch.py."""

PASSED_ON = (
    'checkpoint',
    'model',
    'decoding_mode',
    'draft_top_k',
    'device',
    'dry_run',
    'image_transport',
    'namespace',
    'enclave',
    'params_file',
    *_RECORDING,
)
"""Arguments that demo.launch.py passes on to spec_vla.launch.py."""


def _robot_enclave(node: str) -> dict[str, LaunchArgument]:
    meaning = f"The robot's SROS2 enclave, such as /spec_vla/{node}"
    return {'robot_enclave': LaunchArgument(meaning=meaning)}


DEMO_ARGUMENTS: Arguments = {
    **{name: POLICY_ARGUMENTS[name] for name in PASSED_ON},
    'draft_top_k': dataclasses.replace(
        POLICY_ARGUMENTS['draft_top_k'],
        meaning='Width of the draft tree; chosen by measured costs (0), the small policy of the '
        'demo often drafts nothing',
        default='1',
    ),
    'sim_params_file': LaunchArgument(
        meaning='Parameters of the simulated robot', default=f'{SHARE}/config/sim_robot.yaml'
    ),
    **_robot_enclave('sim_robot'),
}

_LIBERO = {field.name: meaning_of(field) for field in dataclasses.fields(LiberoRobotSettings)}
LIBERO_PASSED_ON = (
    *(name for name in PASSED_ON if name != 'model'),
    'unnorm_key',
    'observation_recipe',
    'drafter',
)
"""Arguments that libero.launch.py passes on to spec_vla.launch.py."""

LIBERO_ARGUMENTS: Arguments = {
    **{name: POLICY_ARGUMENTS[name] for name in LIBERO_PASSED_ON},
    'checkpoint': dataclasses.replace(
        POLICY_ARGUMENTS['checkpoint'],
        meaning='Folder of an OpenVLA checkpoint; empty: the policy that is shipped for the suite',
    ),
    'params_file': dataclasses.replace(
        POLICY_ARGUMENTS['params_file'], default=f'{SHARE}/config/libero_policy.yaml'
    ),
    'suite': LaunchArgument(
        meaning=f'{_LIBERO["suite"].description}, whatever the file says',
        default=LiberoRobotSettings.suite,
        choices=_LIBERO['suite'].choices,
    ),
    'image_rotation': LaunchArgument(
        meaning="Turn of the simulator's picture; empty: 0 where observation_recipe turns it, as "
        'libero does, else 180',
        choices=('', '0', '180'),
    ),
    'robot_params_file': LaunchArgument(
        meaning="Parameters of LIBERO's robot", default=f'{SHARE}/config/libero_robot.yaml'
    ),
    **_robot_enclave('libero_robot'),
}


def is_true(word: str) -> bool:
    """Whether a yes-or-no argument says yes."""
    return word in TRUE


def parameters_given(
    given: Mapping[str, str], arguments: Arguments = POLICY_ARGUMENTS
) -> dict[str, Any]:
    """Return the parameters that launch arguments set, with values of the right types.

    Raises RuntimeError: an argument and its older name have different values, or a value is no
    number where one is needed.
    """
    fields = dataclasses.fields(PolicySettings)
    kinds: dict[str, type[Any]] = {field.name: type(field.default) for field in fields}
    found: dict[str, Any] = {}
    for name, argument in arguments.items():
        if not argument.parameter:
            continue
        word = _with_older_names(name, given, arguments)
        if not word:
            continue
        kind = kinds.get(argument.parameter, bool)
        try:
            found[argument.parameter] = is_true(word) if kind is bool else kind(word)
        except ValueError:
            raise RuntimeError(f'{name}:={word} is no {kind.__name__}') from None
    return found


def camera(given: Mapping[str, str]) -> tuple[str, str]:
    """Return the base name of the camera's topics, and the transport; empty if not given.

    Raises RuntimeError: the topic's name is that of compressed images, but the transport is raw.
    """
    topic, transport = given['image_topic'], given['image_transport']
    if not topic.endswith(COMPRESSED):
        return topic, transport
    if transport == 'raw':
        raise RuntimeError(
            f'image_topic:={topic} has compressed images, and image_transport:=raw reads others; '
            'leave one of them out'
        )
    return topic.removesuffix(COMPRESSED), 'compressed'


def _with_older_names(name: str, given: Mapping[str, str], arguments: Arguments) -> str:
    older = [o for o, a in arguments.items() if a.newer == name and given[o]]
    words = {given[n] for n in (name, *older) if given[n]}
    if len(words) > 1:
        raise RuntimeError(
            f'{older[0]} is an older name of {name}, and both are given: use {name}; a launch '
            f'file that includes this one, and has a {older[0]} of its own, as of a URDF, keeps '
            'it to itself with GroupAction(..., forwarding=False)'
        )
    return next(iter(words), '')
