# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Smooth motion: velocities limited in size and change, and the actions that make them.

Proportional control saturates LIBERO's controller for most of a path: many components at their
bounds, which a drafter guesses too easily, and jerks. Here speed is a trapezoid over time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

INTERVAL = 0.05
"""From one action to the next, seconds."""

RESPONSE = np.array([5.16, 5.16, 5.16, 3.96, 3.96, 3.96])
"""Velocity, in m/s and rad/s, that a constant displacement of 1 m or 1 rad for each action comes
to, (6,). Measured; the controller pulls like a critically damped spring towards where the arm is
plus what is asked, and so never gets there within an action."""


@dataclass(frozen=True, slots=True)
class SpeedLimits:
    """How fast a motion may be.

    speed: m/s or rad/s. acceleration: m/s^2 or rad/s^2. closing: share of the way left that may
    be covered in a second, 1/s, near the goal.
    """

    speed: float
    acceleration: float
    closing: float = 8.0


def wanted_velocity(way: np.ndarray, limits: SpeedLimits) -> np.ndarray:
    """Return the velocity (N,) to have if it could be had at once: it depends on the way alone.

    Args:
        way: (N,) from here to the goal, metres or radians.
        limits: what may be; the acceleration counts for stopping in time.
    """
    distance = float(np.linalg.norm(way))
    stopping = np.sqrt(1.4 * limits.acceleration * distance)  # 2 a d, and a margin
    speed = min(limits.speed, stopping, limits.closing * distance)
    return way * (speed / max(distance, 1e-9))


def next_velocity(way: np.ndarray, velocity: np.ndarray, limits: SpeedLimits) -> np.ndarray:
    """Return the velocity (N,) for the next action.

    Faster until the limit, slower in time to stop, never by more than the acceleration allows.

    Args:
        way: (N,) from here to the goal, metres or radians.
        velocity: (N,) of the last action.
        limits: what may be.
    """
    change = wanted_velocity(way, limits) - velocity
    most = limits.acceleration * INTERVAL
    return velocity + change * min(1.0, most / max(float(np.linalg.norm(change)), 1e-9))


def displacement(velocity: np.ndarray) -> np.ndarray:
    """Return the displacement and rotation (6,) to ask for, that a velocity (6,) comes of."""
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
    # Half a turn: the axis is the column of the symmetric part that is longest.
    columns = (matrix + np.eye(3)) / 2
    longest = columns[:, np.argmax(np.diag(columns))]
    return np.pi * longest / np.linalg.norm(longest)


class Disturbance:
    """Noise on actions, so that demonstrations hold what one does when one has gone astray.

    Some noise on all of them, and now and then a burst that drags the arm away for a while.

    Args:
        rng: draws it.
        level: standard deviation, as part of `displacement` at full speed; 0 for none.
        full: (6,) what full speed is, metres and radians.
    """

    def __init__(self, rng: np.random.Generator, *, level: float, full: np.ndarray) -> None:
        self._rng, self._level, self._full = rng, level, full
        self._left, self._burst = 0, np.zeros(6)

    def __call__(self, action: np.ndarray) -> np.ndarray:
        """Return the action (7,) disturbed; the gripper's part stays."""
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
