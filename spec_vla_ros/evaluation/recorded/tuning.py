# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Replays recordings through every way of decoding, to find an acceptance threshold r.

For each way it says how fast it is, and how far its actions are from those of autoregressive
decoding (AR). The replay is open loop: every way sees the recorded images, whatever its own
actions would have led to. So it does not say whether the task would still succeed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from spec_vla_ros.evaluation.measures import decoding_figures, mean_deviation
from spec_vla_ros.evaluation.ways import REPLAYED, Way
from spec_vla_ros.types import DIMENSIONS, Action, Decoding, Observation, Policy

Recording = Callable[[], Iterable[Observation]]
"""Yields a recording's observations from its beginning, each time it is called."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """The action for one recorded observation, and how long it took."""

    action: Action
    milliseconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviationTolerance:
    """How far 95 of 100 actions may be from the AR actions; None for no limit.

    In as many, the gripper must do the same as with AR.

    bins: in the dimension that is farthest off, the gripper excepted.
    metres: length of the difference of the displacements.
    radians: length of the difference of the rotation vectors.
    """

    bins: float | None = None
    metres: float | None = None
    radians: float | None = None

    def __str__(self) -> str:
        parts = {
            'mm of displacement': None if self.metres is None else 1e3 * self.metres,
            'mrad of rotation': None if self.radians is None else 1e3 * self.radians,
            'bins in each dimension': self.bins,
        }
        given = ' and '.join(f'{v:g} {name}' for name, v in parts.items() if v is not None)
        return f'a 95th percentile of {given}'

    def allows(self, figures: Mapping) -> bool:
        """Return whether a way's figures (see `way_figures`) are within the limits."""
        limits = {
            'worst_bins': self.bins,
            'translation_m': self.metres,
            'rotation_rad': self.radians,
        }
        return figures['gripper_differs'] <= 0.05 and all(
            figures['deviation'][name]['p95'] <= limit
            for name, limit in limits.items()
            if limit is not None
        )


def replay(
    policy: Policy, recordings: Sequence[Recording], decoding: Decoding
) -> Iterator[Replayed]:
    """Decode every observation in order, as the node would.

    A new recording and a new instruction begin a new task, for which the policy is reset.
    """
    for recording in recordings:
        instruction = None
        for seen in recording():
            if seen.instruction != instruction:
                policy.reset()
                instruction = seen.instruction
            start = time.perf_counter()
            action = policy.infer(seen, decoding)
            yield Replayed(action, 1e3 * (time.perf_counter() - start))


def answered_by_all(
    ways: Mapping[str, Sequence[Replayed]], is_action: Callable[[np.ndarray], bool]
) -> dict[str, list[Replayed]]:
    """Drop the observations to which any way of decoding answered in words.

    Args:
        ways: name of a way -> its actions; all of the same observations.
        is_action: tokens (D,) -> whether they are an action.

    Raises:
        ValueError: no observation is left.
    """
    kept = [
        number
        for number, each in enumerate(zip(*ways.values(), strict=True))
        if all(is_action(one.action.tokens) for one in each)
    ]
    if not kept:
        raise ValueError('to each of the images some way of decoding answers in words')
    return {name: [replayed[number] for number in kept] for name, replayed in ways.items()}


def median_ms(replayed: Sequence[Replayed]) -> float:
    """Return the median time of an action, milliseconds."""
    return float(np.median([one.milliseconds for one in replayed]))


def way_figures(
    replayed: Sequence[Replayed], reference: Sequence[Replayed], *, reference_ms: float
) -> dict:
    """Return how fast one way is and how far it is from AR, ready for JSON.

    Deviations are absolute differences: of tokens in bins, of values in the units of the norm
    stats. Only actions of 7 dimensions have those of translation and rotation. The last dimension
    is the gripper's.

    Args:
        replayed: the way's actions.
        reference: AR's actions for the same observations.
        reference_ms: how long an AR action took at about the same time.
    """
    tokens, wanted = (np.array([r.action.tokens for r in way]) for way in (replayed, reference))
    values, aimed = (np.array([r.action.values for r in way]) for way in (replayed, reference))
    dimensions = tokens.shape[1]
    counted = decoding_figures([r.action.stats for r in replayed], dimensions=dimensions)
    ms = median_ms(replayed)
    bins = np.abs(tokens - wanted)
    deviation = {
        'bins': _by_dimension(tokens, wanted),
        'values': _by_dimension(values, aimed),
        'worst_bins': _spread(bins[:, :-1].max(axis=1)),
    }
    if dimensions == DIMENSIONS:
        off = values - aimed
        deviation['translation_m'] = _spread(np.linalg.norm(off[:, :3], axis=1))
        deviation['rotation_rad'] = _spread(np.linalg.norm(off[:, 3:6], axis=1))
    return {
        'actions': len(replayed),
        'median_ms': ms,
        'speedup': reference_ms / ms,
        'target_passes': counted.target_passes,
        'draft_passes': counted.draft_passes,
        'tokens_per_pass': counted.tokens_per_pass,
        'accept_length': counted.accept_length,
        'identical_to_autoregressive': float(np.mean(~bins.any(axis=1))),
        'gripper_differs': float(np.mean(bins[:, -1] > 0)),
        'deviation': deviation,
    }


def recommend(results: Mapping[str, Mapping], tolerance: DeviationTolerance) -> Way:
    """Return the way with the largest r up to which every r stays within a tolerance.

    This is done with and without temporal drafts; the faster of the two ways is returned. There
    always is one, since strict decoding is taken as not deviating.

    Args:
        results: name of a way -> its `way_figures`, for every way in `REPLAYED`.
        tolerance: how far actions may deviate.
    """
    found = []
    for temporal in (False, True):
        best, *larger = (way for way in REPLAYED if way.temporal is temporal)
        for way in larger:
            if not tolerance.allows(results[way.name]):
                break
            best = way
        found.append(best)
    return max(found, key=lambda way: results[way.name]['speedup'])


def _by_dimension(found: np.ndarray, wanted: np.ndarray) -> dict[str, list[float]]:
    p95 = np.percentile(np.abs(found - wanted), 95, axis=0)
    return {'mean': mean_deviation(found, wanted).tolist(), 'p95': p95.tolist()}


def _spread(amounts: np.ndarray) -> dict[str, float]:
    return {'mean': float(amounts.mean()), 'p95': float(np.percentile(amounts, 95))}
