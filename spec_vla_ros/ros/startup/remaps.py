# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Remaps on a command line, and which of them are malformed or rename nothing."""

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
from spec_vla_ros.ros.startup.ros_arguments import REMAP, given

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
    """Return in words which remaps rename nothing of this node.

    A remap for a node of another name is accepted if the command line also has remaps for this
    node by its name, and the other name does not seem to mean this node: then several nodes share
    the command line. A whole name (with a leading slash) is accepted, since a library may use it,
    unless it is nearly a name of this node or is remapped to one.

    Args:
        arguments: a command line; only words between --ros-args and -- count.
        node: the node's name, with its namespace.
        names: the node's topics, services and actions, before remapping.
        parameters: the names of the node's parameters.
    """
    namespace, _, own = node.rpartition('/')
    rules = [
        (f'{flag} {value}', match)
        for flag, value in given(arguments, REMAP)
        if (match := _RULE.fullmatch(value)) is not None  # otherwise rcl says what is wrong
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
        elif sounds_like_a_stop(name) and _STOP in relative:  # by letters, ~/stop may be nearer
            hint = f'; did you mean {_STOP}?'
        else:
            hint = did_you_mean(name, relative)
        problems.append(f'{said} is in no force: there is no such topic, service or action{hint}')
    return problems


def malformed(arguments: Sequence[str]) -> list[str]:
    """Return in words which remaps have an invalid name; rcl would not say what is wrong.

    arguments: as for `remaps_in_no_force`.
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
    """Return in words which remaps rename a name that an earlier one renames differently.

    ROS takes the first. Accepted are a remap for all nodes after one for this node by its name,
    and a remap of a name to itself or to the same name at the root. The launch files give the
    latter where they are told no other name, and SetRemap overrules that.
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
    """Return the topic that a whole name below the node's own means; empty if it means none.

    Topics are below the node's namespace and not below its name, which people confuse.
    """
    called = (own, *ALSO_CALLED.get(own, ()))
    if not name.startswith(tuple(f'{n}/{each}/' for n in {namespace, ''} for each in called)):
        return ''
    last = name.rpartition('/')[2]
    return next((each for each in relative if each.rpartition('/')[2] == last), '')


def _whole(name: str, namespace: str, node: str) -> str:
    """Return a name with its namespace, from the root."""
    if name.startswith('~'):
        return f'{node}{name[1:]}'
    return name if name.startswith('/') else f'{namespace}/{name}'
