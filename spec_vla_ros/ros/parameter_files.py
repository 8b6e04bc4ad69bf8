# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Parameters as people hand them over: files and arguments, and what in them is in no force.

ROS drops what it cannot place without a word: entries of a node of another name, and names that no
node declares.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

PARAMETERS = 'ros__parameters'
OF_EVERY_NODE = ('use_sim_time', 'start_type_description_service')
WILDCARDS = {'**': r'(/\w+)*', '*': r'/\w+'}
"""What may stand for parts of a node's name in a file, as rcl reads it."""

_SET = re.compile(r'(?:(?P<node>[^:=]+):)?(?P<name>[^:=]+):=(?P<value>.*)', re.DOTALL)
_WHOLE = re.compile(r'[-+]?\d+')

Sections = dict[str, dict[str, Any]]
"""Name or pattern of a node -> its parameters."""


def checked_file(
    path: str, *, node: str, namespace: str, settings: type[DataclassInstance]
) -> str:
    """Return the path of a parameter file that is to be given to a node, with ~ expanded.

    ROS only warns of a missing one, drops what it gives to nobody, and starts the node.

    Args:
        path: as a person gives it.
        node: whose parameters it is to hold.
        namespace: of the node.
        settings: the node's parameters.

    Raises:
        RuntimeError: there is no such file; or some of it would be in no force, and it does not
            set accept_unknown_parameters.
    """
    expanded = Path(path).expanduser()
    if not expanded.is_file():
        raise RuntimeError(f'there is no parameter file {str(expanded)!r}')
    sections = read_sections(str(expanded))
    whole = f'{namespace.strip("/")}/{node}'.lstrip('/')
    given = {
        name: value
        for key, parameters in sections.items()
        if _matches(key, f'/{whole}')
        for name, value in parameters.items()
    }
    names = {*(field.name for field in dataclasses.fields(settings)), *OF_EVERY_NODE}
    problems = [
        *(f'{expanded}: {problem}' for problem in of_no_name(given, names=names)),
        *of_other_nodes([(str(expanded), sections)], node=f'/{whole}', names=names),
    ]
    if problems and not given.get('accept_unknown_parameters'):
        raise RuntimeError('; '.join(problems))
    return str(expanded)


def read_sections(path: str) -> Sections:
    """Return what a parameter file gives to which nodes; nothing where it cannot be read.

    rcl reads the file too, and says what is wrong with it.
    """
    try:
        found = yaml.safe_load(Path(path).read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return {}
    return dict(_sections(found, ''))


def sections_of(arguments: Sequence[str]) -> list[tuple[str, Sections]]:
    """Return where parameters come from, and those, for each of the ROS arguments that sets any.

    arguments: a command line, of which what stands between --ros-args and -- is looked at.
    """
    found: list[tuple[str, Sections]] = []
    for flag, value in _given(arguments):
        if flag == '--params-file':
            found.append((value, read_sections(value)))
        elif (match := _SET.fullmatch(value)) is not None:
            found.append((f'{flag} {value}', {match['node'] or '/**': {match['name']: None}}))
    return found


def of_other_nodes(
    given: Iterable[tuple[str, Sections]], *, node: str, names: Iterable[str]
) -> list[str]:
    """Return in words what is given under other nodes' names, and seems to be meant for this one.

    A file may hold the parameters of many nodes. What it holds of others is theirs if it gives
    this one something by its name; if by a wildcard only, names that this node has are not.

    node: with its namespace; names: of its parameters.
    """
    ours, problems = set(names), []
    for source, sections in given:
        matching = [key for key in sections if _matches(key, node)]
        if any('*' not in key for key in matching):
            continue
        for key, parameters in sections.items():
            if key in matching or (matching and not parameters.keys() <= ours):
                continue
            problems += [
                f'{source}: {name} is in no force: it is given to {key!r}, this node is {node!r}'
                for name in parameters
            ]
    return problems


def of_no_name(given: Iterable[str], *, names: Iterable[str]) -> list[str]:
    """Return in words each of the names that is none of the valid ones, with the nearest."""
    plain = {_plain(name): name for name in names}
    problems = []
    for name in sorted(set(given) - set(plain.values())):
        near = difflib.get_close_matches(_plain(name), plain, n=1)
        hint = f'; did you mean {plain[near[0]]}?' if near else ''
        problems.append(f'{name} is in no force: there is no such parameter{hint}')
    return problems


def outside_ros_args(arguments: Sequence[str]) -> list[str]:
    """Return the words of a command line that are not between --ros-args and --."""
    ros, found = False, []
    for word in arguments:
        if word in ('--ros-args', '--'):
            ros = word == '--ros-args'
        elif not ros:
            found.append(word)
    return found


def with_whole_numbers(arguments: Sequence[str], *, folder: str) -> list[str]:
    """Return a command line in which [0.6, 1, 1] is [0.6, 1.0, 1.0], in files and values.

    rcl refuses a list of both kinds of numbers. A file with one is copied into `folder`, changed
    nowhere else.
    """
    changed = {}
    for flag, value in _given(arguments):
        if flag != '--params-file':
            name, sign, given = value.partition(':=')
            changed[value] = f'{name}{sign}{_all_doubles(given)}'
        elif Path(value).is_file():
            text = Path(value).read_text(errors='surrogateescape')
            if (doubles := _all_doubles(text)) != text:
                with tempfile.NamedTemporaryFile(
                    'w', dir=folder, suffix='.yaml', delete=False, errors='surrogateescape'
                ) as copy:
                    copy.write(doubles)
                changed[value] = copy.name
    return [changed.get(word, word) for word in arguments]


def _given(arguments: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield the arguments that set parameters, as flag and value."""
    ros = False
    words = iter(arguments)
    for word in words:
        ros = (ros or word == '--ros-args') and word != '--'
        if ros and word in ('--params-file', '-p', '--param'):
            yield word, next(words, '')


def _sections(tree: Any, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for key, value in tree.items() if isinstance(tree, Mapping) else ():
        if key == PARAMETERS:
            yield name or '/', dict(_flat(value, ''))
        else:
            yield from _sections(value, f'{name}/{str(key).strip("/")}')


def _flat(tree: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    for key, value in tree.items() if isinstance(tree, Mapping) else ():
        if isinstance(value, Mapping):
            yield from _flat(value, f'{prefix}{key}.')
        else:
            yield f'{prefix}{key}', value


def _matches(key: str, node: str) -> bool:
    parts = (WILDCARDS.get(part, '/' + re.escape(part)) for part in key.strip('/').split('/'))
    return re.fullmatch(''.join(parts), node) is not None


def _plain(name: str) -> str:
    """Return a name as it sounds: without case, dashes and underscores."""
    return re.sub(r'[\W_]', '', name).lower()


def _all_doubles(text: str) -> str:
    """Return YAML whose lists of whole and other numbers are of doubles."""
    try:
        tree = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError:
        return text  # rcl says what is wrong with it
    ends = sorted(_ends_of_whole_numbers(tree), reverse=True)
    for end in ends:
        text = f'{text[:end]}.0{text[end:]}'
    return text


def _ends_of_whole_numbers(tree: yaml.Node | None) -> Iterator[int]:
    if isinstance(tree, yaml.MappingNode):
        for _, value in tree.value:
            yield from _ends_of_whole_numbers(value)
    elif isinstance(tree, yaml.SequenceNode) and all(map(_is_number, tree.value)):
        whole = [n.end_mark.index for n in tree.value if _WHOLE.fullmatch(n.value)]
        if len(whole) < len(tree.value):
            yield from whole


def _is_number(tree: yaml.Node) -> bool:
    if not isinstance(tree, yaml.ScalarNode) or tree.style is not None:
        return False
    try:
        float(tree.value)
    except ValueError:
        return False
    return True
