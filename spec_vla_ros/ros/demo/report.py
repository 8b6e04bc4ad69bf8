# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The demo's results: figures for a JSON file, and the table of episodes."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from rich.table import Table

from spec_vla_ros.control.performance import Percentiles
from spec_vla_ros.ros.demo.record import Record


def summary(records: Sequence[Record]) -> dict:
    """Return the figures of some episodes, ready for JSON.

    latency_ms is from an image's stamp to the publication of its action. commands_hz is the rate
    of velocity commands by their stamps, within episodes. Both, and seconds, are in the robot's
    time, which runs at real_time_factor of the computer's.
    """
    walls = sum(r.wall_seconds for r in records)
    gaps = [np.diff(r.command_stamps) for r in records if len(r.command_stamps) > 1]
    intervals = np.concatenate(gaps) if gaps else np.empty(0)
    return {
        'episodes': len(records),
        'success_rate': _share(r.success for r in records),
        'wrong_object_rate': _share(r.wrong_object for r in records),
        'commands_hz': float(1.0 / intervals.mean()) if len(intervals) else 0.0,
        'latency_ms': percentiles([x for r in records for x in r.latency_ms]),
        'inference_ms': percentiles([x for r in records for x in r.inference_ms]),
        'real_time_factor': round(sum(r.seconds for r in records) / walls, 3) if walls else None,
        'mode': ', '.join(sorted({r.mode for r in records if r.mode})),
        'seeds': [r.seed for r in records],
        'per_episode': [
            {
                'seed': r.seed,
                'initial_state': r.initial_state,
                'instruction': r.instruction,
                'success': r.success,
                'wrong_object': r.wrong_object,
                'steps': r.steps,
                'seconds': round(r.seconds, 2),
            }
            for r in records
        ],
    }


def percentiles(values: Sequence[float]) -> dict[str, float | None]:
    """Return the percentiles p50, p95 and p99; each is None if there are no values."""
    found = Percentiles.of(values)
    if found is None:
        return {'p50': None, 'p95': None, 'p99': None}
    return {name: round(value, 2) for name, value in dataclasses.asdict(found).items()}


def write_json(figures: dict, path: Path) -> None:
    """Write the figures; the folder is made if it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(figures, indent=2) + '\n')


def table(ways: Mapping[str, Sequence[Record]]) -> Table:
    """Return a table with a row for each episode and a column for each way of decoding."""
    result = Table(title='Episodes', title_justify='left', show_footer=True)
    result.add_column('#', justify='right')
    result.add_column('start')
    result.add_column('instruction')
    for way, records in ways.items():
        wins = sum(r.success for r in records)
        result.add_column(
            next((r.mode for r in records if r.mode), way),  # the name used in `View.finished`
            footer=f'{wins}/{len(records)}, {_mean(r.steps for r in records)} steps, '
            f'{_mean(r.seconds for r in records)} s',
        )
    for number, pair in enumerate(zip(*ways.values(), strict=True), start=1):
        first = pair[0]
        result.add_row(str(number), first.start, first.instruction, *map(_cell, pair))
    return result


def _cell(record: Record) -> str:
    verdict = '[green]success[/]' if record.success else '[red]failed[/]'
    if record.wrong_object:
        verdict += ' [red](wrong object)[/]'
    return f'{verdict}, {record.steps} steps, {record.seconds:.1f} s'


def _share(flags: Iterable[bool]) -> float:
    each = list(flags)
    return float(np.mean(each)) if each else 0.0


def _mean(values: Iterable[float]) -> str:
    each = list(values)
    return f'{np.mean(each):.1f}' if each else '-'
