# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Tells from samples of memory, threads and file descriptors whether a process grows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

WARM_UP = 0.25
"""Share of a process's life in which it may grow, for example to fill caches."""

MEMORY_LIMIT = 8 * 2**20  # bytes of growth that are allowed
MEMORY_SHARE = 0.03  # of a process's memory, by which it may grow if that is more
EXTRA = 3
"""How many threads or descriptors more than before are allowed, since some come and go."""

_POINTS = 400
"""Largest number of samples for a slope, which takes the median over all their pairs."""


@dataclass(frozen=True, slots=True)
class MemorySample:
    """What a process used at one moment.

    seconds: since the run began.
    memory: resident bytes that belong to no file.
    resident: all resident bytes.
    threads, descriptors: how many.
    """

    seconds: float
    pid: int
    memory: int
    resident: int
    threads: int
    descriptors: int


def growth(samples: Sequence[MemorySample], *, at_least: float) -> dict | None:
    """Return how much a process grew after its warm-up, ready for JSON.

    The slope of its memory is Theil-Sen's, which is robust against bursts. 'grows' is true if the
    memory grew by more than 8 MB and 3 % along this slope, or if in the last quarter of its life
    the process has over `EXTRA` more threads or descriptors than ever in the second quarter.

    Args:
        samples: of one process, in order of time.
        at_least: a life shorter than this, seconds, is not judged: the result is None.
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
    """Return name of a part -> `growth` of each of its processes that lived long enough.

    samples: name of a part -> samples of all its processes, in order of time.
    """
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
