# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""What each process holds over time, and whether it grows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

WARM_UP = 0.25
"""Share of a process's life in which it may grow: caches fill, buffers are touched."""

MEMORY_LIMIT = 8 * 2**20
MEMORY_SHARE = 0.03
EXTRA = 3
"""Threads, or descriptors, that come and go."""

_POINTS = 400
"""Of which a slope is taken at most: it is the median over all their pairs."""


@dataclass(frozen=True, slots=True)
class MemorySample:
    """What a process held at one moment.

    seconds: since the run began. memory: bytes that belong to no file, resident: all of them.
    """

    seconds: float
    pid: int
    memory: int
    resident: int
    threads: int
    descriptors: int


def growth(samples: Sequence[MemorySample], *, at_least: float) -> dict | None:
    """Return how a process grew after it had warmed up, ready for JSON.

    The slope of memory is Theil and Sen's, which a burst does not move. A process grows when the
    slope over its life comes to more than 8 MB and 3 % of what it holds, or when it has more
    threads or descriptors at the end than it ever had in the second quarter of its life.

    Args:
        samples: of one process, in order.
        at_least: seconds; a shorter life says nothing and gives None.
    """
    seconds = np.array([s.seconds for s in samples])
    if len(samples) < 8 or seconds[-1] - seconds[0] < at_least:
        return None
    warm = seconds >= seconds[0] + WARM_UP * (seconds[-1] - seconds[0])
    memory = np.array([s.memory for s in samples], float)[warm]
    span = float(seconds[-1] - seconds[warm][0])
    per_second = _theil_sen(seconds[warm], memory)
    quarters = np.array_split(np.arange(len(samples)), 4)
    found = {
        'pid': samples[0].pid,
        'seconds': float(seconds[-1] - seconds[0]),
        'memory_mb': float(np.median(memory)) / 2**20,
        'resident_mb': float(np.median([s.resident for s in samples])) / 2**20,
        'slope_mb_per_hour': per_second * 3600 / 2**20,
        'grown_mb': per_second * span / 2**20,
    }
    for name in ('threads', 'descriptors'):
        counts = np.array([getattr(s, name) for s in samples])
        found[name] = int(counts[-1])
        found[f'extra_{name}'] = int(np.median(counts[quarters[3]]) - counts[quarters[1]].max())
    limit = max(MEMORY_LIMIT, MEMORY_SHARE * float(np.median(memory)))
    found['grows'] = bool(
        per_second * span > limit
        or found['extra_threads'] > EXTRA
        or found['extra_descriptors'] > EXTRA
    )
    return found


def by_process(
    samples: Mapping[str, Sequence[MemorySample]], *, at_least: float
) -> dict[str, list]:
    """Return `growth` of every process of every part that lived long enough."""
    found: dict[str, list] = {}
    for part, series in samples.items():
        found[part] = []
        for pid in dict.fromkeys(s.pid for s in series):
            one = growth([s for s in series if s.pid == pid], at_least=at_least)
            if one is not None:
                found[part].append(one)
    return found


def _theil_sen(x: np.ndarray, y: np.ndarray) -> float:
    """Return the median slope between all pairs of at most `_POINTS` points."""
    chosen = np.linspace(0, len(x) - 1, min(_POINTS, len(x))).astype(int)
    x, y = x[chosen], y[chosen]
    first, second = np.triu_indices(len(x), k=1)
    return float(np.median((y[second] - y[first]) / (x[second] - x[first])))
