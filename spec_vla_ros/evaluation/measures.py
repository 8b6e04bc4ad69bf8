# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Measures of decoded actions, each as a plain function of arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from spec_vla_ros.types import DecodeStats, accept_length


@dataclass(frozen=True, slots=True)
class DecodingFigures:
    """How many passes the actions of a run took.

    accept_length: all tokens by all verify rounds, see `types.accept_length`; None without rounds.
    tokens_per_pass: tokens per pass of the target, prefill included.
    target_passes, draft_passes: mean per action, prefill included.
    """

    accept_length: float | None
    tokens_per_pass: float
    target_passes: float
    draft_passes: float

    @classmethod
    def of(
        cls, *, actions: int, dimensions: int, target_passes: int, draft_passes: int
    ) -> DecodingFigures:
        """Return the figures for totals of actions and passes.

        Raises:
            ValueError: there are no actions.
        """
        if not actions:
            raise ValueError('no actions to count')
        tokens = dimensions * actions
        return cls(
            accept_length=accept_length(tokens, target_passes, actions=actions),
            tokens_per_pass=tokens / target_passes,
            target_passes=target_passes / actions,
            draft_passes=draft_passes / actions,
        )


def decoding_figures(stats: Sequence[DecodeStats], *, dimensions: int) -> DecodingFigures:
    """Count passes over the actions of a run.

    Raises:
        ValueError: there are no actions.
    """
    return DecodingFigures.of(
        actions=len(stats),
        dimensions=dimensions,
        target_passes=sum(s.target_passes for s in stats),
        draft_passes=sum(s.draft_passes for s in stats),
    )


@dataclass(frozen=True, slots=True)
class Exactness:
    """How many actions of strict decoding differ from those of autoregressive decoding.

    In float32 none should. In half precision, a pass of several rows rounds differently from a
    pass of one, so that another token may be chosen if two are nearly equally probable.

    actions: how many were compared.
    differing: how many of them differ in any token.
    largest_bins: the largest difference of a token, in bins.
    """

    actions: int
    differing: int
    largest_bins: int

    def __str__(self) -> str:
        share = self.differing / self.actions
        far = f', by up to {self.largest_bins} bins' if self.differing else ''
        return f'{self.differing} of {self.actions} ({share:.1%}){far}'


def exactness(tokens: ArrayLike, reference: ArrayLike) -> Exactness:
    """Compare the tokens of actions with those of autoregressive decoding, (N, D) int twice.

    Raises:
        ValueError: there are no actions.
    """
    off = np.abs(np.asarray(tokens, np.int64) - np.asarray(reference, np.int64))
    if not off.size:
        raise ValueError('no actions to compare')
    return Exactness(len(off), int(off.any(axis=1).sum()), int(off.max()))


def mean_squared_jerk(positions: np.ndarray, *, interval: float) -> float:
    """Return the mean of the squared third derivative of a path, (m/s^3)^2.

    positions: (N, 3) metres, `interval` seconds apart; NaN if there are fewer than four.
    """
    if len(positions) < 4:
        return float('nan')
    jerk = np.diff(positions, n=3, axis=0) / interval**3
    return float(np.mean(np.sum(jerk**2, axis=1)))


def mean_deviation(values: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Return the mean absolute difference in each dimension, (N, D) twice -> (D,)."""
    return np.mean(np.abs(np.asarray(values, float) - np.asarray(reference, float)), axis=0)


def wilson_interval(successes: int, trials: int) -> tuple[float, float]:
    """Return Wilson's score interval of a rate, with a confidence of 95 %.

    Raises:
        ValueError: there were no trials.
    """
    if trials < 1:
        raise ValueError('an interval needs at least one trial')
    z = 1.96  # 95 % of a normal distribution lie within
    rate, square = successes / trials, z * z
    middle = (rate + square / (2 * trials)) / (1 + square / trials)
    spread = (rate * (1 - rate) / trials + square / (4 * trials**2)) ** 0.5
    half = z * spread / (1 + square / trials)
    return middle - half, middle + half
