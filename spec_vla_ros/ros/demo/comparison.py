# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Compares speculative with autoregressive decoding: figures, and a table of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from rich.table import Table

from spec_vla_ros.ros.demo.record import SPECULATIVE, Record
from spec_vla_ros.ros.demo.report import summary
from spec_vla_ros.types import AUTOREGRESSIVE, DIMENSIONS, accept_length

RATIOS = ('target_passes', 'inference_ms', 'latency_ms', 'seconds')
"""Figures for which there is a ratio, autoregressive to speculative."""


CAPTION = (
    'inference, image to action: medians; the rest: means\n'
    'accept length: tokens divided by verify rounds; the prefill is none, but may decide tokens'
)


def compare_ways(records: Mapping[str, Sequence[Record]]) -> dict[str, Any]:
    """Return the figures of each way of decoding and, if there are two, their ratios.

    Keys: 'modes': name of the way -> its `way_figures`. 'passes': name of the way -> passes of the
    target for an action. Only with two ways: 'ratio': name in `RATIOS` -> autoregressive divided
    by speculative, of medians if there are any, else of means; 'speedup': the ratios of
    inference and image to action. Above 1 speculative decoding is better.
    """
    modes = {way: way_figures(done) for way, done in records.items()}
    result: dict[str, Any] = {
        'modes': modes,
        'passes': {way: found['target_passes'] for way, found in modes.items()},
    }
    if {SPECULATIVE, AUTOREGRESSIVE} <= modes.keys():
        ratio = {
            name: _ratio(_middle(modes[AUTOREGRESSIVE][name]), _middle(modes[SPECULATIVE][name]))
            for name in RATIOS
        }
        result['ratio'] = ratio
        result['speedup'] = {
            'inference': ratio['inference_ms'],
            'image_to_action': ratio['latency_ms'],
        }
    return result


def way_figures(records: Sequence[Record]) -> dict:
    """Return the figures of the episodes that were decoded in one way.

    Keys, besides some of `report.summary`: target_passes, draft_passes: mean for an action, the
    prefill included. accept_length: see `types.accept_length`. phases_ms: mean of each phase for
    an action; the median of a phase that most actions lack would be 0. seconds, steps: mean for
    an episode.
    """
    whole = summary(records)
    passes = [n for r in records for n in r.target_passes]
    drafts = [n for r in records for n in r.draft_passes]
    phases = [phase for r in records for phase in r.phases_ms]
    names = list(dict.fromkeys(name for phase in phases for name in phase))
    return {
        **{
            key: whole[key]
            for key in ('mode', 'success_rate', 'wrong_object_rate', 'latency_ms', 'inference_ms')
        },
        'target_passes': _mean(passes),
        'draft_passes': _mean(drafts),
        'accept_length': _rounded(
            accept_length(DIMENSIONS * len(passes), sum(passes), actions=len(passes))
        ),
        'phases_ms': {
            name: round(float(np.mean([phase.get(name, 0.0) for phase in phases])), 2)
            for name in names
        },
        'steps': _mean([r.steps for r in records]),
        'seconds': _mean([r.seconds for r in records]),
    }


def comparison_table(result: dict) -> Table:
    """Return the result of `compare_ways` as a table with a column for each way of decoding."""
    modes, ratio = result['modes'].values(), result.get('ratio', {})
    table = Table(
        title='Decoding, on the same episodes',
        title_justify='left',
        caption=CAPTION,
        caption_justify='left',
    )
    table.add_column('')
    for found in modes:
        table.add_column(found['mode'] or '-', justify='right')
    if ratio:
        table.add_column('gain', justify='right')

    def row(name: str, cell: Callable[[dict], str], key: str = '') -> None:
        gain = [_text(ratio.get(key), '.2f', 'x') if key else ''] if ratio else []
        table.add_row(name, *map(cell, modes), *gain)

    row('success', lambda found: f'{found["success_rate"]:.0%}')
    row('target passes', lambda found: _text(found['target_passes'], '.2f'), 'target_passes')
    row('draft passes', lambda found: _text(found['draft_passes'], '.2f'))
    row('accept length', lambda found: _text(found['accept_length'], '.2f'))
    row('inference', lambda found: _ms(found['inference_ms']['p50']), 'inference_ms')
    for phase in dict.fromkeys(name for found in modes for name in found['phases_ms']):
        row(f'  {phase}', partial(_phase, name=phase))
    row('image to action', lambda found: _ms(found['latency_ms']['p50']), 'latency_ms')
    row('episode', lambda found: _text(found['seconds'], '.2f', ' s'), 'seconds')
    return table


def _phase(found: dict, *, name: str) -> str:
    return _ms(found['phases_ms'].get(name))


def _middle(figure: float | Mapping[str, float | None] | None) -> float | None:
    return figure['p50'] if isinstance(figure, Mapping) else figure


def _ratio(before: float | None, after: float | None) -> float | None:
    return round(before / after, 3) if before is not None and after else None


def _mean(values: Sequence[float]) -> float | None:
    return round(float(np.mean(values)), 3) if values else None


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def _ms(value: float | None) -> str:
    return _text(value, '.1f', ' ms')


def _text(value: float | None, spec: str, unit: str = '') -> str:
    return '-' if value is None else f'{value:{spec}}{unit}'
