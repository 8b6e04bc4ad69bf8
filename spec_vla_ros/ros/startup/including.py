# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Finds what launch files that include ours give our nodes, or keep from them, unawares."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from spec_vla_ros.ros.startup.parameter_files import Sections, given_to, read_sections
from spec_vla_ros.settings.launch import Arguments
from spec_vla_ros.strict_yaml import same


def left_over(
    before: Mapping[str, str], now: Mapping[str, str], arguments: Arguments, *, share: str
) -> str:
    """Return in words what a file that is included again may have kept from the time before.

    The launch system keeps arguments for all that follows, unless a group ends: a second arm that
    is given no pose_topic of its own is given the first one's.

    Args:
        before: the values that the file had when it was included before.
        now: the values that it is given now, without defaults that are still to be filled in.
        arguments: the file's arguments.
        share: the package's share folder.
    """
    kept = [
        f'{name}:={value}'
        for name, argument in arguments.items()
        if (value := now.get(name)) == before.get(name)
        and value not in (None, argument.default.format(share=share))
    ]
    if not kept:
        return ''
    return (
        f'warning: {", ".join(kept)} may be left over from the arm before, since the launch '
        'system hands arguments on from one include to the next: put each include into a '
        'GroupAction of its own, as examples/two_arms.launch.py does'
    )


def refuse_overruled(
    given: Iterable[str | Path | tuple[str, Any]], file: str, *, node: str, share: str
) -> None:
    """Refuse what is set for all nodes if our own file of defaults would overrule it.

    SetParameter and SetParametersFromFile come before a node's own file. A file that somebody
    gives is meant to overrule them; the one that stands there where none is given is not.

    Args:
        given: what both actions set: files, and names with their values.
        file: the node's parameter file.
        node: the node's name with its namespace.
        share: the package's share folder.

    Raises:
        RuntimeError: a parameter would be overruled; the message says where it stands.
    """
    if Path(file).parent != Path(share) / 'config':
        return
    ours = {name: value for _, _, name, value in given_to(node, [(file, read_sections(file))])}
    for each in given:
        sections: Sections = (
            {'/**': {each[0]: each[1]}} if isinstance(each, tuple) else read_sections(str(each))
        )
        source = 'SetParameter' if isinstance(each, tuple) else str(each)
        for _, _, name, value in given_to(node, [(source, sections)]):
            if name in ours and not same(ours[name], value):
                raise RuntimeError(
                    f'{source}: {name} {value!r} would be in no force, for ROS takes the '
                    f'{ours[name]!r} of {file}, which counts where no other is given: give a '
                    'file of your own in its place, and put it there'
                )
