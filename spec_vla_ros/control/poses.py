# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The newest end-effector pose, and whether it may be relied on."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np

from spec_vla_ros.control.watches import ANOTHER_CLOCK, ONE_SIMULATED, SEVERAL, both, two_clocks
from spec_vla_ros.types import NANOSECONDS

_UNFILLED = ([0.0] * 4, [0.0, 0.0, 0.0, 1.0])
"""Quaternions of messages that nobody has filled in: ROS 2 makes them with w = 1."""
_LENGTH_TOLERANCE = 0.1  # by which the length of a rotation's quaternion may differ from 1
_REACH = 10.0  # metres; no arm reaches further from its frame, but positions in millimetres do


@dataclass(frozen=True, slots=True)
class Pose:
    """An end-effector pose as it arrived.

    position: (3,) metres; quaternion: (4,) x, y, z, w; both in frame_id.
    stamp_ns: when it was measured; its arrival, if it came without a stamp.
    source: who sent it; None if that is not known; `SEVERAL` if, moreover, more than one
        publisher may have.
    arrival_ns: when it arrived, by the node's clock; 0 means at stamp_ns.
    """

    position: np.ndarray
    quaternion: np.ndarray
    frame_id: str
    stamp_ns: int
    source: Hashable = None
    arrival_ns: int = 0

    @property
    def has_position(self) -> bool:
        """Whether its position is finite."""
        return bool(np.isfinite(self.position).all())

    @property
    def has_orientation(self) -> bool:
        """Whether its quaternion is a rotation; drivers without one often leave four zeros."""
        return bool(abs(np.linalg.norm(self.quaternion) - 1.0) < _LENGTH_TOLERANCE)

    def shows_the_same(self, other: Pose) -> bool:
        """Whether the other pose comes from the same source and is equal, except for its stamp."""
        return (
            self.source == other.source
            and np.array_equal(self.position, other.position)
            and np.array_equal(self.quaternion, other.quaternion)
        )


class PoseWatch:
    """Keeps the newest end-effector pose, and knows whether it may be relied on."""

    def __init__(self) -> None:
        self._newest: Pose | None = None
        self._other: Pose | None = None  # the newest from another source

    @property
    def newest(self) -> Pose | None:
        """The pose that arrived last."""
        return self._newest

    def store(self, pose: Pose) -> None:
        """Keep a pose that has just arrived."""
        if self._newest is not None and self._newest.source != pose.source:
            self._other = self._newest
        self._newest = pose

    def fault(
        self, *, now_ns: int, timeout: float, frame_id: str, oriented: bool = False
    ) -> str | None:
        """Return why the pose cannot be relied on; None if it can.

        Args:
            now_ns: the time by the node's clock.
            timeout: seconds after which a pose is too old.
            frame_id: the frame that the pose must be given in.
            oriented: whether the orientation is needed, too.
        """
        pose = self._newest
        if pose is None:
            return 'no end-effector pose has arrived'
        other = self._other
        several = pose.source == SEVERAL or (
            other is not None
            and other.source != pose.source
            and abs(now_ns - (other.arrival_ns or other.stamp_ns)) <= timeout * NANOSECONDS
        )
        if several:
            who = both(pose.source, other and other.source)
            return f'{who} send end-effector poses on the same topic: which is the arm?'
        if pose.frame_id != frame_id:
            return (
                f'the end-effector pose is in frame {pose.frame_id!r}, not in {frame_id!r}, which '
                'is command_frame: publish it there (examples/pose_from_tf.py does, from TF); set '
                'command_frame only if the actions are in that frame, too'
            )
        if not pose.has_position:
            return 'the end-effector pose is not finite'
        if oriented and not pose.has_orientation:
            x, y, z, w = pose.quaternion
            return (
                f'the end-effector pose has no orientation: quaternion x {x:g}, y {y:g}, z {z:g}, '
                f'w {w:g} is not of length 1'
            )
        if not pose.position.any() and pose.quaternion.tolist() in _UNFILLED:
            return (
                'the end-effector pose is all zeros, or but for the w of 1 that every new message '
                f'has: nobody has filled it in; publish where it is in {frame_id!r}'
            )
        if np.abs(pose.position).max() > _REACH:
            x, y, z = pose.position
            return (
                f'the end-effector pose is at x {x:g}, y {y:g}, z {z:g}, further away than '
                f'{_REACH:g} m: it must be in metres'
            )
        age = (now_ns - pose.stamp_ns) / NANOSECONDS
        if abs(age) > ANOTHER_CLOCK:
            return two_clocks('end-effector pose is', stamp_ns=pose.stamp_ns, now_ns=now_ns)
        if abs(age) > timeout:
            why = (
                ": it is stamped in the future, so its publisher's clock and the node's differ; "
                f'{ONE_SIMULATED}?'
                if age < 0
                else ''
            )
            return f'the end-effector pose is {age:.2f} s old (pose_timeout={timeout}){why}'
        return None
