# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Figures over the recent past: percentiles, means, rates. All times are monotonic seconds."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Percentiles:
    """The 50th, 95th and 99th percentile of some values."""

    p50: float
    p95: float
    p99: float


class Recent:
    """Values that came within the last `window` seconds.

    Args:
        window: seconds.
        now: when it begins.
    """

    def __init__(self, *, window: float, now: float) -> None:
        self._window = window
        self._since = now
        self._values: deque[tuple[float, float]] = deque()

    def add(self, value: float, *, now: float) -> None:
        """Note a value."""
        self._values.append((now, value))
        self._forget(now)

    def values(self, *, now: float) -> list[float]:
        """Return the values, oldest first."""
        self._forget(now)
        return [value for _, value in self._values]

    def percentiles(self, *, now: float) -> Percentiles | None:
        """Return their percentiles; None without values."""
        values = self.values(now=now)
        return Percentiles(*np.percentile(values, (50, 95, 99)).tolist()) if values else None

    def mean(self, *, now: float) -> float | None:
        """Return their mean; None without values."""
        values = self.values(now=now)
        return float(np.mean(values)) if values else None

    def total(self, *, now: float) -> float:
        """Return their sum."""
        return float(sum(self.values(now=now)))

    def rate(self, *, now: float) -> float:
        """Return how many came each second: over the window, or since the beginning if shorter."""
        seconds = min(self._window, now - self._since)
        return len(self.values(now=now)) / seconds if seconds > 0 else 0.0

    def _forget(self, now: float) -> None:
        while self._values and self._values[0][0] <= now - self._window:
            self._values.popleft()
