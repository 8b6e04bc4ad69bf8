# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Rotations as ROS writes them: quaternions (4,), x y z w."""

from __future__ import annotations

import numpy as np

IDENTITY = np.array([0.0, 0.0, 0.0, 1.0])


def from_rotation_vector(vector: np.ndarray) -> np.ndarray:
    """Return the quaternion of a rotation vector (3,) in radians."""
    angle = float(np.linalg.norm(vector))
    # sin(angle / 2) / angle, which is 1 / 2 at zero
    return np.append(vector * np.sinc(angle / (2 * np.pi)) / 2, np.cos(angle / 2))


def rotation_vector(quaternion: np.ndarray) -> np.ndarray:
    """Return the shorter rotation vector (3,), radians, of a quaternion that is not zero."""
    x = normalised(quaternion)
    x = -x if x[3] < 0 else x
    length = np.linalg.norm(x[:3])
    angle = 2 * np.arctan2(length, x[3])
    return np.asarray(x[:3] * (angle / length if length > 1e-12 else 2.0))


def product(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Return the quaternion of the right rotation followed by the left one, about fixed axes."""
    (a, p), (b, q) = (left[3], left[:3]), (right[3], right[:3])
    return np.append(a * q + b * p + np.cross(p, q), a * b - p @ q)


def normalised(quaternion: np.ndarray) -> np.ndarray:
    """Return the unit quaternion of the same rotation."""
    return np.asarray(quaternion / np.linalg.norm(quaternion))
