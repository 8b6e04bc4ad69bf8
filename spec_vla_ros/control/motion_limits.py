# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Limits on the commanded velocity that clamp, and count how often they had to.

An action beyond what is believable has been refused before; these limits hold for whatever is
left, whoever set the step duration.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spec_vla_ros.control.schedule import Twist


@dataclass(frozen=True, slots=True, kw_only=True)
class MotionLimits:
    """What the commanded velocity never exceeds.

    velocity: (6,) m/s along x, y, z and rad/s about them.
    acceleration: (6,) m/s2 and rad/s2; infinite where there is no limit.
    box: (2, 3) least and greatest position in metres; None: no box.
    """

    velocity: np.ndarray
    acceleration: np.ndarray
    box: np.ndarray | None = None


class MotionClamp:
    """Clamps one velocity after the other, on each axis by itself."""

    def __init__(self) -> None:
        self._last = np.zeros(6)
        self.velocity_clamps = 0
        self.acceleration_clamps = 0
        self.workspace_clamps = 0

    def halt(self) -> None:
        """Note that zero is commanded, whatever the limits: a halt does not wait."""
        self._last = np.zeros(6)

    def can_rest(self, limits: MotionLimits, *, period: float) -> bool:
        """Whether the velocity can be zero at the next tick within the acceleration limits."""
        return bool((np.abs(self._last) <= limits.acceleration * period).all())

    def clamp(
        self,
        wanted: Twist,
        limits: MotionLimits,
        *,
        period: float,
        position: np.ndarray | None = None,
        horizon: float = 0.0,
    ) -> Twist:
        """Return the velocity to command until the next tick.

        period: seconds from one tick to the next.
        position: (3,) metres, where the end effector was; needed with a box.
        horizon: seconds from then until the next command takes effect. The velocity is limited to
            what keeps the end effector inside until then. It is never turned around, so from
            outside it leads back in only when the policy wants so.
        """
        asked = np.concatenate((wanted.linear, wanted.angular))
        given = np.clip(asked, -limits.velocity, limits.velocity)
        self.velocity_clamps += bool((given != asked).any())
        step = limits.acceleration * period
        slewed = np.clip(given, self._last - step, self._last + step)
        self.acceleration_clamps += bool((slewed != given).any())
        if limits.box is not None:
            reach = (limits.box - position) / horizon
            inside = np.clip(slewed[:3], np.minimum(reach[0], 0), np.maximum(reach[1], 0))
            self.workspace_clamps += bool((inside != slewed[:3]).any())
            slewed[:3] = inside
        self._last = slewed
        return Twist(slewed[:3], slewed[3:])
