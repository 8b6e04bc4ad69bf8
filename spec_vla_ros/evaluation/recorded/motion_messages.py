# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Reads the messages of a recording that tell a motion, and refuses those that tell none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spec_vla_ros.recordings.files import RecordingError
from spec_vla_ros.recordings.reader import connections, message, opened

POSE, TWIST, NUMBER, JOINTS = (
    'geometry_msgs/msg/PoseStamped',
    'geometry_msgs/msg/TwistStamped',
    'std_msgs/msg/Float64',
    'sensor_msgs/msg/JointState',
)
_WAYS_ON = {
    POSE: (
        'publish the pose in that type beside the arm, and record it: examples/pose_from_tf.py '
        'makes one of TF'
    ),
    TWIST: "record stamped velocities, or give the arm's poses in their place (--pose-topic)",
    NUMBER: "publish the position of the gripper's joint in one of them beside it, and record it",
}
"""Type -> what to do if a topic has another one."""

_ORIENTATION = 'orientation'
_NO_ROTATION = 1e-6  # a shorter quaternion is no rotation

_Numbers = dict[str, tuple[float, ...]]  # name of a field of a message -> its numbers


@dataclass(frozen=True, slots=True)
class Recorded:
    """A message of a recording, its type, and when it was recorded, nanoseconds."""

    recorded_ns: int
    kind: str
    message: Any


def messages(path: Path, topic: str, kinds: tuple[str, ...]) -> list[Recorded]:
    """Return all messages of a topic that has one of these types, in the order of recording.

    Raises:
        RecordingError: there is no such topic, it has another type, or a message has values that
            are not finite or an orientation of zeros.
    """
    with opened(path) as recording:
        named = connections(recording, path, topic, kinds, way_on=_WAYS_ON[kinds[0]])
        found = [
            Recorded(recorded_ns, connection.msgtype, message(connection, data))
            for connection, recorded_ns, data in recording.messages(named)
        ]
    for count, each in enumerate(found, 1):
        for name, values in _NUMBERS[each.kind](each.message).items():
            fault = _fault(name, values)
            if fault:
                row = ' '.join(f'{value:g}' for value in values)
                raise RecordingError(f'{path}: message {count} of {topic}: {name} {row}: {fault}')
    return found


def _numbers_of_pose(pose: Any) -> _Numbers:
    place, turn = pose.pose.position, pose.pose.orientation
    return {
        'position': (place.x, place.y, place.z),
        _ORIENTATION: (turn.x, turn.y, turn.z, turn.w),
    }


def _numbers_of_twist(twist: Any) -> _Numbers:
    parts = {'linear': twist.twist.linear, 'angular': twist.twist.angular}
    return {name: (v.x, v.y, v.z) for name, v in parts.items()}


_NUMBERS: dict[str, Callable[[Any], _Numbers]] = {
    POSE: _numbers_of_pose,
    TWIST: _numbers_of_twist,
    NUMBER: lambda number: {'data': (number.data,)},
    JOINTS: lambda joints: {},  # a robot may not know where joints are that nobody asks for
}


def _fault(name: str, values: tuple[float, ...]) -> str:
    """Return why a field's values are unusable; empty if they are usable."""
    if not np.isfinite(values).all():
        return 'not finite'
    if name == _ORIENTATION and np.linalg.norm(values) < _NO_ROTATION:
        return 'no rotation, which has a length of 1'
    return ''
