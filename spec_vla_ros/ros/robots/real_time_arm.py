# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""A velocity-controlled arm in real time that stops by itself when commands become stale.

It drives anything that takes a velocity and can let time pass, such as the tabletop simulator.
`VelocitySteps` adapts simulators that take displacements.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from spec_vla_ros.control.schedule import Twist, zero_twist

_MOMENT = 1e-6  # seconds, too few to matter
_MAX_LAG = 0.5
"""Seconds to catch up with at most, after a long gap between two events (a suspended process)."""


class VelocityEnv(Protocol):
    """A simulator that holds a velocity and lets time pass."""

    def set_velocity(self, linear: np.ndarray, angular: np.ndarray, *, gripper: float) -> None:
        """Hold this velocity, (3,) m/s and (3,) rad/s, and this gripper opening from now on."""

    def advance(self, seconds: float) -> None:
        """Let time pass."""


class Steppable(Protocol):
    """A simulator that takes a displacement and a gripper opening for each control period."""

    @property
    def interval(self) -> float:
        """The control period, seconds."""

    def step(self, action: np.ndarray) -> None:
        """Apply an action and let the control period pass.

        action: (7,) displacement in metres, rotation vector in radians, gripper opening.
        """


class VelocitySteps:
    """Lets a simulator that takes displacements be driven by velocities.

    Velocities are integrated. At the end of each control period, the result is commanded as one
    displacement.

    Args:
        env: the simulator.
    """

    def __init__(self, env: Steppable) -> None:
        self._env = env
        self._velocity = np.zeros(6)
        self._gripper = 1.0
        self._displacement, self._passed = np.zeros(6), 0.0

    def set_velocity(self, linear: np.ndarray, angular: np.ndarray, *, gripper: float) -> None:
        """Hold this velocity, (3,) m/s and (3,) rad/s, and this gripper opening from now on."""
        self._velocity, self._gripper = np.concatenate([linear, angular]), gripper

    def advance(self, seconds: float) -> None:
        """Let time pass; a part of a control period counts towards the next step."""
        while seconds > _MOMENT:
            part = min(seconds, self._env.interval - self._passed)
            self._displacement = self._displacement + part * self._velocity
            self._passed += part
            seconds -= part
            if self._env.interval - self._passed < _MOMENT:
                self._env.step(np.array([*self._displacement, self._gripper]))
                self._displacement, self._passed = np.zeros(6), 0.0


class RealTimeArm:
    """Keeps a simulator in step with a clock, and obeys velocity commands as an arm does.

    Each event, a command or a frame, first lets the time since the last event pass in the
    simulator, in two parts if the command became stale in between. So a velocity acts for exactly
    as long as it was in force, however late the next event is.

    Args:
        env: the simulator.
        command_timeout: seconds for which a velocity holds without a new command.
        now: the clock's present time in seconds, as for every method.
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
        """How often a command became stale while the arm moved, since the last `rest`."""
        return self._timeouts

    def command(self, twist: Twist, *, now: float) -> None:
        """Obey a velocity from now on, for command_timeout seconds."""
        self.catch_up(now=now)
        self._twist = twist
        self._deadline = now + self._command_timeout
        self._apply()

    def command_gripper(self, opening: float, *, now: float) -> None:
        """Hold a gripper opening in [0, 1] from now on; it does not become stale."""
        self.catch_up(now=now)
        self._gripper = opening
        self._apply()

    def rest(self, *, now: float) -> None:
        """Stand still with the gripper open, as after a reset; the time until now is skipped."""
        self._time = self._deadline = now
        self._twist = zero_twist()
        self._gripper = 1.0
        self._timeouts = 0
        self._apply()

    def catch_up(self, *, now: float) -> None:
        """Let the time since the last event pass in the simulator."""
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
