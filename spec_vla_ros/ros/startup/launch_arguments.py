# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Finds launch arguments that are given under a wrong name, which launch ignores silently."""

from __future__ import annotations

import dataclasses
import difflib
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from spec_vla_ros.ros.names import ALIKE, nearest, plain
from spec_vla_ros.settings.launch import POLICY_ARGUMENTS, Arguments
from spec_vla_ros.settings.tables import LAUNCHES, NODES

FILE_OF = {
    'spec_vla': 'params_file',
    'sim_robot': 'sim_params_file',
    'libero_robot': 'robot_params_file',
}
"""Name of a node -> the launch argument that names its parameter file."""

OTHER_NAMES = {
    'params_file': (
        *('params', 'params_path', 'params_yaml', 'param_file', 'parameter_file'),
        *('parameters', 'parameters_file', 'config', 'config_file', 'config_path', 'yaml'),
    ),
    'emergency_stop_topic': (
        *('estop_topic', 'e_stop_topic', 'estop', 'e_stop', 'stop_topic', 'emergency_stop'),
    ),
    'image_topic': ('camera_topic', 'rgb_topic', 'color_topic', 'image', 'camera'),
    'command_topic': ('cmd_topic', 'twist_topic', 'cmd_vel_topic', 'velocity_topic'),
    'instruction_topic': ('prompt_topic', 'task_topic'),
    'pose_topic': ('ee_pose_topic', 'end_effector_pose_topic'),
    'namespace': ('ns',),
    'observation_recipe': ('recipe',),
    'checkpoint': ('ckpt', 'ckpt_path', 'model_path', 'checkpoint_dir', 'weights'),
    'dry_run': ('dry',),
    'use_sim_time': ('sim_time',),
    'command_frame': ('frame_id', 'base_frame', 'reference_frame'),
    'max_velocity': ('max_vel', 'max_speed'),
    'control_rate': ('rate', 'hz', 'frequency', 'publish_rate', 'loop_rate'),
}
"""An argument or a parameter -> other names that people use for it."""

OF_NOBODY_ELSE = ('estop_topic', 'e_stop_topic', 'emergency_stop')
"""Those of these names that an including launch file hardly has for a purpose of its own. Names
such as config may be its own."""

_ENDINGS = re.compile(r'_(?:path|dir|folder)$')
"""What changes no meaning of a name: checkpoint_path is a checkpoint; device_id is no device."""

_WORDS_ALIKE = 0.75  # each word of a misspelt name and the word that is meant

OF_THE_LAUNCH_SYSTEM = (
    *('ros_namespace', 'ros_params', 'ros_remaps', 'global_params', 'launch-prefix'),
    *('launch-prefix-filter', 'emulate_tty', 'sigterm_timeout', 'sigkill_timeout', 'log_level'),
)
"""Names that the launch system sets itself, or reads when it starts a process."""


def on_command_line(words: Sequence[str]) -> bool:
    """Whether `ros2 launch` was given one of our launch files, so that no other file includes it.

    words: the words of the command line: package and name of the file, or its path.
    """
    files = {f'{name}.launch.py' for name in LAUNCHES}
    for before, word in zip(('', *words), words, strict=False):
        path = Path(word)
        if path.name in files and (
            (before == 'spec_vla_ros' and word == path.name)
            or all((path.parent / file).is_file() for file in files)
        ):
            return True
    return False


def called(name: str) -> str:
    """Return the argument or parameter that another name means; empty if none is known."""
    return next((meant for meant, names in OTHER_NAMES.items() if name.lower() in names), '')


def of_an_argument(name: str) -> str:
    """Return in words what to use instead of a parameter of this name, which does not exist.

    Other nodes have parameters for the names of their topics, where ours have launch arguments.
    Empty if the name means no argument.
    """
    argument = name if name in POLICY_ARGUMENTS else called(name)
    if argument not in POLICY_ARGUMENTS:
        return f'; did you mean {argument}?' if argument else ''
    meant = POLICY_ARGUMENTS[argument].newer or argument
    if POLICY_ARGUMENTS[meant].parameter:
        return f'; did you mean {meant}?'
    renamed = POLICY_ARGUMENTS[meant].name
    remap = f', or remap {renamed} where the node is started without it' if renamed else ''
    return f'; it is an argument of the launch file: write {meant}:= there{remap}'


def refuse_twice(words: Sequence[str], arguments: Arguments) -> None:
    """Refuse an argument with two values: `ros2 launch` would silently take the last one.

    Args:
        words: the words of the command line.
        arguments: the launch file's arguments.

    Raises:
        RuntimeError: an argument has two values; the message gives both.
    """
    said: dict[str, str] = {}
    for word in words:
        name, sign, value = word.partition(':=')
        if sign and name in arguments and (before := said.setdefault(name, value)) != value:
            one_file = '; it is one file: put both into it' if name in FILE_OF.values() else ''
            raise RuntimeError(
                f'{name} is given twice, as {before!r} and as {value!r}, and the last one would '
                f'win: keep one{one_file}'
            )


def refuse_unknown(
    given: Iterable[str], arguments: Arguments, *, command_line: Sequence[str] = ()
) -> None:
    """Refuse names that are no arguments, which the launch system would silently ignore.

    If one of our files was launched directly, every name that is not one of its arguments is
    wrong. If another file includes it, the launch system also hands over what that file has
    declared for itself, and what files that it includes before ours have. Then a name is wrong
    only if it is a misspelt argument that is not given otherwise, a parameter of one of the nodes,
    or an argument of another of our files. Words more or less do not count: arm_namespace is not a
    misspelt namespace, and device_id, of a camera, not a misspelt device.

    Args:
        given: the names that are given from outside, before the file declares its own.
        arguments: the file's arguments.
        command_line: the words of this process's command line.

    Raises:
        RuntimeError: a name is wrong; the message says which, and what to write instead.
    """
    found = set(given)
    ours = {*arguments, *POLICY_ARGUMENTS}  # the latter reach spec_vla.launch.py, if included
    others = [set(each) for each in LAUNCHES.values() if not set(each) <= found]
    known = ours.union(*(each for each in LAUNCHES.values() if set(each) <= found))
    included = not on_command_line(command_line)
    problems = []
    for name in sorted(found - known - {*OF_THE_LAUNCH_SYSTEM}):
        why = _why(
            name, ours, arguments, others=set().union(*others), given=found if included else None
        )
        handed_on = included and name in OF_NOBODY_ELSE and 'emergency_stop_topic' in found
        if not handed_on and (why or not included):
            problems.append(f'{name} {why or "is no argument of this launch file"}')
    if problems:
        way_on = (
            'an including launch file keeps a name of its own to itself with GroupAction(..., '
            'forwarding=False)'
            if included
            else '--show-args lists those that there are'
        )
        raise RuntimeError(f'{"; ".join(problems)} ({way_on})')


def _why(
    name: str, ours: set[str], arguments: Arguments, *, others: set[str], given: set[str] | None
) -> str:
    """Return what is wrong with a name that is no argument; empty if another file may use it.

    given: all names that are given; None if no other file includes ours.
    """
    parameters = {
        field.name: file
        for node, file in FILE_OF.items()
        if file in {*arguments, 'params_file'}
        for field in dataclasses.fields(NODES[node])
    }
    if name in parameters:
        return (
            f'is a parameter, and no argument of this launch file: put it into a parameter file, '
            f'{parameters[name]}:=FILE'
        )
    if name in others:
        return 'is no argument of this launch file, but of another one'
    near = called(name) if given is None or name in OF_NOBODY_ELSE else ''
    if near not in {*ours, *parameters}:
        near = nearest(name, {*ours, *parameters}, cutoff=ALIKE)
        near = '' if name.endswith(f'_{near}') else near
        if given is not None and (near in given or not _is_misspelt(name, near)):
            near = ''
    if not near:
        return ''
    if near in ours:
        return f'is no argument of this launch file; did you mean {near}:=?'
    return (
        f'is no argument of this launch file; did you mean the parameter {near}? It goes into a '
        f'parameter file, {parameters[near]}:=FILE'
    )


def _is_misspelt(name: str, meant: str) -> bool:
    """Whether a name is another word for word, give or take a few letters."""
    name = _ENDINGS.sub('', name)
    words = list(zip(name.lower().split('_'), meant.split('_'), strict=False))
    alike = all(difflib.SequenceMatcher(None, *pair).ratio() >= _WORDS_ALIKE for pair in words)
    return plain(name) == plain(meant) or (name.count('_') == meant.count('_') and alike)
