# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""A velocity-controlled arm in real time, that stops by itself when commands go stale.

Works on anything that can be told a velocity and to let time pass, such as the tabletop simulator,
and through `VelocitySteps` on what takes displacements.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from spec_vla_ros.control.schedule import Twist, zero_twist

_MOMENT = 1e-6  # seconds, too few to matter
_MAX_LAG = 0.5
"""Seconds; a longer gap between two events (a suspended process) is not caught up with."""


class VelocityEnv(Protocol):
    """What is driven: holds a velocity and lets time pass."""

    def set_velocity(self, linear: np.ndarray, angular: np.ndarray, *, gripper: float) -> None:
        """Hold this velocity, (3,) m/s and (3,) rad/s, and gripper opening from now on."""

    def advance(self, seconds: float) -> None:
        """Let time pass."""


class Steppable(Protocol):
    """What takes a displacement and an opening for each of its control periods."""

    @property
    def interval(self) -> float:
        """The control period, seconds."""

    def step(self, action: np.ndarray) -> None:
        """Apply an action (7,) in metres and radians, gripper opening, and let the period pass."""


class VelocitySteps:
    """Drives by velocity what takes displacements.

    Velocities are added up; whenever a control period is full, so much is commanded as one
    displacement.

    Args:
        env: what is driven.
    """

    def __init__(self, env: Steppable) -> None:
        self._env = env
        self._velocity = np.zeros(6)
        self._gripper = 1.0
        self._displacement, self._passed = np.zeros(6), 0.0

    def set_velocity(self, linear: np.ndarray, angular: np.ndarray, *, gripper: float) -> None:
        """Hold this velocity, (3,) m/s and (3,) rad/s, and gripper opening from now on."""
        self._velocity, self._gripper = np.concatenate([linear, angular]), gripper

    def advance(self, seconds: float) -> None:
        """Let time pass; what does not fill a control period is carried on."""
        while seconds > _MOMENT:
            part = min(seconds, self._env.interval - self._passed)
            self._displacement = self._displacement + part * self._velocity
            self._passed += part
            seconds -= part
            if self._env.interval - self._passed < _MOMENT:
                self._env.step(np.array([*self._displacement, self._gripper]))
                self._displacement, self._passed = np.zeros(6), 0.0


class RealTimeArm:
    """Keeps an environment abreast of a clock, and obeys velocity commands as an arm does.

    Event-driven: each command and each frame first lets the environment pass the time since
    the last event, split at the moment the last command went stale. So a velocity acts for
    exactly as long as it was in force, whenever the caller comes round to say so.

    Args:
        env: what is driven.
        command_timeout: for how many seconds a velocity holds without a new one.
        now: the clock's reading, seconds, as for every method.
    """

    def __init__(self, env: VelocityEnv, *, command_timeout: float, now: float) -> None:
        self._env = env
        self._command_timeout = command_timeout
        self._time = now
        self._deadline = now
        self._twist = zero_twist()
        self._gripper = 1.0
        self._timeouts = 0

    @property
    def timeouts(self) -> int:
        """How often commands went stale in motion, since the last rest."""
        return self._timeouts

    def command(self, twist: Twist, *, now: float) -> None:
        """Obey a velocity from now on, for command_timeout seconds."""
        self.catch_up(now=now)
        self._twist = twist
        self._deadline = now + self._command_timeout
        self._apply()

    def command_gripper(self, opening: float, *, now: float) -> None:
        """Hold a gripper opening in [0, 1] from now on; it does not go stale."""
        self.catch_up(now=now)
        self._gripper = opening
        self._apply()

    def rest(self, *, now: float) -> None:
        """Stand still with the gripper open, as after a reset; time before now is skipped."""
        self._time = self._deadline = now
        self._twist = zero_twist()
        self._gripper = 1.0
        self._timeouts = 0
        self._apply()

    def catch_up(self, *, now: float) -> None:
        """Let the environment pass the time since the last event."""
        self._time = max(self._time, now - _MAX_LAG)
        if self._moving() and now > self._deadline:
            self._pass_until(self._deadline)
            self._twist = zero_twist()
            self._timeouts += 1
            self._apply()
        self._pass_until(now)

    def _pass_until(self, moment: float) -> None:
        if moment > self._time:
            self._env.advance(moment - self._time)
            self._time = moment

    def _moving(self) -> bool:
        return bool(self._twist.linear.any() or self._twist.angular.any())

    def _apply(self) -> None:
        self._env.set_velocity(self._twist.linear, self._twist.angular, gripper=self._gripper)
