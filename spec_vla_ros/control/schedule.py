# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Turns a displacement into velocities at control rate, once.

An action is a displacement, and a robot arm takes velocities. The velocity is the displacement
divided by the time it shall take, held for exactly that time. To repeat it until the next action
comes would multiply the motion, so each displacement gets its number of ticks, and after them the
velocity is zero. Here, *delta* means the displacement and rotation of one action.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Twist:
    """A velocity in the frame of the action: linear (3,) m/s, angular (3,) rad/s."""

    linear: np.ndarray
    angular: np.ndarray


def zero_twist() -> Twist:
    """Return the command to stand still."""
    return Twist(np.zeros(3), np.zeros(3))


def ticks_for(step_duration: float, control_rate: float) -> int:
    """Return how many control ticks one model step lasts, at least one.

    step_duration: seconds; control_rate: Hz.
    """
    return max(1, round(step_duration * control_rate))


class DeltaSchedule:
    """Hands out the current delta's velocity tick by tick, then zero."""

    def __init__(self) -> None:
        self._twist = zero_twist()
        self._ticks_left = 0

    @property
    def moving(self) -> bool:
        """Whether ticks of the current delta are left."""
        return self._ticks_left > 0

    def start(self, delta: np.ndarray, *, ticks: int, control_rate: float) -> None:
        """Play a delta over the next `ticks` ticks; what was left of the one before is dropped.

        delta: (6,) metres and rotation vector in radians. The velocity is the delta over
        ticks / control_rate seconds, so that the ticks sum up to the delta exactly.
        """
        if ticks < 1:
            raise ValueError(f'a delta needs at least one tick, got {ticks}')
        velocity = np.asarray(delta, dtype=float) * (control_rate / ticks)
        self._twist = Twist(velocity[:3], velocity[3:])
        self._ticks_left = ticks

    def halt(self) -> None:
        """Drop what is left of the delta."""
        self._ticks_left = 0

    def tick(self) -> Twist:
        """Return the velocity until the next tick."""
        if self._ticks_left == 0:
            return zero_twist()
        self._ticks_left -= 1
        return self._twist
