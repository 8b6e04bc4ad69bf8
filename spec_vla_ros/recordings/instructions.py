# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Finds out which instruction was in force at each moment of a recording.

The topic of instructions does not tell everything: a stop cancels an instruction, and a goal of
`execute_instruction` sets one. So the policy node's status is preferred if it was recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rosbags.interfaces import Connection, MessageDefinitionFormat
from rosbags.typesys import Stores, get_types_from_idl, get_types_from_msg, get_typestore

from spec_vla_ros.recordings.files import RecordingError
from spec_vla_ros.recordings.reader import (
    Recording,
    check_messages,
    connections,
    decompressed,
    message,
)

INSTRUCTION_TOPIC = '/instruction'
"""Default topic of instructions, which is the policy node's."""

_TYPES = ('std_msgs/msg/String',)
_STATUS, _INACTIVE = 'spec_vla_ros/msg/PolicyStatus', 0
_WAY_ON = 'where none was recorded, give its text'

Instructions = tuple[list[float], list[str]]
"""When each instruction came into force, nanoseconds, ascending; and its text, empty for none."""


def check_instructions(recording: Recording, path: Path, topic: str) -> None:
    """Raise RecordingError unless instructions were recorded; it says what there is instead."""
    if not _statuses(recording, topic):
        check_messages(recording, path, _spoken(recording, path, topic), way_on=_WAY_ON)


def instructions_in_force(
    recording: Recording, path: Path, topic: str, *, report: Callable[[str], None]
) -> Instructions:
    """Return the instructions that the policy node had in force, or else those of a topic.

    The node is one that was active and subscribed to this topic.

    report: called with a line if the instructions are the node's.

    Raises:
        RecordingError: the topic was not recorded, or is of another type.
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
    """Return whether a topic has any messages."""
    return any(c.topic == topic and c.msgcount for c in recording.connections)


def _spoken(recording: Recording, path: Path, topic: str) -> list[Connection]:
    """Return the connections of the instructions; RecordingError: see `connections`."""
    try:
        return connections(recording, path, topic, _TYPES)
    except RecordingError as error:
        raise RecordingError(f'{error}; {_WAY_ON}') from error


def _statuses(recording: Recording, topic: str) -> list[Connection]:
    """Return the status connections of the node that subscribed to a topic.

    It is the node in the topic's namespace. If nothing was said on the topic and there is only one
    node, it is that one.
    """
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
        return [], []  # this node drove nothing
    return _ascending([(ns, s.instruction if s.state != _INACTIVE else '') for ns, s in read])


def _ascending(said: list[tuple[int, str]]) -> Instructions:
    said.sort(key=lambda pair: pair[0])
    return [float(stamp_ns) for stamp_ns, _ in said], [text.strip() for _, text in said]
