# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Where the end effector is, and whether that is still known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spec_vla_ros.control.image_watch import NANOSECONDS


@dataclass(frozen=True, slots=True)
class Pose:
    """An end-effector pose as it arrived.

    position: (3,) metres; quaternion: (4,) x, y, z, w; both in frame_id.
    stamp_ns: when it was measured; its arrival, if it came without a stamp.
    """

    position: np.ndarray
    quaternion: np.ndarray
    frame_id: str
    stamp_ns: int


class PoseWatch:
    """Keeps the newest pose, and knows whether it may be relied on."""

    def __init__(self) -> None:
        self._newest: Pose | None = None

    @property
    def newest(self) -> Pose | None:
        """The pose that arrived last."""
        return self._newest

    def store(self, pose: Pose) -> None:
        """Keep a pose that has just arrived."""
        self._newest = pose

    def fault(self, *, now_ns: int, timeout: float, frame_id: str) -> str | None:
        """Return why the position cannot be relied on, or None when it can.

        timeout: seconds; frame_id: the frame it must be given in.
        """
        pose = self._newest
        if pose is None:
            return 'no end-effector pose has arrived'
        if pose.frame_id != frame_id:
            return f'the end-effector pose is in frame {pose.frame_id!r}, not in {frame_id!r}'
        if not np.isfinite(pose.position).all():
            return 'the end-effector pose is not finite'
        age = (now_ns - pose.stamp_ns) / NANOSECONDS
        if abs(age) > timeout:
            return f'the end-effector pose is {age:.2f} s old (pose_timeout={timeout})'
        return None
