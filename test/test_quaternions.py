# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Quaternions turn as rotation vectors do."""

import numpy as np
import pytest

from spec_vla_ros.quaternions import (
    IDENTITY,
    from_rotation_vector,
    normalised,
    product,
    rotation_vector,
)


def test_of_a_vector_and_back():
    np.testing.assert_array_equal(from_rotation_vector(np.zeros(3)), IDENTITY)
    tiny = from_rotation_vector(np.array([1e-9, 0, 0]))
    assert tiny[0] == pytest.approx(5e-10, rel=1e-12)
    vector = np.array([0.3, -1.2, 0.7])
    np.testing.assert_allclose(rotation_vector(from_rotation_vector(vector)), vector)


def test_the_shorter_turn():
    quaternion = np.array([0.0, 0.0, np.sin(3.0), np.cos(3.0)])  # 6 rad one way round
    np.testing.assert_allclose(rotation_vector(quaternion), [0, 0, 6 - 2 * np.pi])
    np.testing.assert_allclose(rotation_vector(np.array([0.0, 0.0, 0.0, -2.0])), [0, 0, 0])


def test_a_product_turns_by_the_right_one_first():
    about_x, about_z = (from_rotation_vector(v) for v in np.eye(3)[[0, 2]] * np.pi / 2)
    vector = np.array([0.0, 1.0, 0.0, 0.0])  # along y
    turn = product(about_z, about_x)
    turned = product(product(turn, vector), turn * [-1, -1, -1, 1])
    np.testing.assert_allclose(turned[:3], [0, 0, 1], atol=1e-12)


def test_the_unit_quaternion_of_the_same_rotation():
    np.testing.assert_allclose(normalised(np.array([0, 0, 3.0, 4.0])), [0, 0, 0.6, 0.8])
