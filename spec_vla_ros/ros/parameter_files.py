# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Parameters as people hand them over: files and arguments, and what in them is in no force.

ROS drops what it cannot place without a word: entries of a node of another name, and names that no
node declares. Of two values it takes the last one, by the order in which names of nodes were first
written down.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spec_vla_ros.ros.launch_arguments import of_an_argument
from spec_vla_ros.ros.names import ALIKE, did_you_mean, means, nearest
from spec_vla_ros.ros.ros_arguments import FILE, PARAMETER, given
from spec_vla_ros.settings.nodes import PolicySettings
from spec_vla_ros.strict_yaml import merged, read_yaml, same

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

PARAMETERS = 'ros__parameters'
POLICY_PARAMETERS = frozenset(field.name for field in dataclasses.fields(PolicySettings))
OF_EVERY_NODE = ('use_sim_time', 'start_type_description_service')
WILDCARDS = {'**': r'(/\w+)*', '*': r'/\w+'}
"""What may stand for parts of a node's name in a file, as rcl reads it."""

_LAYOUT = (
    'they stand under the name of a node and ros__parameters, as in '
    'spec_vla: {ros__parameters: {dry_run: true}}'
)
_SET = re.compile(r'(?:(?P<node>[^:=]+):)?(?P<name>[^:=]+):=(?P<value>.*)', re.DOTALL)

Sections = dict[str, dict[str, Any]]
"""Name or pattern of a node -> its parameters."""

Sources = Sequence[tuple[str, Sections]]
"""Where parameters come from, a file or -p NAME:=VALUE, and those; the later ones win."""


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
        RuntimeError: there is no such file; it cannot be read in one way only; or some of it would
            be in no force, and it does not set accept_unknown_parameters.
    """
    expanded = Path(path).expanduser()
    if not expanded.is_file():
        raise RuntimeError(f'there is no parameter file {str(expanded)!r}')
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
    """Return what a parameter file gives to which nodes; nothing where there is no such file.

    Raises:
        ValueError: what ROS would read of it is not all that it says, or not what others would
            read; the message says why.
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
    """Return what the ROS arguments that set parameters give to which nodes.

    arguments: a command line, of which what stands between --ros-args and -- is looked at.
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
    """Return in words each -p and file that rcl cannot read, which says little of the reason.

    arguments: as of `sections_of`.
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


def _malformed_file(path: str) -> str:
    if not Path(path).is_file():
        return f'there is no parameter file {path!r}'
    try:
        given_any = any(read_sections(path).values())
    except ValueError as wrong:
        return str(wrong)
    return '' if given_any else f'{path} gives no node any parameter; {_LAYOUT}'


def refuse_contradictions(sources: Sources, *, node: str) -> None:
    """Raise ValueError, with both, where a node is given two values of a parameter in one place.

    A place is a file, or all of the arguments -p. A later place changes what earlier ones say,
    and so does a section for this node what one for many nodes says above it.
    """
    seen: dict[tuple[str, str], tuple[str, str, Any]] = {}
    for source, key, name, value in _given_to(node, sources):
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
    """Raise ValueError where ROS lets an earlier place overrule a later one, or a file the -p.

    It does where a file has a section for many nodes before one for this node, and where -p stands
    before a file.

    in_force: the node's parameters that were given, with the values that ROS took.
    """
    said: dict[str, list[tuple[str, str, Any]]] = {}  # what should win stands last
    ordered = sorted(sources, key=lambda source: source[0].startswith(PARAMETER))
    for source, key, name, value in _given_to(node, ordered):
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


def _given_to(node: str, sources: Sources) -> Iterator[tuple[str, str, str, Any]]:
    """Give source, section's key, name and value of each parameter that a node is given."""
    for source, sections in sources:
        for key in (key for key in sections if _matches(key, node)):
            for name, value in sections[key].items():
                yield source, key, name, value


def of_other_nodes(sources: Sources, *, node: str, names: Iterable[str]) -> list[str]:
    """Return in words what is given to nobody, or under other nodes' names and meant for this one.

    A file may hold the parameters of many nodes. What it holds of others is theirs if it gives
    this one something, unless their name sounds like this one's, or, where this one is given
    something by a wildcard only, most of it are names of this one's parameters.

    node: with its namespace; names: of its parameters.
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
    """Return in words each of the names that is none of the valid ones, with the nearest."""
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
    """Yield the names of values that stand where only names of nodes may."""
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
    """Return what -p NAME:=VALUE sets; where that is no YAML, rcl says so."""
    try:
        return read_yaml(word)
    except ValueError:
        return word


def _matches(key: str, node: str) -> bool:
    parts = (WILDCARDS.get(part, '/' + re.escape(part)) for part in key.strip('/').split('/'))
    return re.fullmatch(''.join(parts), node) is not None


def _narrowness(key: str) -> tuple[bool, int, int]:
    """Return how few nodes a pattern is for; the more, the fewer."""
    parts = key.strip('/').split('/')
    words = sum(part not in WILDCARDS for part in parts)
    return words == len(parts), words, -parts.count('**')


def _last(name: str) -> str:
    return name.rpartition('/')[2]
