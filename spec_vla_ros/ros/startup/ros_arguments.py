# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""A node's command line: which words are for ROS, and lists of numbers that rcl can read."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import yaml

FILE = ('--params-file',)
PARAMETER = ('-p', '--param')
REMAP = ('-r', '--remap')

_WHOLE = re.compile(r'[-+]?\d+')


def outside_ros_args(arguments: Sequence[str]) -> list[str]:
    """Return the words of a command line that are not between --ros-args and --."""
    ros, found = False, []
    for word in arguments:
        if word in ('--ros-args', '--'):
            ros = word == '--ros-args'
        elif not ros:
            found.append(word)
    return found


def given(arguments: Sequence[str], flags: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield (flag, value) for each of these flags that stands between --ros-args and --."""
    ros = False
    words = iter(arguments)
    for word in words:
        ros = (ros or word == '--ros-args') and word != '--'
        if ros and word in (*FILE, *PARAMETER, *REMAP):
            value = next(words, '')
            if word in flags:
                yield word, value


def with_whole_numbers(arguments: Sequence[str], *, copies: ExitStack) -> list[str]:
    """Return a command line in which [0.6, 1, 1] reads [0.6, 1.0, 1.0], in values and files.

    rcl refuses lists that mix whole and other numbers. A parameter file with such a list is copied
    into a temporary file, and only the list is changed; the command line then names the copy.

    copies: removes the temporary files when it is closed.
    Raises OSError: a copy is needed, and there is nowhere to write it.
    """
    changed = {}
    for flag, value in given(arguments, (*FILE, *PARAMETER)):
        if flag not in FILE:
            name, sign, said = value.partition(':=')
            changed[value] = f'{name}{sign}{_all_doubles(said)}'
        elif Path(value).is_file():
            text = Path(value).read_text(errors='surrogateescape')
            if (doubles := _all_doubles(text)) != text:
                folder = copies.enter_context(tempfile.TemporaryDirectory())
                copy = Path(folder) / Path(value).name
                copy.write_text(doubles, errors='surrogateescape')
                changed[value] = str(copy)
    return [changed.get(word, word) for word in arguments]


def _all_doubles(text: str) -> str:
    """Return YAML in which lists of mixed whole and other numbers have only doubles."""
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
