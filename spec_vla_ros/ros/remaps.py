# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Other names for topics, services and actions, as people give them, and which are in no force."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from spec_vla_ros.ros.names import (
    ALIKE,
    ALSO_CALLED,
    did_you_mean,
    means,
    nearest,
    sounds_like_a_stop,
)
from spec_vla_ros.ros.ros_arguments import REMAP, given

OF_THE_NODE = ('__node', '__name', '__ns')
OF_LIBRARIES = ('tf', 'tf_static', 'clock', 'rosout', 'parameter_events')

_RULE = re.compile(
    r'(?:(?P<node>\w+):(?!//))?(?:rostopic://|rosservice://)?(?P<name>[^:=]+):=(?P<other>.*)'
)
_PART = r'(?:[A-Za-z_]|\{\w+\})(?:\w|\{\w+\})*'
_NAME = re.compile(rf'(?:~?/)?{_PART}(?:/{_PART})*', re.ASCII)
_OF_AN_ACTION = '/_action/'
_STOP = 'emergency_stop'


def remaps_in_no_force(
    arguments: Sequence[str], *, node: str, names: Iterable[str], parameters: Iterable[str]
) -> list[str]:
    """Return in words each remap that renames nothing of this node.

    What is for a node of another name is that one's, if others are for this one by its name. A
    whole name may be a library's, unless it is nearly one of the node's, or becomes one.

    Args:
        arguments: a command line, of which what stands between --ros-args and -- is looked at.
        node: its name, with its namespace.
        names: of its topics, services and actions, as they are before they are remapped.
        parameters: their names.
    """
    namespace, _, own = node.rpartition('/')
    rules = [
        (f'{flag} {value}', match)
        for flag, value in given(arguments, REMAP)
        if (match := _RULE.fullmatch(value)) is not None  # else rcl says what is wrong with it
    ]
    shared = any(rule['node'] == own for _, rule in rules)
    relative, known = set(names), set(parameters)
    whole = {_whole(name, namespace, node) for name in relative}
    problems = _without_effect(rules, namespace, node)
    for said, rule in rules:
        if rule['node'] not in (None, own):
            if not shared or means(rule['node'], own):
                problems.append(f'{said} is in no force: the name of this node is {own!r}')
            continue
        name = rule['name'].partition(_OF_AN_ACTION)[0]
        if name.lstrip('/') in (*OF_THE_NODE, *OF_LIBRARIES):
            continue
        if _whole(name, namespace, node) in whole:
            continue
        if name in known:
            hint = f'; {name} is a parameter, which -p sets: -p {name}:={rule["other"]}'
        elif _whole(rule['other'], namespace, node) in whole:
            hint = f'; it is the wrong way round: write {rule["other"]}:={name}'
        elif name.startswith('/'):
            own_name = _whole(name.strip('/'), namespace, node)
            near = own_name if own_name in whole else _below(name, namespace, own, relative)
            near = near or nearest(name, whole, cutoff=ALIKE)
            if not near:
                continue
            hint = f'; did you mean {near}?'
        elif sounds_like_a_stop(name) and _STOP in relative:  # nearer in letters: the service stop
            hint = f'; did you mean {_STOP}?'
        else:
            hint = did_you_mean(name, relative)
        problems.append(f'{said} is in no force: there is no such topic, service or action{hint}')
    return problems


def malformed(arguments: Sequence[str]) -> list[str]:
    """Return in words each remap to what is no name; rcl gives the rule and no reason.

    arguments: as of `remaps_in_no_force`.
    """
    problems = []
    for flag, value in given(arguments, REMAP):
        name, sign, other = value.partition(':=')
        if not sign:
            problems.append(f'{flag} {value}: write NAME:=OTHER')
        elif name.endswith('__ns') and not other.startswith('/'):
            problems.append(f'{flag} {value}: a namespace begins with a slash: /{other}')
        elif not _NAME.fullmatch(other) and not (name.endswith('__ns') and other == '/'):
            problems.append(
                f'{flag} {value}: {other!r} is no name of ROS, which has letters, digits and '
                'underscores, in parts between single slashes that begin with no digit'
            )
    return problems


def _without_effect(
    rules: Sequence[tuple[str, re.Match[str]]], namespace: str, node: str
) -> list[str]:
    """Return in words each remap of a name that one before it renames otherwise.

    ROS takes the first. One for this node by its name may come before one for all. The launch
    files rename nothing, or to the root, where they are told no name: SetRemap overrules that.
    """
    firsts: dict[str, tuple[str, re.Match[str]]] = {}
    problems = []
    for said, rule in rules:
        if rule['node'] not in (None, node.rpartition('/')[2]) or rule['name'] in OF_THE_NODE:
            continue
        name, other = (_whole(rule[key], namespace, node) for key in ('name', 'other'))
        before, first = firsts.setdefault(name, (said, rule))
        for_all = first['node'] is not None and rule['node'] is None
        no_other = other in (name, f'/{rule["name"]}')
        if _whole(first['other'], namespace, node) != other and not for_all and not no_other:
            problems.append(f'{said} is in no force: ROS takes the first, {before}; leave one out')
    return problems


def _below(name: str, namespace: str, own: str, relative: Iterable[str]) -> str:
    """Return what a whole name below the node's own means, which topics are not; else nothing."""
    called = (own, *ALSO_CALLED.get(own, ()))
    if not name.startswith(tuple(f'{n}/{each}/' for n in {namespace, ''} for each in called)):
        return ''
    last = name.rpartition('/')[2]
    return next((each for each in relative if each.rpartition('/')[2] == last), '')


def _whole(name: str, namespace: str, node: str) -> str:
    """Return a name as it is from the root."""
    if name.startswith('~'):
        return f'{node}{name[1:]}'
    return name if name.startswith('/') else f'{namespace}/{name}'
