# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The gripper opening that is commanded: inside its range, and no faster than its rate."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class GripperLimits:
    """What the commanded opening never exceeds.

    low, high: openings in [0, 1]; rate: change in 1/s, infinite for no limit.
    """

    low: float = 0.0
    high: float = 1.0
    rate: float = math.inf


class GripperClamp:
    """Hands out openings on the way to the one an action asked for.

    Where the gripper stands at first is not known, so the first opening is commanded as it is.
    """

    def __init__(self) -> None:
        self._commanded: float | None = None
        self._goal: float | None = None
        self.clamps = 0

    def go_to(self, opening: float, limits: GripperLimits) -> None:
        """Head for an opening; bins that lie a little outside [0, 1] are no offence."""
        wanted = min(max(opening, 0.0), 1.0)
        self._goal = min(max(wanted, limits.low), limits.high)
        self.clamps += self._goal != wanted

    def hold(self) -> None:
        """Stay at the opening commanded last."""
        self._goal = None

    def tick(self, limits: GripperLimits, *, period: float) -> float | None:
        """Return the opening to command now, or None when there is nothing new to say."""
        if self._goal is None:
            return None
        opening = self._goal
        if self._commanded is not None and math.isfinite(limits.rate):
            step = limits.rate * period
            opening = min(max(opening, self._commanded - step), self._commanded + step)
        self.clamps += opening != self._goal
        self._commanded = opening
        if opening == self._goal:
            self._goal = None
        return opening
