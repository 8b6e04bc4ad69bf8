# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The figures of one episode, which can be stored, and those of a mode over all its episodes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import accumulate, chain

import numpy as np

from spec_vla_ros.action_codec import ActionCodec
from spec_vla_ros.evaluation.closed_loop import Episode, Step
from spec_vla_ros.evaluation.measures import (
    DecodingFigures,
    Exactness,
    exactness,
    mean_deviation,
    mean_squared_jerk,
    wilson_interval,
)

_DIGITS = 4  # decimals of milliseconds that are stored


@dataclass(frozen=True, slots=True, kw_only=True)
class EpisodeFigures:
    """The figures of one episode; all of them can be stored as JSON.

    number: its initial state if it began in one, otherwise its seed.
    steps: how many actions it took.
    jerk: mean squared jerk, (m/s^3)^2; None for fewer than four steps.
    target_passes, draft_passes: totals.
    rounds: for each dimension, how many verify rounds began at it, and how many tokens they
        committed.
    compared: in how many steps autoregressive decoding ran, too, for comparison.
    identical: how many of the compared steps had the same tokens.
    bins, values: (D,), sums over the compared steps of the distances to autoregressive decoding,
        in tokens and in the action's units.
    exact: see `measures.Exactness`; None if it was not asked for.
    generated: in how many of the compared steps the other implementation gave the same tokens as
        autoregressive decoding; None if it did not run.
    milliseconds: time of each step.
    compared_ms, autoregressive_ms, generate_ms: times of the compared steps, of autoregressive
        decoding in them, and of the other implementation.
    phases_ms: phase -> its time in each step.
    """

    number: int
    instruction: str
    success: bool
    wrong_object: bool
    steps: int
    jerk: float | None
    target_passes: int
    draft_passes: int
    rounds: Sequence[Sequence[int]]
    compared: int
    identical: int
    bins: Sequence[float]
    values: Sequence[float]
    exact: Mapping[str, int] | None
    generated: int | None
    milliseconds: Sequence[float]
    compared_ms: Sequence[float]
    autoregressive_ms: Sequence[float]
    generate_ms: Sequence[float]
    phases_ms: Mapping[str, Sequence[float]]


def episode_figures(episode: Episode, codec: ActionCodec) -> EpisodeFigures:
    """Return the figures of an episode of at least one step, the first of which was compared."""
    steps, start = episode.steps, episode.start
    beside = [(s, s.reference) for s in steps if s.reference is not None]
    tokens, reference = (
        np.array([a.tokens for a in actions])
        for actions in ([s.action for s, _ in beside], [r for _, r in beside])
    )
    values = np.array([s.action.values for s, _ in beside])
    off = mean_deviation(values, np.array([r.values for _, r in beside]))
    own = [(s.action.tokens, s.own.tokens) for s in steps if s.own is not None]
    same = [np.array_equal(s.generated, r.tokens) for s, r in beside if s.generated is not None]
    positions = np.array([s.position for s in steps])
    jerk = mean_squared_jerk(positions, interval=episode.interval)
    phases = sorted({name for s in steps for name in s.action.stats.phases_ms})
    return EpisodeFigures(
        number=start.seed if start.initial_state is None else start.initial_state,
        instruction=episode.instruction,
        success=episode.success,
        wrong_object=episode.wrong_object,
        steps=len(steps),
        jerk=None if math.isnan(jerk) else jerk,
        target_passes=sum(s.action.stats.target_passes for s in steps),
        draft_passes=sum(s.action.stats.draft_passes for s in steps),
        rounds=_rounds(steps, dimensions=codec.stats.dimensions),
        compared=len(beside),
        identical=int(np.all(tokens == reference, axis=1).sum()),
        bins=(len(beside) * mean_deviation(tokens, reference)).tolist(),
        values=(len(beside) * off).tolist(),
        exact=asdict(exactness(*zip(*own, strict=True))) if own else None,
        generated=sum(same) if same else None,
        milliseconds=_rounded(s.milliseconds for s in steps),
        compared_ms=_rounded(s.milliseconds for s, _ in beside),
        autoregressive_ms=_rounded(s.reference_milliseconds for s, _ in beside),
        generate_ms=_rounded(s.generate_milliseconds for s, _ in beside),
        phases_ms={
            n: _rounded(s.action.stats.phases_ms.get(n, 0.0) for s in steps) for n in phases
        },
    )


def summarise(episodes: Sequence[EpisodeFigures]) -> dict:
    """Return the figures of a mode over its episodes, ready for JSON.

    Times are medians over steps, and ratios are those of the medians over the compared steps. A
    figure is None if there is nothing to count, such as steps to success without any success.
    """
    dimensions, actions = len(episodes[0].rounds), sum(e.steps for e in episodes)
    passes = DecodingFigures.of(
        actions=actions,
        dimensions=dimensions,
        target_passes=sum(e.target_passes for e in episodes),
        draft_passes=sum(e.draft_passes for e in episodes),
    )
    compared = sum(e.compared for e in episodes)
    times = {
        name: _median(chain.from_iterable(getattr(e, name) for e in episodes))
        for name in ('milliseconds', 'compared_ms', 'autoregressive_ms', 'generate_ms')
    }
    won = [e for e in episodes if e.success]
    generated = _sum(e.generated for e in episodes)
    exact = [e.exact for e in episodes if e.exact is not None]
    return {
        'episodes': len(episodes),
        'successes': len(won),
        'success_rate': len(won) / len(episodes),
        'success_interval_95': wilson_interval(len(won), len(episodes)),
        'wrong_object': sum(e.wrong_object for e in episodes),
        'by_instruction': _by_instruction(episodes),
        'mean_steps_to_success': _mean(e.steps for e in won),
        'mean_squared_jerk': _mean(e.jerk for e in episodes if e.jerk is not None),
        'actions': actions,
        'compared_actions': compared,
        'identical_to_autoregressive': sum(e.identical for e in episodes) / compared,
        'generate_identical': None if generated is None else generated / compared,
        'exactness': asdict(_together(exact)) if exact else None,
        'deviation_bins': (np.sum([e.bins for e in episodes], axis=0) / compared).tolist(),
        'deviation_values': (np.sum([e.values for e in episodes], axis=0) / compared).tolist(),
        **asdict(passes),
        'accept_length_by_dimension': [
            tokens / rounds if rounds else None
            for rounds, tokens in np.sum([e.rounds for e in episodes], axis=0).tolist()
        ],
        'median_ms': times['milliseconds'],
        'median_ms_autoregressive': times['autoregressive_ms'],
        'median_ms_generate': times['generate_ms'],
        'speedup': _ratio(times['autoregressive_ms'], times['compared_ms']),
        'speedup_over_generate': _ratio(times['generate_ms'], times['compared_ms']),
        'phases_ms': _median_phases(episodes),
        'failed': [e.number for e in episodes if not e.success],
    }


def _rounds(steps: Sequence[Step], *, dimensions: int) -> list[list[int]]:
    """Return how many verify rounds begin at each dimension, and their tokens, (D, 2).

    Drafts verified inside the prefill count at the first dimension.
    """
    found = [[0, 0] for _ in range(dimensions)]
    for step in steps:
        lengths = step.action.stats.accept_lengths
        rest = len(step.action.tokens) - sum(lengths)  # tokens of a prefill without a draft
        for start, length in zip(accumulate(lengths, initial=rest), lengths, strict=False):
            found[start][0] += 1
            found[start][1] += length
    return found


def _together(exact: Sequence[Mapping[str, int]]) -> Exactness:
    parts = [Exactness(**part) for part in exact]
    return Exactness(
        sum(p.actions for p in parts),
        sum(p.differing for p in parts),
        max(p.largest_bins for p in parts),
    )


def _by_instruction(episodes: Sequence[EpisodeFigures]) -> dict[str, dict[str, int]]:
    rows: dict[str, dict[str, int]] = {}
    for episode in sorted(episodes, key=lambda e: e.instruction):
        row = rows.setdefault(episode.instruction, {'episodes': 0, 'successes': 0})
        row['episodes'] += 1
        row['successes'] += episode.success
    return rows


def _median_phases(episodes: Sequence[EpisodeFigures]) -> dict[str, float | None]:
    """Return the median of each phase over all steps; a step without it counts as zero."""
    names = sorted({name for e in episodes for name in e.phases_ms})
    return {
        name: _median(
            chain.from_iterable(e.phases_ms.get(name, (0.0,) * e.steps) for e in episodes)
        )
        for name in names
    }


def _rounded(milliseconds: Iterable[float | None]) -> list[float]:
    return [round(ms, _DIGITS) for ms in milliseconds if ms is not None]


def _sum(counts: Iterable[int | None]) -> int | None:
    """Return the sum; None if one of the counts is not known."""
    found = list(counts)
    known = [count for count in found if count is not None]
    return sum(known) if len(known) == len(found) else None


def _mean(values: Iterable[float]) -> float | None:
    found = list(values)
    return float(np.mean(found)) if found else None


def _median(values: Iterable[float]) -> float | None:
    found = list(values)
    return float(np.median(found)) if found else None


def _ratio(base: float | None, own: float | None) -> float | None:
    return None if base is None or own is None else base / own
