# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Smooth motion: velocities with limited speed and acceleration, and the actions for them.

With proportional control, LIBERO's controller would be saturated for most of a path: the motion
would jerk, and many components would be at their bounds, which a drafter guesses too easily. Here
the speed over time is a trapezoid.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

INTERVAL = 0.05
"""Time from one action to the next, seconds."""

RESPONSE = np.array([5.16, 5.16, 5.16, 3.96, 3.96, 3.96])
"""Measured velocity, m/s and rad/s, per metre or radian of displacement in each action, (6,). The
controller acts like a critically damped spring towards the present pose plus the displacement, so
the arm moves by only a part of it within an action."""


@dataclass(frozen=True, slots=True)
class SpeedLimits:
    """Limits of a motion.

    speed: m/s or rad/s.
    acceleration: m/s^2 or rad/s^2.
    closing: largest speed near the goal, as a multiple of the remaining distance, 1/s.
    """

    speed: float
    acceleration: float
    closing: float = 8.0


def wanted_velocity(way: np.ndarray, limits: SpeedLimits) -> np.ndarray:
    """Return the velocity (N,) that suits the remaining way, whatever the present velocity is.

    Args:
        way: (N,), from the present position to the goal, metres or radians.
        limits: of the motion; the acceleration limits the speed from which it can stop in time.
    """
    distance = float(np.linalg.norm(way))
    stopping = np.sqrt(1.4 * limits.acceleration * distance)  # sqrt(2 a d), with a margin
    speed = min(limits.speed, stopping, limits.closing * distance)
    return way * (speed / max(distance, 1e-9))


def next_velocity(way: np.ndarray, velocity: np.ndarray, limits: SpeedLimits) -> np.ndarray:
    """Return the velocity (N,) of the next action: `wanted_velocity` with limited acceleration.

    Args:
        way: (N,), from the present position to the goal, metres or radians.
        velocity: (N,), of the last action.
        limits: of the motion.
    """
    change = wanted_velocity(way, limits) - velocity
    most = limits.acceleration * INTERVAL
    return velocity + change * min(1.0, most / max(float(np.linalg.norm(change)), 1e-9))


def displacement(velocity: np.ndarray) -> np.ndarray:
    """Return the displacement and rotation (6,) of actions that lead to a velocity (6,)."""
    return velocity / RESPONSE


def rotation_vector(matrix: np.ndarray) -> np.ndarray:
    """Return the rotation vector (3,) of a rotation matrix (3, 3), radians."""
    axis = np.array(
        [
            matrix[2, 1] - matrix[1, 2],
            matrix[0, 2] - matrix[2, 0],
            matrix[1, 0] - matrix[0, 1],
        ]
    )
    sine, cosine = np.linalg.norm(axis) / 2, (np.trace(matrix) - 1) / 2
    angle = np.arctan2(sine, cosine)
    if sine > 1e-6:
        return axis * (angle / (2 * sine))
    if cosine > 0:
        return axis / 2
    # At half a turn, the longest column of (R + I) / 2 has the direction of the axis.
    columns = (matrix + np.eye(3)) / 2
    longest = columns[:, np.argmax(np.diag(columns))]
    return np.pi * longest / np.linalg.norm(longest)


class Disturbance:
    """Disturbs actions, so that demonstrations show how to recover.

    All actions get some noise; now and then a burst drags the arm away for a few actions.

    Args:
        rng: draws the noise.
        level: standard deviation of the noise as a share of `full`; 0 for no disturbance.
        full: (6,), an action's displacement and rotation at full speed, metres and radians.
    """

    def __init__(self, rng: np.random.Generator, *, level: float, full: np.ndarray) -> None:
        self._rng, self._level, self._full = rng, level, full
        self._left, self._burst = 0, np.zeros(6)

    def __call__(self, action: np.ndarray) -> np.ndarray:
        """Return the disturbed action (7,); the gripper's opening is not changed."""
        if not self._level:
            return action
        if not self._left and self._rng.random() < 0.02:
            self._left = int(self._rng.integers(3, 9))
            self._burst = self._rng.uniform(-0.8, 0.8, 6)
        motion = action[:6] + self._level * self._full * self._rng.standard_normal(6)
        if self._left:
            self._left -= 1
            motion = motion + self._burst * self._full
        return np.array([*motion, action[6]])
