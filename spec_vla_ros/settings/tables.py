# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Parameter files and the documentation's parameter tables, written from the settings."""

from __future__ import annotations

import json
import re
import textwrap
from dataclasses import Field, fields
from pathlib import Path
from typing import Any

from spec_vla_ros.settings.nodes import PolicySettings, SimSettings
from spec_vla_ros.settings.parameter import Meaning, meaning_of

NODES: dict[str, type[Any]] = {'spec_vla': PolicySettings, 'sim_robot': SimSettings}
"""The settings class of each node; its file is config/NODE.yaml."""

ROS_TYPES = {str: 'string', int: 'integer', float: 'double', bool: 'boolean'}

TABLE = re.compile(r'(<!-- params: (\w+) -->\n).*?(<!-- params: end -->\n)', re.DOTALL)
"""Where a table stands in a document: node, and everything between the markers."""

HEADER = """\
# Parameters of the node {node}, with their defaults.
# Written by `make params` from spec_vla_ros/settings; copy this file to change values.
/**:
  ros__parameters:
"""
COLUMNS = ('parameter', 'type', 'unit', 'default', 'valid', 'change', 'meaning')


def generated(root: Path) -> dict[Path, str]:
    """Return what every file that depends on the settings must contain.

    Args:
        root: of the source tree; documents are found by their markers.

    Raises:
        ValueError: no document has a node's table, or a marker names no node.
    """
    files = {root / 'config' / f'{node}.yaml': parameter_file(node) for node in NODES}
    found = set()
    for path in sorted((root / 'docs').rglob('*.md')):
        text = path.read_text()
        nodes = {match[2] for match in TABLE.finditer(text)}
        if nodes - NODES.keys():
            raise ValueError(f'{path}: no node is named {", ".join(sorted(nodes - NODES.keys()))}')
        if nodes:
            files[path] = TABLE.sub(lambda m: f'{m[1]}\n{markdown_table(m[2])}\n\n{m[3]}', text)
        found |= nodes
    if found != NODES.keys():
        missing = ', '.join(sorted(NODES.keys() - found))
        raise ValueError(f'{root / "docs"}: no document has the parameter table of {missing}')
    return files


def parameter_file(node: str) -> str:
    """Return a YAML file with each parameter's meaning above its default."""
    return HEADER.format(node=node) + '\n'.join(map(_entry, fields(NODES[node])))


def markdown_table(node: str) -> str:
    """Return a table of a node's parameters, a row for each."""
    rows = [f'| {" | ".join(row)} |' for row in (COLUMNS, *map(_row, fields(NODES[node])))]
    rows.insert(1, '|---' * len(COLUMNS) + '|')
    return '\n'.join(rows)


def ros_type(default: Any) -> str:
    """Return what ROS calls the type of this default; an array with its length."""
    if isinstance(default, tuple):
        return f'{ROS_TYPES[type(default[0])]}[{len(default)}]'
    return ROS_TYPES[type(default)]


def _entry(field: Field[Any]) -> str:
    meaning = meaning_of(field)
    valid = _valid(meaning, quote="'")
    unit = f' [{meaning.unit}]' if meaning.unit else ''
    rules = f'{ros_type(field.default)}{": " if valid else ""}{valid}{unit}; {_change(meaning)}'
    lines = [*textwrap.wrap(meaning.description, 93), *textwrap.wrap(rules, 93)]
    comment = ''.join(f'    # {line}\n' for line in lines)
    return f'{comment}    {field.name}: {_yaml(field.default)}\n'


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
    """Return the valid values in words; empty: any."""
    if meaning.choices:
        return ', '.join(
            f'{quote}{choice}{quote}' if choice else 'empty' for choice in meaning.choices
        )
    if meaning.low is None or meaning.high is None:
        return ''
    return f'{_number(meaning.low)} .. {_number(meaning.high)}'


def _change(meaning: Meaning) -> str:
    return 'live' if meaning.live else 'at start'


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else f'{value:.6g}'


def _yaml(value: Any) -> str:
    """Return a value as YAML; strings in quotes, without which off and on are booleans."""
    return f"'{value}'" if isinstance(value, str) else json.dumps(value)
