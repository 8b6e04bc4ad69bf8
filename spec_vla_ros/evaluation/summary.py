# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The figures of a decoding mode over its episodes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from itertools import accumulate, chain

import numpy as np

from spec_vla_ros.action_codec import ActionCodec
from spec_vla_ros.evaluation.closed_loop import Episode, Step
from spec_vla_ros.evaluation.measures import (
    decoding_figures,
    exactness,
    mean_deviation,
    mean_squared_jerk,
    wilson_interval,
)


def summarise(episodes: Sequence[Episode], codec: ActionCodec) -> dict:
    """Return the figures, ready for JSON."""
    steps = list(chain.from_iterable(e.steps for e in episodes))
    figures = decoding_figures([s.action.stats for s in steps], dimensions=codec.stats.dimensions)
    tokens = np.array([s.action.tokens for s in steps])
    reference = np.array([s.reference.tokens for s in steps])
    values = np.array([s.action.values for s in steps])
    wanted = np.array([s.reference.values for s in steps])
    milliseconds = np.array([s.milliseconds for s in steps])
    baseline = np.array([s.reference_milliseconds for s in steps])
    successes = sum(e.success for e in episodes)
    jerks = [
        mean_squared_jerk(np.array([s.position for s in e.steps]), interval=e.interval)
        for e in episodes
    ]
    own = [s.own.tokens for s in steps if s.own is not None]
    return {
        'episodes': len(episodes),
        'successes': successes,
        'success_rate': successes / len(episodes),
        'success_interval_95': wilson_interval(successes, len(episodes)),
        'wrong_object': sum(e.wrong_object for e in episodes),
        'by_instruction': _by_instruction(episodes),
        'mean_steps_to_success': float(np.mean([len(e.steps) for e in episodes if e.success])),
        'mean_squared_jerk': float(np.nanmean(jerks)),
        'actions': len(steps),
        'identical_to_autoregressive': float(np.mean(np.all(tokens == reference, axis=1))),
        'exactness': asdict(exactness(tokens, own)) if own else None,
        'deviation_bins': mean_deviation(tokens, reference).tolist(),
        'deviation_values': mean_deviation(values, wanted).tolist(),
        'accept_length': figures.accept_length,
        'tokens_per_pass': figures.tokens_per_pass,
        'target_passes': figures.target_passes,
        'draft_passes': figures.draft_passes,
        'accept_length_by_dimension': accept_length_by_dimension(steps),
        'median_ms': float(np.median(milliseconds)),
        'median_ms_autoregressive': float(np.median(baseline)),
        'speedup': float(np.median(baseline) / np.median(milliseconds)),
        'phases_ms': _median_phases(steps),
        'failed_seeds': [e.seed for e in episodes if not e.success],
    }


def accept_length_by_dimension(steps: Sequence[Step]) -> list[float | None]:
    """Return the mean accept length of the verify rounds that begin at each dimension.

    The first counts the drafts verified inside the prefill; None where no round ever begins.
    """
    lengths: list[list[int]] = [[] for _ in range(len(steps[0].action.tokens))]
    for step in steps:
        found = step.action.stats.accept_lengths
        rest = len(step.action.tokens) - sum(found)  # what a prefill without a draft gave
        starts = accumulate(found, initial=rest)
        for start, length in zip(starts, found, strict=False):
            lengths[start].append(length)
    return [float(np.mean(row)) if row else None for row in lengths]


def _by_instruction(episodes: Sequence[Episode]) -> dict[str, dict[str, int]]:
    rows: dict[str, dict[str, int]] = {}
    for episode in sorted(episodes, key=lambda e: e.instruction):
        row = rows.setdefault(episode.instruction, {'episodes': 0, 'successes': 0})
        row['episodes'] += 1
        row['successes'] += episode.success
    return rows


def _median_phases(steps: Sequence[Step]) -> dict[str, float]:
    names = {name for s in steps for name in s.action.stats.phases_ms}
    return {
        name: float(np.median([s.action.stats.phases_ms.get(name, 0.0) for s in steps]))
        for name in sorted(names)
    }
