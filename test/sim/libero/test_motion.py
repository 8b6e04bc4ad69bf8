# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Motion keeps its limits, arrives and stays, from wherever it begins."""

import numpy as np
import pytest

from spec_vla_ros.sim.libero.grasps import downwards
from spec_vla_ros.sim.libero.motion import (
    INTERVAL,
    RESPONSE,
    Disturbance,
    SpeedLimits,
    displacement,
    next_velocity,
    rotation_vector,
)

LIMITS = SpeedLimits(speed=0.2, acceleration=0.7)


def drive(start, *, velocity, steps=200):
    """Return the velocities (N, D) on the way from a start to zero, and where it ends."""
    position, velocities = np.array(start, float), [np.array(velocity, float)]
    for _ in range(steps):
        velocities.append(next_velocity(-position, velocities[-1], LIMITS))
        position = position + velocities[-1] * INTERVAL
    return np.array(velocities), position


@pytest.mark.parametrize('start', [[0.4, -0.3], [0.02, 0.01], [0.0, 0.0]])
@pytest.mark.parametrize('velocity', [[0.0, 0.0], [0.15, 0.1], [-0.1, 0.15]])
def test_it_arrives_within_its_limits(start, velocity):
    velocities, end = drive(start, velocity=velocity)
    assert np.linalg.norm(velocities, axis=1).max() <= 0.2 + 1e-9
    changes = np.linalg.norm(np.diff(velocities, axis=0), axis=1) / INTERVAL
    assert changes.max() <= 0.7 + 1e-9
    np.testing.assert_allclose(end, 0, atol=1e-4)
    np.testing.assert_allclose(velocities[-1], 0, atol=1e-3)


def test_speed_is_a_trapezoid_and_hardly_overshoots():
    velocities, _ = drive([0.5], velocity=[0.0])
    speed = -velocities[:, 0]
    assert speed.min() > -0.02
    full = np.flatnonzero(speed > 0.199)
    assert len(full) > 30
    assert np.all(np.diff(speed[: full[0]]) > 0)
    assert np.all(np.diff(full) == 1)


def test_a_displacement_is_what_the_controller_makes_the_velocity_of():
    velocity = np.array([0.2, 0.0, 0.0, 0.0, 0.0, 1.0])
    np.testing.assert_allclose(displacement(velocity) * RESPONSE, velocity)
    assert displacement(velocity)[0] < 0.05  # not the controller's bound


@pytest.mark.parametrize('angle', [0.0, 1e-9, 0.3, -2.0, np.pi - 1e-9, np.pi])
def test_rotation_vectors_turn_as_their_matrices_do(angle):
    cosine, sine = np.cos(angle), np.sin(angle)
    turned = np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1.0]])
    vector = rotation_vector(turned)
    np.testing.assert_allclose(np.abs(vector), [0, 0, abs(angle)], atol=1e-6)
    if abs(angle) < 3:
        assert vector[2] == pytest.approx(angle, abs=1e-6)


def test_the_turn_between_two_grasps():
    turn = rotation_vector(downwards(0.5) @ downwards(0.2).T)
    np.testing.assert_allclose(turn, [0, 0, 0.3], atol=1e-9)


def test_noise_disturbs_motion_and_leaves_the_gripper():
    full = np.array([0.04] * 3 + [0.4] * 3)
    action = np.array([0.01, 0, 0, 0, 0, 0.1, 1.0])
    noisy = Disturbance(np.random.default_rng(0), level=0.2, full=full)
    actions = np.array([noisy(action) for _ in range(2000)])
    assert np.all(actions[:, 6] == 1.0)
    off = (actions[:, :6] - action[:6]) / full
    assert 0.2 < off.std() < 0.4  # bursts come on top
    np.testing.assert_allclose(off.mean(axis=0), 0, atol=0.1)
    still = Disturbance(np.random.default_rng(0), level=0.0, full=full)
    np.testing.assert_array_equal(still(action), action)
