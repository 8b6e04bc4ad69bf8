# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""What the demo's figures come to: the JSON file and the table at the end."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.table import Table

from spec_vla_ros.ros.demo.episodes import Record


def summary(records: Sequence[Record]) -> dict:
    """Return the figures of a demo as plain values.

    latency_ms is from an image's stamp to the publishing of its action; commands_hz is the rate
    of velocity commands by their stamps, while an instruction was in force.
    """
    gaps = [np.diff(r.command_stamps) for r in records if len(r.command_stamps) > 1]
    intervals = np.concatenate(gaps) if gaps else np.empty(0)
    return {
        'episodes': len(records),
        'success_rate': _share(r.success for r in records),
        'wrong_object_rate': _share(r.wrong_object for r in records),
        'commands_hz': float(1.0 / intervals.mean()) if len(intervals) else 0.0,
        'latency_ms': percentiles([x for r in records for x in r.latency_ms]),
        'inference_ms': percentiles([x for r in records for x in r.inference_ms]),
        'mode': ', '.join(sorted({r.mode for r in records if r.mode})),
        'seeds': [r.seed for r in records],
        'per_episode': [
            {
                'seed': r.seed,
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
    """Return the 50th, 95th and 99th percentile; None without values."""
    if not values:
        return {'p50': None, 'p95': None, 'p99': None}
    points = np.percentile(values, [50, 95, 99])
    return {f'p{p}': round(float(x), 2) for p, x in zip((50, 95, 99), points, strict=True)}


def write_json(figures: dict, path: Path) -> None:
    """Write the figures, making the folder if need be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(figures, indent=2) + '\n')


def table(records: Sequence[Record]) -> Table:
    """Return the episodes as a table, with a footer of totals."""
    figures = summary(records)
    wins = sum(r.success for r in records)
    result = Table(title='Episodes', title_justify='left', show_footer=True)
    result.add_column('#', justify='right')
    result.add_column('seed', justify='right')
    result.add_column('instruction', footer=f'mode: {figures["mode"] or "-"}')
    result.add_column('result', footer=f'{wins}/{len(records)}')
    result.add_column('steps', justify='right', footer=_mean(r.steps for r in records))
    result.add_column('seconds', justify='right', footer=_mean(r.seconds for r in records))
    result.add_column('latency p50', justify='right', footer=_ms(figures['latency_ms']['p50']))
    for number, record in enumerate(records, start=1):
        verdict = '[green]success[/]' if record.success else '[red]failed[/]'
        result.add_row(
            str(number),
            str(record.seed),
            record.instruction,
            verdict + (' [red](wrong object)[/]' if record.wrong_object else ''),
            str(record.steps),
            f'{record.seconds:.1f}',
            _ms(percentiles(record.latency_ms)['p50']),
        )
    return result


def _share(flags: object) -> float:
    flags = list(flags)
    return float(np.mean(flags)) if flags else 0.0


def _mean(values: object) -> str:
    values = list(values)
    return f'{np.mean(values):.1f}' if values else '-'


def _ms(value: float | None) -> str:
    return '-' if value is None else f'{value:.0f} ms'
