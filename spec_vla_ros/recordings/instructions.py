# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Which instruction was in force when: by what was said, or by what the policy node says of it.

What was said does not tell all: a stop cancels an instruction, and a goal of `execute_instruction`
is one, and neither is on its topic. The node's status has what was in force.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rosbags.interfaces import Connection, MessageDefinitionFormat
from rosbags.typesys import Stores, get_types_from_idl, get_types_from_msg, get_typestore

from spec_vla_ros.recordings.files import RecordingError
from spec_vla_ros.recordings.reader import Recording, connections, decompressed, message

INSTRUCTION_TOPIC = '/instruction'
"""Where they are unless somebody says otherwise: the policy node's own name."""

_TYPES = ('std_msgs/msg/String',)
_STATUS, _INACTIVE = 'spec_vla_ros/msg/PolicyStatus', 0
_WAY_ON = 'where none was recorded, give its text'

Instructions = tuple[list[float], list[str]]
"""When each came into force, nanoseconds, ascending, and its text; empty: none."""


def check_instructions(recording: Recording, path: Path, topic: str) -> None:
    """Make sure that there are some; RecordingError says what is there instead."""
    if not _statuses(recording, topic):
        _spoken(recording, path, topic)


def instructions_in_force(
    recording: Recording, path: Path, topic: str, *, report: Callable[[str], None]
) -> Instructions:
    """Return the instructions of a topic, or of the node that was active and heard it.

    report: called with a line where it is the node.

    Raises:
        RecordingError: the topic is not there, or of another type.
    """
    if statuses := _statuses(recording, topic):
        found = _in_statuses(recording, statuses)
        if found[0]:
            report(
                f'{path}: instructions are those that the node had in force, by its status in '
                f'{statuses[0].topic}'
            )
            return found
    spoken = _spoken(recording, path, topic)
    return _ascending(
        [
            (stamp_ns, message(connection, data).data)
            for connection, stamp_ns, data in recording.messages(spoken)
        ]
    )


def is_spoken(recording: Recording, topic: str) -> bool:
    """Return whether anything was said on a topic."""
    return any(c.topic == topic and c.msgcount for c in recording.connections)


def _spoken(recording: Recording, path: Path, topic: str) -> list[Connection]:
    """Return the connections of the instructions; RecordingError: see `connections`."""
    try:
        return connections(recording, path, topic, _TYPES)
    except RecordingError as error:
        raise RecordingError(f'{error}; {_WAY_ON}') from error


def _statuses(recording: Recording, topic: str) -> list[Connection]:
    """Return those of the node that hears a topic: of its namespace, or, unsaid, the only one."""
    found = [
        c
        for c in recording.connections
        if c.msgtype == _STATUS and c.msgcount and c.msgdef.format != MessageDefinitionFormat.NONE
    ]
    if len({c.topic for c in found}) > 1 or is_spoken(recording, topic):
        return [c for c in found if c.topic.rpartition('/')[0] == topic.rpartition('/')[0]]
    return found


def _in_statuses(recording: Recording, statuses: Sequence[Connection]) -> Instructions:
    types, msgdef = get_typestore(Stores.ROS2_HUMBLE), statuses[0].msgdef
    idl = msgdef.format == MessageDefinitionFormat.IDL
    types.register(
        get_types_from_idl(msgdef.data) if idl else get_types_from_msg(msgdef.data, _STATUS)
    )
    read: list[tuple[int, Any]] = [
        (stamp_ns, types.deserialize_cdr(decompressed(data), _STATUS))
        for _, stamp_ns, data in recording.messages(statuses)
    ]
    if all(status.state == _INACTIVE for _, status in read):
        return [], []  # it drove nothing; somebody else did
    return _ascending([(ns, s.instruction if s.state != _INACTIVE else '') for ns, s in read])


def _ascending(said: list[tuple[int, str]]) -> Instructions:
    said.sort(key=lambda pair: pair[0])
    return [float(stamp_ns) for stamp_ns, _ in said], [text.strip() for _, text in said]
