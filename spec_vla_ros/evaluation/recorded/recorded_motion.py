# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Reads from a recording how the arm moved, in the units of an action."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spec_vla_ros.evaluation.recorded.motion_messages import (
    JOINTS,
    NUMBER,
    POSE,
    TWIST,
    Recorded,
    messages,
)
from spec_vla_ros.quaternions import IDENTITY, from_rotation_vector, product, rotation_vector
from spec_vla_ros.recordings.files import RecordingError
from spec_vla_ros.recordings.reader import stamp_ns
from spec_vla_ros.types import NANOSECONDS

HELD = 0.2
"""How long a velocity holds if no other follows, seconds; then the driver would time out."""

_SET_BACK = 1.0
"""Stamps that go back by more than this, seconds, mean that a clock was set back."""

_CLOCKS_APART = 0.5
"""Two clocks that differ by less than this, seconds, may differ by messages' latency only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MotionTopics:
    """The topics of a recording that tell the arm's motion; either `pose` or `twist`.

    pose: geometry_msgs/PoseStamped, where the end effector was.
    twist: geometry_msgs/TwistStamped, the velocities that it was commanded.
    twist_linear_scale, twist_angular_scale: what 1.0 of them is, m/s and rad/s; 1 unless they are
        unitless.
    gripper: std_msgs/Float64 or sensor_msgs/JointState, its positions; None if they were not
        recorded.
    gripper_joint: which joint of the JointState; None where there is only one.
    gripper_closed, gripper_open: the positions of the closed and the open gripper.

    Raises:
        ValueError: not exactly one of pose and twist is given, a scale without twist or not above
            0, a joint without a topic, or the gripper's positions are the same or not finite.
    """

    pose: str | None = None
    twist: str | None = None
    twist_linear_scale: float = 1.0
    twist_angular_scale: float = 1.0
    gripper: str | None = None
    gripper_joint: str | None = None
    gripper_closed: float = 0.0
    gripper_open: float = 1.0

    def __post_init__(self) -> None:
        if bool(self.pose) == bool(self.twist):
            raise ValueError(
                "give the topic of the arm's poses, or that of its velocities: one of the two"
            )
        scales = (self.twist_linear_scale, self.twist_angular_scale)
        if not all(0.0 < scale < np.inf for scale in scales):
            raise ValueError(f'the scales of velocities are {scales}: give numbers above 0')
        if scales != (1.0, 1.0) and not self.twist:
            raise ValueError('scales of velocities are given, but no topic of velocities')
        if self.gripper_joint and not self.gripper:
            raise ValueError(
                f'the joint {self.gripper_joint} of the gripper is given, but no topic of its '
                'positions'
            )
        if not np.isfinite([self.gripper_closed, self.gripper_open]).all():
            raise ValueError(
                f'the gripper is closed at {self.gripper_closed} and open at {self.gripper_open}: '
                'give finite positions'
            )
        if self.gripper_closed == self.gripper_open:
            raise ValueError(f'the gripper is closed and open at {self.gripper_open:g}')


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedMotion:
    """The motion of one recording.

    times: (N,) int64, ascending stamps, nanoseconds.
    positions: (N, 3), metres.
    quaternions: (N, 4), x y z w; the signs are such that neighbours can be interpolated.
    gripper_times: (M,) int64, nanoseconds.
    openings: (M,), 0 closed, 1 open.
    ahead_ns: median of stamp minus time of recording, nanoseconds.
    """

    times: np.ndarray
    positions: np.ndarray
    quaternions: np.ndarray
    gripper_times: np.ndarray
    openings: np.ndarray
    ahead_ns: int = 0

    def covers(self, stamps: np.ndarray) -> int:
        """Return how many of these stamps, nanoseconds, are within the motion."""
        return int(np.sum((self.times[0] <= stamps) & (stamps <= self.times[-1])))

    def clock_doubt(self, stamps: np.ndarray, recorded: np.ndarray) -> str:
        """Return a warning if pictures seem to be stamped by another clock than the arm's.

        It is empty if they do not.

        stamps, recorded: (N,) int64, the pictures' stamps and when they were recorded, ns.
        """
        if not len(stamps):
            return ''
        apart = (np.median(stamps - recorded) - self.ahead_ns) / NANOSECONDS
        if abs(apart) < _CLOCKS_APART:
            return ''
        where = 'ahead of' if apart > 0 else 'behind'
        return (
            f"the stamps of the pictures are {abs(apart):.1f} s {where} the arm's, by when both "
            'were recorded: where their clocks differ, each picture is compared with another '
            'moment of the motion; set the clocks alike (NTP, PTP), and record again'
        )

    def between(self, start_ns: int, end_ns: int) -> np.ndarray | None:
        """Return the motion between two stamps as an action: (7,), the opening that at the end.

        None if the recording does not cover it. An unknown opening is NaN.
        """
        if not self.times[0] <= start_ns < end_ns <= self.times[-1]:
            return None
        (here, there), (before, after) = (
            [[np.interp(t, self.times, c) for c in of.T] for t in (start_ns, end_ns)]
            for of in (self.positions, self.quaternions)
        )
        turn = rotation_vector(product(np.array(after), np.array(before) * (-1, -1, -1, 1)))
        place = int(np.searchsorted(self.gripper_times, end_ns)) - 1
        opening = self.openings[place] if place >= 0 else np.nan
        return np.array([*np.subtract(there, here), *turn, opening])


def recorded_motion(path: Path, topics: MotionTopics) -> RecordedMotion:
    """Read a recording's motion.

    Raises:
        RecordingError: a topic is missing or has fewer than two messages; a message has values
            that are not finite or an orientation of zeros; the messages are in several frames;
            their clock was set back; or the gripper's joint is not among those recorded.
    """
    topic, kind = (topics.pose, POSE) if topics.pose else (topics.twist, TWIST)
    moved = messages(path, str(topic), (kind,))
    if len(moved) < 2:
        raise RecordingError(f'{path}: {topic} has {len(moved)} messages, two are needed')
    frames = sorted({each.message.header.frame_id for each in moved})
    if len(frames) > 1:
        raise RecordingError(
            f'{path}: {topic} is in the frames {", ".join(map(repr, frames))}, as of several arms '
            'or sensors on one topic: record each on a topic of its own'
        )
    arrived = np.array([each.recorded_ns for each in moved])
    times = np.array([stamp_ns(each.message, each.recorded_ns) for each in moved])
    back = -np.diff(times).min() / NANOSECONDS
    if back > _SET_BACK:
        raise RecordingError(
            f'{path}: the stamps of {topic} go back by {back:.1f} s, as where a clock was set or '
            'a simulator started again: record each run by itself'
        )
    order = np.argsort(times, kind='stable')
    found = [moved[i].message for i in order]
    positions, quaternions = (
        _of_poses(found)
        if kind == POSE
        else _of_twists(found, np.diff(times[order]) / NANOSECONDS, topics)
    )
    ahead_ns = int(np.median(times - arrived))
    gripper_times, places = _gripper_positions(path, topics, ahead_ns)
    span = topics.gripper_open - topics.gripper_closed
    return RecordedMotion(
        times=times[order],
        positions=positions,
        quaternions=quaternions,
        gripper_times=gripper_times,
        openings=(places - topics.gripper_closed) / span,
        ahead_ns=ahead_ns,
    )


def _gripper_positions(
    path: Path, topics: MotionTopics, ahead_ns: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return stamps (M,) int64, ascending, nanoseconds, and the positions (M,) at them."""
    if not topics.gripper:
        return np.zeros(0, np.int64), np.zeros(0)
    said = messages(path, topics.gripper, (NUMBER, JOINTS))
    if said and said[0].kind == JOINTS:
        found = _of_joint(path, topics, said)
    elif topics.gripper_joint:
        raise RecordingError(
            f'{path}: {topics.gripper} is of type {NUMBER}, which names no joint: leave out that '
            f'of the gripper, {topics.gripper_joint}'
        )
    else:
        # These messages have no stamps. Their times are converted to the clock of the others,
        # which may be a simulator's.
        found = [(each.recorded_ns + ahead_ns, each.message.data) for each in said]
    found.sort()
    return np.array([t for t, _ in found], np.int64), np.array([place for _, place in found])


def _of_joint(path: Path, topics: MotionTopics, said: list[Recorded]) -> list[tuple[int, float]]:
    """Return stamps and positions of the gripper's joint, from those messages that have it."""
    names = sorted({name for each in said for name in each.message.name})
    joint = topics.gripper_joint or (names[0] if len(names) == 1 else None)
    if joint not in names:
        lacking = f'no joint {joint}' if joint else 'several joints'
        raise RecordingError(
            f'{path}: {topics.gripper} has {lacking}; it has: {", ".join(names) or "none"}; '
            "say which one is the gripper's (--gripper-joint)"
        )
    found = []
    for each in said:
        places = dict(zip(each.message.name, each.message.position, strict=False))
        if joint in places:
            found.append((stamp_ns(each.message, each.recorded_ns), float(places[joint])))
    if not found or not np.isfinite([place for _, place in found]).all():
        lacks = 'positions that are not finite' if found else 'no positions'
        raise RecordingError(f'{path}: {topics.gripper} has {lacks} of the joint {joint}')
    return found


def _of_poses(found: list[Any]) -> tuple[np.ndarray, np.ndarray]:
    """Return positions (N, 3) and quaternions (N, 4)."""
    poses = [m.pose for m in found]
    positions = np.array([[p.position.x, p.position.y, p.position.z] for p in poses])
    turns = [p.orientation for p in poses]
    quaternions = np.array([[q.x, q.y, q.z, q.w] for q in turns])
    # q and -q are the same rotation, but their mean is none: choose the sign of the neighbour.
    flips = np.cumprod(np.where(np.sum(quaternions[1:] * quaternions[:-1], axis=1) < 0, -1, 1))
    quaternions[1:] *= flips[:, None]
    return positions, quaternions


def _of_twists(
    found: list[Any], seconds: np.ndarray, topics: MotionTopics
) -> tuple[np.ndarray, np.ndarray]:
    """Integrate velocities, of which each holds until the next; returns the same as `_of_poses`.

    seconds: (N - 1,), from each message to the next.
    """
    held = np.minimum(seconds, HELD)[:, None]
    linear, angular = (
        scale * held * [[v.x, v.y, v.z] for v in vectors[:-1]]
        for scale, vectors in (
            (topics.twist_linear_scale, [m.twist.linear for m in found]),
            (topics.twist_angular_scale, [m.twist.angular for m in found]),
        )
    )
    positions = np.concatenate((np.zeros((1, 3)), np.cumsum(linear, axis=0)))
    quaternions = [IDENTITY]
    for turn in angular:
        quaternions.append(product(from_rotation_vector(turn), quaternions[-1]))
    return positions, np.array(quaternions)
