# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Says in one sentence what speculation gained, and whether the difference is significant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from spec_vla_ros.ros.demo.record import SPECULATIVE, Record
from spec_vla_ros.types import AUTOREGRESSIVE

DRAWS = 500  # of the bootstrap
CONFIDENCE = 95.0  # per cent
LEAST_GAIN = 0.02
"""A smaller difference is called none, even if it is significant."""
LEAST_ACTIONS = 5
"""With fewer actions in either way, no difference is significant."""


def sentence(
    records: Mapping[str, Sequence[Record]], modes: Mapping[str, Mapping[str, Any]]
) -> str:
    """Return a sentence about time and passes of an action in both ways, and their success.

    Args:
        records: the episodes of each way of decoding, the same ones in the same order.
        modes: the figures of each way; see `comparison.way_figures`.
    """
    took = {way: found['inference_ms']['p50'] for way, found in modes.items()}
    silent = [way for way, median in took.items() if median is None]
    if silent:
        return f'No action was decoded in this way: {", ".join(silent)}; nothing to compare.'
    passes = {way: _short(found['target_passes']) for way, found in modes.items()}
    if len(modes) == 1:
        (way,) = modes
        return (
            f'An action took {took[way]:.1f} ms, with {passes[way]} passes of the model '
            f'({way} only, nothing to compare it with), and {_wins(records[way])} episodes '
            'succeeded.'
        )
    fast, plain = SPECULATIVE, AUTOREGRESSIVE
    clear = differs(
        [r.inference_ms for r in records[plain]], [r.inference_ms for r in records[fast]]
    )
    saved = (
        f'with {passes[fast]} passes of the model instead of {passes[plain]}'
        if passes[fast] != passes[plain]
        else f'with {passes[fast]} passes of the model in both ways'
    )
    return (
        f'An action took {took[fast]:.1f} ms instead of {took[plain]:.1f} '
        f'({_verdict(took[plain] / took[fast], clear=clear)}), {saved}, '
        f'{_success(records[fast], records[plain])}.'
    )


def differs(before: Sequence[Sequence[float]], after: Sequence[Sequence[float]]) -> bool:
    """Return whether two medians differ significantly, and by `LEAST_GAIN` at least.

    This is a bootstrap in two stages: episodes are resampled, and then the actions of each. So it
    takes into account that what else the machine does affects all actions of an episode.

    before, after: for each episode, the milliseconds of its actions; the same episodes in both.
    """
    pairs = [(np.array(b), np.array(a)) for b, a in zip(before, after, strict=True) if b and a]
    if any(sum(map(len, side)) < LEAST_ACTIONS for side in (before, after)) or not pairs:
        return False
    draw = np.random.default_rng(0)
    ratios = np.empty(DRAWS)
    for k in range(DRAWS):
        episodes = [pairs[i] for i in draw.integers(len(pairs), size=len(pairs))]
        b, a = (
            np.median(
                np.concatenate([draw.choice(pair[side], len(pair[side])) for pair in episodes])
            )
            for side in (0, 1)
        )
        ratios[k] = b / a
    low, middle, high = np.percentile(ratios, [50 - CONFIDENCE / 2, 50, 50 + CONFIDENCE / 2])
    return bool((low > 1 or high < 1) and abs(middle - 1) >= LEAST_GAIN)


def _verdict(ratio: float, *, clear: bool) -> str:
    if not clear:
        return 'no clear difference'
    return f'{ratio:.2f}x faster' if ratio > 1 else f'{1 / ratio:.2f}x slower'


def _success(fast: Sequence[Record], plain: Sequence[Record]) -> str:
    ours, theirs = (sum(r.success for r in done) for done in (fast, plain))
    if ours == theirs:
        return f'and {_wins(fast)} episodes succeeded in both ways'
    word = 'but only' if ours < theirs else 'and'
    return f'{word} {_wins(fast)} episodes succeeded instead of {theirs}'


def _wins(records: Sequence[Record]) -> str:
    return f'{sum(r.success for r in records)} of {len(records)}'


def _short(value: float) -> str:
    return f'{value:.1f}'.removesuffix('.0')
