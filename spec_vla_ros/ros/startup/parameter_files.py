# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Finds parameters that have no effect or contradict others, in files and on the command line.

ROS silently drops parameters that are given to a node of another name, or that no node declares.
If a parameter has two values, it takes the last one, in the order in which the names of the nodes
first occur.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spec_vla_ros.files import no_file
from spec_vla_ros.ros.names import ALIKE, did_you_mean, means, nearest
from spec_vla_ros.ros.startup.launch_arguments import of_an_argument
from spec_vla_ros.ros.startup.ros_arguments import FILE, PARAMETER, given
from spec_vla_ros.settings.nodes import PolicySettings
from spec_vla_ros.strict_yaml import merged, read_yaml, same

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

PARAMETERS = 'ros__parameters'
POLICY_PARAMETERS = frozenset(field.name for field in dataclasses.fields(PolicySettings))
OF_EVERY_NODE = ('use_sim_time', 'start_type_description_service')
WILDCARDS = {'**': r'(/\w+)*', '*': r'/\w+'}
"""Wildcards for parts of a node's name in a file -> regular expressions with rcl's meaning."""

_LAYOUT = (
    'they stand under the name of a node and ros__parameters, as in '
    'spec_vla: {ros__parameters: {dry_run: true}}'
)
_SET = re.compile(r'(?:(?P<node>[^:=]+):)?(?P<name>[^:=]+):=(?P<value>.*)', re.DOTALL)

Sections = dict[str, dict[str, Any]]
"""Name of a node, or a pattern -> its parameters."""

Sources = Sequence[tuple[str, Sections]]
"""(a file's path or the words -p NAME:=VALUE, the parameters from there); the last should win."""


def checked_file(
    path: str, *, node: str, namespace: str, settings: type[DataclassInstance]
) -> str:
    """Check a parameter file for a node, and return its path with ~ expanded.

    Without this check, ROS would only warn of a missing file, drop what it cannot place, and start
    the node.

    Args:
        path: the path as the user gives it.
        node: the name of the node.
        namespace: the namespace of the node.
        settings: the class that declares the node's parameters.

    Raises:
        RuntimeError: there is no such file; it is ambiguous; or a part of it would have no effect,
            and it does not set accept_unknown_parameters.
    """
    expanded = Path(path).expanduser()
    if not expanded.is_file():
        raise RuntimeError(_missing(expanded))
    whole = f'/{namespace.strip("/")}/{node}'.replace('//', '/')
    try:
        sources = [(str(expanded), read_sections(str(expanded)))]
        refuse_contradictions(sources, node=whole)
    except ValueError as wrong:
        raise RuntimeError(str(wrong)) from wrong
    found = {
        name: value
        for key, parameters in sources[0][1].items()
        if _matches(key, whole)
        for name, value in parameters.items()
    }
    names = {*(field.name for field in dataclasses.fields(settings)), *OF_EVERY_NODE}
    problems = [
        *(f'{expanded}: {problem}' for problem in of_no_name(found, names=names)),
        *of_other_nodes(sources, node=whole, names=names),
    ]
    if problems and not found.get('accept_unknown_parameters'):
        raise RuntimeError('; '.join(problems))
    return str(expanded)


def read_sections(path: str) -> Sections:
    """Return what a parameter file gives to which nodes; nothing if there is no such file.

    Raises:
        ValueError: ROS would not read all of the file, or would read it differently from other
            programs; the message says why.
    """
    found: Sections = {}
    try:
        tree = read_yaml(Path(path).read_text())
        for key, parameters in _sections(tree, ''):
            found[key] = merged(found.get(key, {}), parameters)
        if any(found.values()) and (name := next(_outside(tree), '')):
            raise ValueError(f'{name} does not stand below ros__parameters; {_LAYOUT}')
    except OSError:
        return {}  # rcl says what is wrong with it
    except ValueError as wrong:
        raise ValueError(f'{path} is no parameter file: {wrong}') from wrong
    return found


def sections_of(arguments: Sequence[str]) -> list[tuple[str, Sections]]:
    """Return what the parameter files and -p of a command line give to which nodes.

    arguments: a command line; only words between --ros-args and -- count.
    Raises ValueError: a file cannot be read, see `read_sections`.
    """
    found: list[tuple[str, Sections]] = []
    for flag, value in given(arguments, (*FILE, *PARAMETER)):
        if flag in FILE:
            found.append((value, read_sections(value)))
        elif (match := _SET.fullmatch(value)) is not None:
            parameters = {match['name']: _value(match['value'])}
            found.append((f'{flag} {value}', {match['node'] or '/**': parameters}))
    return found


def malformed_parameters(arguments: Sequence[str]) -> list[str]:
    """Return in words what is wrong with each -p and file that rcl cannot read; rcl says little.

    arguments: as for `sections_of`.
    """
    problems = []
    for flag, value in given(arguments, (*FILE, *PARAMETER)):
        if flag in FILE:
            problems.append(_malformed_file(value))
        elif (match := _SET.fullmatch(value)) is None:
            problems.append(f'{flag} {value}: write NAME:=VALUE')
        elif '/' in (match['node'] or ''):
            problems.append(f'{flag} {value}: the name of a node stands without its namespace')
    return [problem for problem in problems if problem]


def _missing(path: Path) -> str:
    why = f': {no_file(path)}' if path.is_dir() else ''
    return f'there is no parameter file {str(path)!r}{why}'


def _malformed_file(path: str) -> str:
    if not Path(path).is_file():
        return _missing(Path(path))
    try:
        given_any = any(read_sections(path).values())
    except ValueError as wrong:
        return str(wrong)
    return '' if given_any else f'{path} gives no node any parameter; {_LAYOUT}'


def refuse_contradictions(sources: Sources, *, node: str) -> None:
    """Raise ValueError if one place gives a node two values of a parameter; it names both.

    A place is a file, or all -p together. Allowed are another value in a later place, and one in
    a section for this node after one for many nodes.
    """
    seen: dict[tuple[str, str], tuple[str, str, Any]] = {}
    for source, key, name, value in given_to(node, sources):
        place = '' if source.startswith(PARAMETER) else source
        said, before_key, before = seen.get((place, name), (source, key, value))
        if not same(before, value) and _narrowness(key) <= _narrowness(before_key):
            there = f'{said} and {source}' if said != source else source
            raise ValueError(
                f'{there}: {name} is given twice, to {before_key!r} as {before!r} and to '
                f'{key!r} as {value!r}; the last would win: keep one'
            )
        seen[place, name] = (source, key, value)


def refuse_overruled(sources: Sources, *, node: str, in_force: Mapping[str, Any]) -> None:
    """Raise ValueError if ROS lets an earlier place overrule a later one, or a file a -p.

    It does so if a file has a section for many nodes before one for this node, and if -p stands
    before a file.

    in_force: the parameters that the node was given, with the values that ROS took.
    """
    said: dict[str, list[tuple[str, str, Any]]] = {}  # the value that should win is the last
    ordered = sorted(sources, key=lambda source: source[0].startswith(PARAMETER))
    for source, key, name, value in given_to(node, ordered):
        if name in in_force:
            said.setdefault(name, []).append((source, key, value))
    for name, values in said.items():
        source, _, value = values[-1]
        taken = [each for each in values if same(each[2], in_force[name])]
        if taken and not same(value, in_force[name]):
            there, key, other = taken[-1]
            raise ValueError(
                f'{source}: {name} {value!r} would be in no force, for ROS takes the {other!r} '
                f'that {there} gives to {key!r}: keep one of the two'
            )


def given_to(node: str, sources: Sources) -> Iterator[tuple[str, str, str, Any]]:
    """Yield (source, section's key, parameter, value) for all parameters that a node is given."""
    for source, sections in sources:
        for key in (key for key in sections if _matches(key, node)):
            for name, value in sections[key].items():
                yield source, key, name, value


def of_other_nodes(sources: Sources, *, node: str, names: Iterable[str]) -> list[str]:
    """Return in words which parameters are given to no node, or to others but meant for this one.

    A file may hold the parameters of many nodes. If it gives this node something, too, then
    parameters for other names belong to other nodes, with two exceptions: the other name sounds
    like this node's; or this node is given something by a wildcard only, and most of the other
    parameters have names of this node's parameters.

    node: the node's name with its namespace; names: the names of its parameters.
    """
    ours, problems = set(names), []
    for source, sections in sources:
        if not any(sections.values()) and Path(source).is_file():
            problems.append(f'{source} is in no force: it gives no node any parameter; {_LAYOUT}')
        matching = [key for key in sections if _matches(key, node)]
        by_name = any('*' not in key for key in matching)
        for key, parameters in sections.items():
            known = [name for name in parameters if nearest(name, ours, cutoff=ALIKE)]
            own = [name for name in known if name not in OF_EVERY_NODE]
            others = len([name for name in parameters if name not in known])
            meant = (len(own) > others and not by_name) or (own and means(_last(key), _last(node)))
            if key in matching or (matching and not meant):
                continue
            problems += [
                f'{source}: {name} is in no force: it is given to {key!r}, this node is {node!r}'
                for name in parameters
            ]
    return problems


def of_no_name(given_names: Iterable[str], *, names: Iterable[str]) -> list[str]:
    """Return in words which names are not among the valid ones, and what they may mean."""
    valid = set(names)
    of_policy = valid.issuperset(POLICY_PARAMETERS)
    return [
        f'{name} is in no force: there is no such parameter'
        + ((of_policy and of_an_argument(name)) or did_you_mean(name, valid))
        for name in sorted(set(given_names) - valid)
    ]


def _sections(tree: Any, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for key, value in tree.items() if isinstance(tree, Mapping) else ():
        if key == PARAMETERS:
            yield name or '/', dict(_flat(value, ''))
        else:
            yield from _sections(value, f'{name}/{str(key).strip("/")}')


def _outside(tree: Any) -> Iterator[str]:
    """Yield the names of values that stand where only names of nodes may stand."""
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from _outside(value) if key != PARAMETERS else ()
        elif value is not None and key != PARAMETERS:
            yield str(key)


def _flat(tree: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    for key, value in tree.items() if isinstance(tree, Mapping) else ():
        if isinstance(value, Mapping):
            yield from _flat(value, f'{prefix}{key}.')
        else:
            yield f'{prefix}{key}', value


def _value(word: str) -> Any:
    """Return the value of -p NAME:=VALUE; if that is no YAML, as a word, and rcl says so."""
    try:
        return read_yaml(word)
    except ValueError:
        return word


def _matches(key: str, node: str) -> bool:
    parts = (WILDCARDS.get(part, '/' + re.escape(part)) for part in key.strip('/').split('/'))
    return re.fullmatch(''.join(parts), node) is not None


def _narrowness(key: str) -> tuple[bool, int, int]:
    """Return a key by which patterns compare: greater for those that match fewer nodes."""
    parts = key.strip('/').split('/')
    words = sum(part not in WILDCARDS for part in parts)
    return words == len(parts), words, -parts.count('**')


def _last(name: str) -> str:
    return name.rpartition('/')[2]
