# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Which names that a launch file is given are meant for it, and are none of its arguments."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from spec_vla_ros.ros.names import ALIKE, nearest
from spec_vla_ros.settings.launch import POLICY_ARGUMENTS, Arguments
from spec_vla_ros.settings.tables import LAUNCHES, NODES

FILE_OF = {
    'spec_vla': 'params_file',
    'sim_robot': 'sim_params_file',
    'libero_robot': 'robot_params_file',
}
"""Name of a node -> the argument that names the file of its parameters."""


def refuse_unknown(given: Iterable[str], arguments: Arguments) -> None:
    """Refuse what the launch system would ignore in silence.

    It hands a file what an including file declares for itself, too. So a name is taken for a wrong
    one if it is nearly one of the file's, a parameter of one of its nodes, or another of our
    files' argument; arm_namespace is another's name, not a wrong one of namespace.

    Args:
        given: names that are given from outside, before the file declares its own.
        arguments: of the file.

    Raises:
        RuntimeError: a name is wrong; says which, and what to write.
    """
    found = set(given)
    ours = {*arguments, *POLICY_ARGUMENTS}  # they reach the file that ours include
    others = [set(each) for each in LAUNCHES.values() if not set(each) <= found]
    known = ours.union(*(each for each in LAUNCHES.values() if set(each) <= found))
    problems = [
        f'{name} {why}'
        for name in sorted(found - known)
        if (why := _why(name, ours, arguments, others=set().union(*others)))
    ]
    if problems:
        raise RuntimeError(
            f'{"; ".join(problems)} (an including launch file keeps a name of its own to itself '
            'with GroupAction(..., forwarding=False))'
        )


def _why(name: str, ours: set[str], arguments: Arguments, *, others: set[str]) -> str:
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
    near = nearest(name, {*ours, *parameters}, cutoff=ALIKE)
    if not near or name.endswith(f'_{near}'):
        return ''
    if near in ours:
        return f'is no argument of this launch file; did you mean {near}:=?'
    return (
        f'is no argument of this launch file; did you mean the parameter {near}? It goes into a '
        f'parameter file, {parameters[near]}:=FILE'
    )
