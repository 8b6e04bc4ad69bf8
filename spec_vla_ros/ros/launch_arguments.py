# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Which names that a launch file is given are meant for it, and are none of its arguments."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from pathlib import Path

from spec_vla_ros.ros.names import ALIKE, nearest
from spec_vla_ros.settings.launch import POLICY_ARGUMENTS, Arguments
from spec_vla_ros.settings.tables import LAUNCHES, NODES

FILE_OF = {
    'spec_vla': 'params_file',
    'sim_robot': 'sim_params_file',
    'libero_robot': 'robot_params_file',
}
"""Name of a node -> the argument that names the file of its parameters."""

OTHER_NAMES = {
    'params_file': (
        *('params', 'params_path', 'params_yaml', 'param_file', 'parameter_file'),
        *('parameters', 'parameters_file', 'config', 'config_file', 'config_path', 'yaml'),
    ),
    'emergency_stop_topic': ('estop_topic', 'e_stop_topic', 'estop', 'e_stop', 'stop_topic'),
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
"""An argument, or a parameter -> other names that people give it."""

OF_NOBODY_ELSE = ('estop_topic', 'e_stop_topic')
"""Of these, what an including file would hardly have for itself; config is anybody's."""

OF_THE_LAUNCH_SYSTEM = (
    *('ros_namespace', 'ros_params', 'ros_remaps', 'global_params', 'launch-prefix'),
    *('launch-prefix-filter', 'emulate_tty', 'sigterm_timeout', 'sigkill_timeout', 'log_level'),
)
"""Names that it keeps, or reads where any process is started."""


def on_command_line(words: Sequence[str]) -> bool:
    """Whether `ros2 launch` was given one of our files, so that nobody else's includes it.

    words: of the command line, with the package and the file's name, or with its path.
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
    """Return the argument, or parameter, that another name of it means; empty: none is known."""
    return next((meant for meant, names in OTHER_NAMES.items() if name.lower() in names), '')


def of_an_argument(name: str) -> str:
    """Return in words what sets something in place of a parameter of this name, which is none.

    Many nodes take the names of their topics as parameters. Empty: no argument is meant.
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
    """Refuse an argument that `ros2 launch` was given twice: it takes the last one in silence.

    Args:
        words: of the command line.
        arguments: of the launch file.

    Raises:
        RuntimeError: two values differ; says which.
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
    """Refuse what the launch system would ignore in silence.

    It hands a file what an including file declares for itself, too. So a name is taken for a wrong
    one if it is nearly one of the file's, a parameter of one of its nodes, or another of our
    files' argument; arm_namespace is another's name, not a wrong one of namespace. Where one of
    our files is what was launched, nobody includes it, and every other name is a wrong one.

    Args:
        given: names that are given from outside, before the file declares its own.
        arguments: of the file.
        command_line: words of the command line of this process.

    Raises:
        RuntimeError: a name is wrong; says which, and what to write.
    """
    found = set(given)
    ours = {*arguments, *POLICY_ARGUMENTS}  # they reach the file that ours include
    others = [set(each) for each in LAUNCHES.values() if not set(each) <= found]
    known = ours.union(*(each for each in LAUNCHES.values() if set(each) <= found))
    included = not on_command_line(command_line)
    problems = []
    for name in sorted(found - known - {*OF_THE_LAUNCH_SYSTEM}):
        why = _why(name, ours, arguments, others=set().union(*others), included=included)
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
    name: str, ours: set[str], arguments: Arguments, *, others: set[str], included: bool
) -> str:
    """Return what is wrong with a name that is no argument; empty: it is somebody else's."""
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
    near = called(name) if not included or name in OF_NOBODY_ELSE else ''
    if near not in {*ours, *parameters}:
        near = nearest(name, {*ours, *parameters}, cutoff=ALIKE)
        near = '' if name.endswith(f'_{near}') else near
    if not near:
        return ''
    if near in ours:
        return f'is no argument of this launch file; did you mean {near}:=?'
    return (
        f'is no argument of this launch file; did you mean the parameter {near}? It goes into a '
        f'parameter file, {parameters[near]}:=FILE'
    )
