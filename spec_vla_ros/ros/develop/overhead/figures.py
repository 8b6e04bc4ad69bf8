# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Figures of one measurement, and a table of several."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Overhead:
    """What was measured in one run.

    transport_ms: p50, p99 and most of image publication to its arrival in the node's callback.
    overhead_ms: the same of that arrival to the command's publication, minus the model.
    """

    actions: int
    transport_ms: tuple[float, float, float]
    overhead_ms: tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Jitter:
    """What was measured in one run.

    commands_hz: how often a command came.
    busy: which part of the time the model was computing.
    jitter_ms: p50, p99 and most of how far off the time was at which a command came.
    """

    commands_hz: float
    busy: float
    jitter_ms: tuple[float, float, float]


def spread(values: Iterable[float]) -> tuple[float, float, float]:
    """Return p50, p99 and the largest."""
    p50, p99, most = np.percentile(np.fromiter(values, float), (50, 99, 100))
    return float(p50), float(p99), float(most)


def lateness_ms(
    stamps_ns: Sequence[int], begins: Sequence[bool], *, period_s: float
) -> np.ndarray:
    """Return how far off each command but the first came, in milliseconds.

    stamps_ns: (N,) when each was published. begins: (N,) whether it begins an action: an arm at
    rest is commanded as soon as the action is known, and the next command comes a period after
    that; such a command can only be too late.
    """
    gaps: np.ndarray = np.diff(np.asarray(stamps_ns, np.int64))
    off = gaps / 1e6 - period_s * 1e3
    return np.where(np.asarray(begins[1:], bool), np.maximum(off, 0.0), np.abs(off))


def table(rows: Mapping[str, tuple[Overhead, Jitter]]) -> str:
    """Return a Markdown table, one row for each worker; milliseconds as p50 / p99 / max."""
    lines = [
        '| worker | actions | transport, ms | overhead, ms | commands, Hz | model busy | '
        'jitter, ms |',
        '|---|---|---|---|---|---|---|',
    ]
    for name, (overhead, jitter) in rows.items():
        cells = (
            name,
            str(overhead.actions),
            _triple(overhead.transport_ms),
            _triple(overhead.overhead_ms),
            f'{jitter.commands_hz:.1f}',
            f'{jitter.busy:.0%}',
            _triple(jitter.jitter_ms),
        )
        lines.append('| ' + ' | '.join(cells) + ' |')
    return '\n'.join(lines) + '\n'


def _triple(values: tuple[float, float, float]) -> str:
    return ' / '.join(f'{value:.2f}' for value in values)
