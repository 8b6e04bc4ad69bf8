# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The figures of a measurement of overhead and jitter, and a table of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Overhead:
    """The overhead in one run; times are (p50, p99, largest).

    actions: how many were measured.
    transport_ms: from the publication of an image to its arrival in the node's callback.
    overhead_ms: from that arrival to the publication of the command, minus the model's time.
    """

    actions: int
    transport_ms: tuple[float, float, float]
    overhead_ms: tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Jitter:
    """The jitter of the commands in one run.

    commands_hz: their rate.
    busy: share of the time in which the model computed.
    jitter_ms: (p50, p99, largest) of the difference from the due time.
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
    """Return how far from its due time each command but the first was published, milliseconds.

    A command that begins an action may come early, since an arm at rest is commanded as soon as
    the action is known. It is due at most a period after the command before.

    stamps_ns: (N,), when each command was published.
    begins: (N,), whether it begins an action.
    period_s: of control, seconds.
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
