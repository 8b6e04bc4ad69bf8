# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Where the end effector is to be: a pose, moved on by the commanded velocities."""

from __future__ import annotations

import dataclasses

import numpy as np

from spec_vla_ros.control.pose_watch import Pose
from spec_vla_ros.control.schedule import Twist


class PoseTarget:
    """Integrates velocities into a target that starts where the end effector is.

    While the arm stands still the target stays where it is, so that a controller which is told
    targets holds its position, or finishes the way it has left. A halt sets it to where the arm
    is, for which it need not go on.
    """

    def __init__(self) -> None:
        self._target: Pose | None = None

    @property
    def pose(self) -> Pose | None:
        """The target; None before the first pose."""
        return self._target

    def anchor(self, measured: Pose | None) -> None:
        """Set the target to where the end effector was measured."""
        if measured is not None:
            self._target = measured

    def move(self, twist: Twist, *, seconds: float) -> None:
        """Move the target on by a velocity about the axes of its frame, held for some seconds."""
        if self._target is None:
            return
        turn = from_rotation_vector(twist.angular * seconds)
        self._target = dataclasses.replace(
            self._target,
            position=self._target.position + twist.linear * seconds,
            quaternion=normalised(product(turn, self._target.quaternion)),
        )


def from_rotation_vector(vector: np.ndarray) -> np.ndarray:
    """Return the quaternion (x, y, z, w) of a rotation vector in radians."""
    angle = float(np.linalg.norm(vector))
    # sin(angle / 2) / angle, which is 1 / 2 at zero
    return np.append(vector * np.sinc(angle / (2 * np.pi)) / 2, np.cos(angle / 2))


def product(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Return the quaternion of the right rotation followed by the left one, about fixed axes."""
    (a, p), (b, q) = (left[3], left[:3]), (right[3], right[:3])
    return np.append(a * q + b * p + np.cross(p, q), a * b - p @ q)


def normalised(quaternion: np.ndarray) -> np.ndarray:
    """Return the unit quaternion of the same rotation."""
    return quaternion / np.linalg.norm(quaternion)
