# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Rates, latencies and counts of the last seconds, for the node's diagnostics."""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from spec_vla_ros.control.tick import Counters
from spec_vla_ros.types import DecodeStats, accept_length

WINDOW = 10.0
"""Figures are those of so many last seconds."""

_PAUSE = 1.0  # seconds between two commands, above which a beat starts anew
_ENOUGH = 2.0  # seconds by the node's clock that a beat must last before its rate is told


@dataclass(frozen=True, slots=True)
class Percentiles:
    """The 50th, 95th and 99th percentile of some values."""

    p50: float
    p95: float
    p99: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Percentiles | None:
        """Return the percentiles of some values; None without values."""
        return cls(*np.percentile(values, (50, 95, 99)).tolist()) if len(values) else None


class Recent:
    """The values that were added within the last `window` seconds.

    `now` is the present time in monotonic seconds, here and in all methods.
    """

    def __init__(self, *, window: float, now: float) -> None:
        self._window = window
        self._since = now
        self._values: deque[tuple[float, float]] = deque()

    def add(self, value: float, *, now: float) -> None:
        """Add a value."""
        self._values.append((now, value))
        self._forget(now)

    def values(self, *, now: float) -> list[float]:
        """Return the values, oldest first."""
        self._forget(now)
        return [value for _, value in self._values]

    def percentiles(self, *, now: float) -> Percentiles | None:
        """Return their percentiles; None without values."""
        return Percentiles.of(self.values(now=now))

    def mean(self, *, now: float) -> float | None:
        """Return their mean; None without values."""
        values = self.values(now=now)
        return float(np.mean(values)) if values else None

    def total(self, *, now: float) -> float:
        """Return their sum."""
        return float(sum(self.values(now=now)))

    def rate(self, *, now: float) -> float:
        """Return how many came per second in the window, or since the start if that is later."""
        seconds = min(self._window, now - self._since)
        return len(self.values(now=now)) / seconds if seconds > 0 else 0.0

    def _forget(self, now: float) -> None:
        while self._values and self._values[0][0] <= now - self._window:
            self._values.popleft()


class Beat:
    """The rate of an event by some clock, over at most `WINDOW` seconds since the last pause."""

    def __init__(self) -> None:
        self._times: deque[tuple[float, float]] = deque()

    def add(self, *, now: float, clock: float) -> None:
        """Note an event; now: monotonic seconds; clock: seconds by the clock of the rate."""
        if self._times and now - self._times[-1][0] > _PAUSE:
            self._times.clear()
        self._times.append((now, clock))
        while self._times[0][0] <= now - WINDOW:
            self._times.popleft()

    def rate(self) -> float | None:
        """Return the events per second; None until they have gone on for long enough."""
        seconds = self._times[-1][1] - self._times[0][1] if self._times else 0.0
        return (len(self._times) - 1) / seconds if seconds >= _ENOUGH else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The figures of the last `WINDOW` seconds.

    images_hz, actions_hz, commands_hz: how many arrived or were published per second.
    latency_ms: from an image's stamp to the publication of its action; None without actions.
    inference_ms: time for converting the image and inferring; None without actions.
    accept_length: see `types.accept_length`; None without verify rounds.
    target_passes, draft_passes: mean for an action, prefill included; None without actions.
    recent: what was counted in that time.
    beat_hz: commands per second of the clock that they follow, which may be simulated; None
        until it can be told.
    """

    images_hz: float
    actions_hz: float
    commands_hz: float
    latency_ms: Percentiles | None
    inference_ms: Percentiles | None
    accept_length: float | None
    target_passes: float | None
    draft_passes: float | None
    recent: Counters
    beat_hz: float | None = None


class Performance:
    """Collects what happens and sums it up; for one thread only.

    `now` is the present time in monotonic seconds, here and in all methods.
    """

    def __init__(self, *, now: float) -> None:
        def recent() -> Recent:
            return Recent(window=WINDOW, now=now)

        self._commands, self._beat = recent(), Beat()
        self._latency_ms, self._inference_ms = recent(), recent()
        self._tokens, self._target_passes, self._draft_passes = recent(), recent(), recent()
        self._counters: deque[tuple[float, Counters]] = deque([(now, Counters())])

    def command(self, *, now: float, clock: float | None = None) -> None:
        """Note that a command was published; clock: seconds by the node's clock."""
        self._commands.add(1, now=now)
        if clock is not None:
            self._beat.add(now=now, clock=clock)

    def action(
        self,
        stats: DecodeStats,
        *,
        dimensions: int,
        latency_ms: float,
        inference_ms: float,
        now: float,
    ) -> None:
        """Note that an action was published; dimensions: its number of tokens."""
        self._latency_ms.add(latency_ms, now=now)
        self._inference_ms.add(inference_ms, now=now)
        self._tokens.add(dimensions, now=now)
        self._target_passes.add(stats.target_passes, now=now)
        self._draft_passes.add(stats.draft_passes, now=now)

    def summary(self, counters: Counters, *, now: float) -> Summary:
        """Return the figures; call it about once a second, with the counters so far."""
        while len(self._counters) > 1 and self._counters[1][0] <= now - WINDOW:
            self._counters.popleft()
        since, before = self._counters[0]
        self._counters.append((now, counters))
        recent = {
            field.name: getattr(counters, field.name) - getattr(before, field.name)
            for field in dataclasses.fields(Counters)
        }
        tokens = self._tokens.values(now=now)
        passes = self._target_passes.total(now=now)
        return Summary(
            images_hz=recent['images_received'] / (now - since) if now > since else 0.0,
            actions_hz=self._latency_ms.rate(now=now),
            commands_hz=self._commands.rate(now=now),
            latency_ms=self._latency_ms.percentiles(now=now),
            inference_ms=self._inference_ms.percentiles(now=now),
            accept_length=accept_length(int(sum(tokens)), int(passes), actions=len(tokens)),
            target_passes=self._target_passes.mean(now=now),
            draft_passes=self._draft_passes.mean(now=now),
            recent=Counters(**recent),
            beat_hz=self._beat.rate(),
        )
