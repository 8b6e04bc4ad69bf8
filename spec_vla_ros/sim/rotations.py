# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Rotations in MuJoCo's convention: quaternions are w x y z."""

from __future__ import annotations

import mujoco
import numpy as np


def quaternion_of(rotation_vector: np.ndarray | tuple) -> np.ndarray:
    """Return the quaternion (w x y z) of a rotation vector (3,) in radians."""
    vector = np.asarray(rotation_vector, dtype=float)
    angle = np.linalg.norm(vector)
    quaternion = np.zeros(4)
    mujoco.mju_axisAngle2Quat(quaternion, vector / max(angle, 1e-12), angle)
    return quaternion


def multiply(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Return the product of two quaternions, normalised."""
    product = np.zeros(4)
    mujoco.mju_mulQuat(product, left, right)
    return product / np.linalg.norm(product)


def matrix_of(quaternion: np.ndarray) -> np.ndarray:
    """Return the rotation matrix (3, 3) of a quaternion (w x y z)."""
    matrix = np.zeros(9)
    mujoco.mju_quat2Mat(matrix, quaternion)
    return matrix.reshape(3, 3)
