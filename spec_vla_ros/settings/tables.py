# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Generates the parameter files and the tables in the documentation from the settings."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Sequence
from dataclasses import Field, fields
from pathlib import Path
from typing import Any

from spec_vla_ros.settings.launch import (
    DEMO_ARGUMENTS,
    LIBERO_ARGUMENTS,
    POLICY_ARGUMENTS,
    SHARE,
    Arguments,
)
from spec_vla_ros.settings.nodes import (
    LIBERO_POLICY,
    LiberoRobotSettings,
    PolicySettings,
    SimSettings,
)
from spec_vla_ros.settings.parameter import Meaning, meaning_of

NODES: dict[str, type[Any]] = {
    'spec_vla': PolicySettings,
    'sim_robot': SimSettings,
    'libero_robot': LiberoRobotSettings,
}
"""The settings class of each node; its file is config/NODE.yaml."""

LAUNCHES: dict[str, Arguments] = {
    'spec_vla': POLICY_ARGUMENTS,
    'demo': DEMO_ARGUMENTS,
    'libero': LIBERO_ARGUMENTS,
}
"""The arguments of each launch file, launch/NAME.launch.py."""

ROS_TYPES = {str: 'string', int: 'integer', float: 'double', bool: 'boolean'}

TABLE = re.compile(
    r'(<!-- (params|launch): (?!end )(\w+) -->\n).*?(<!-- \2: end -->\n)', re.DOTALL
)
"""A table in a document: the marker with its kind and its node or launch file, up to the end."""

HEADER = """\
# Parameters of the node {node}, with their defaults.
# Written by `make params` from spec_vla_ros/settings; copy this file to change values.
/**:
  ros__parameters:
"""
LIBERO_HEADER = """\
# Parameters of the node spec_vla that differ from their defaults with LIBERO's robot.
# Written by `make params` from spec_vla_ros/settings; copy this file to change values.
/**:
  ros__parameters:
    # Follow the simulated time on /clock
    use_sim_time: true

"""
LAUNCH_COLUMNS = ('argument', 'default', 'valid', 'meaning')
COLUMNS = ('parameter', 'type', 'unit', 'default', 'valid', 'change', 'meaning')


def generated(root: Path) -> dict[Path, str]:
    """Return file -> the content that it must have, for all files that depend on the settings.

    Args:
        root: the root of the source tree; documents with tables are found by their markers.

    Raises:
        ValueError: a table is in no document, or a marker does not name a node or launch file.
    """
    files = {root / 'config' / f'{node}.yaml': parameter_file(node) for node in NODES}
    files[root / 'config' / 'libero_policy.yaml'] = libero_policy_file()
    wanted = {*(('params', node) for node in NODES), *(('launch', name) for name in LAUNCHES)}
    found: set[tuple[str, str]] = set()
    for path in sorted((root / 'docs').rglob('*.md')):
        text = path.read_text()
        tables = {(match[2], match[3]) for match in TABLE.finditer(text)}
        if tables - wanted:
            names = ', '.join(sorted(name for _, name in tables - wanted))
            raise ValueError(f'{path}: no node is named {names}')
        if tables:
            files[path] = TABLE.sub(lambda m: f'{m[1]}\n{_table(m[2], m[3])}\n\n{m[4]}', text)
        found |= tables
    if found != wanted:
        kind, name = min(wanted - found)
        what = 'parameter table' if kind == 'params' else 'table of launch arguments'
        raise ValueError(f'{root / "docs"}: no document has the {what} of {name}')
    return files


def parameter_file(node: str) -> str:
    """Return a YAML file of a node's parameters, with the meaning of each above its default."""
    return HEADER.format(node=node) + '\n'.join(
        _entry(field, field.default) for field in fields(NODES[node])
    )


def libero_policy_file() -> str:
    """Return a YAML file of the policy node's parameters that differ with LIBERO's robot."""
    values = [
        (f, LIBERO_POLICY[f.name]) for f in fields(PolicySettings) if f.name in LIBERO_POLICY
    ]
    return LIBERO_HEADER + '\n'.join(_entry(field, value) for field, value in values)


def markdown_table(node: str) -> str:
    """Return a Markdown table of a node's parameters, with a row for each."""
    return _rows([COLUMNS, *map(_row, fields(NODES[node]))])


def launch_table(name: str) -> str:
    """Return a Markdown table of a launch file's arguments, with a row for each."""
    return _rows(
        [
            LAUNCH_COLUMNS,
            *(
                (
                    f'`{argument}`',
                    f'`{_default(found.default)}`' if found.default else 'empty',
                    _choices(found.choices, quote='`') or 'any',
                    found.meaning,
                )
                for argument, found in LAUNCHES[name].items()
            ),
        ]
    )


def ros_type(default: Any) -> str:
    """Return ROS's name of a default's type; for a tuple, with its length."""
    if isinstance(default, tuple):
        return f'{ROS_TYPES[type(default[0])]}[{len(default)}]'
    return ROS_TYPES[type(default)]


def _table(kind: str, name: str) -> str:
    return markdown_table(name) if kind == 'params' else launch_table(name)


def _rows(cells: Sequence[tuple[str, ...]]) -> str:
    rows = [f'| {" | ".join(row)} |' for row in cells]
    rows.insert(1, '|---' * len(cells[0]) + '|')
    return '\n'.join(rows)


def _default(text: str) -> str:
    return text.removeprefix(f'{SHARE}/')


def _entry(field: Field[Any], value: Any) -> str:
    meaning = meaning_of(field)
    valid = _valid(meaning, quote="'")
    unit = f' [{meaning.unit}]' if meaning.unit else ''
    rules = f'{ros_type(field.default)}{": " if valid else ""}{valid}{unit}; {_change(meaning)}'
    lines = [*textwrap.wrap(meaning.description, 93), *textwrap.wrap(rules, 93)]
    comment = ''.join(f'    # {line}\n' for line in lines)
    return f'{comment}    {field.name}: {_yaml(value)}\n'


def _row(field: Field[Any]) -> tuple[str, ...]:
    meaning = meaning_of(field)
    return (
        f'`{field.name}`',
        ros_type(field.default),
        meaning.unit or '-',
        f'`{_yaml(field.default)}`',
        _valid(meaning, quote='`') or 'any',
        _change(meaning),
        meaning.description,
    )


def _valid(meaning: Meaning, *, quote: str) -> str:
    """Return the valid values in words; empty if all are."""
    if meaning.choices:
        return _choices(meaning.choices, quote=quote)
    if meaning.low is None or meaning.high is None:
        return ''
    return f'{_number(meaning.low)} .. {_number(meaning.high)}'


def _choices(choices: tuple[str, ...], *, quote: str) -> str:
    return ', '.join(f'{quote}{choice}{quote}' if choice else 'empty' for choice in choices)


def _change(meaning: Meaning) -> str:
    return 'live' if meaning.live else 'at start'


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else f'{value:.6g}'


def _yaml(value: Any) -> str:
    """Return a value as YAML; strings in quotes, without which off and on are booleans."""
    return f"'{value}'" if isinstance(value, str) else json.dumps(value)
