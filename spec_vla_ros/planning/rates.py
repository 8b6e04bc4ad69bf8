# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""How often drafts are accepted: what a drafter was measured to do, corrected by what it does.

Which draft trees pay depends on it, and it depends on the drafter, the acceptance threshold, the
dimension of the action, the width and the level of the tree. A `RateTable` is measured when a
drafter is trained and kept with it; `AcceptanceRates` shifts it by what is seen at run time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

LevelRate = Callable[[int, int, int], float]
"""Width of a tree, dimension of the token (from 0; the first is never drafted), level from 1 ->
how often that level holds a token that is accepted there, given that the level above does."""

WIDTHS = (1, 2, 4, 8)
"""Siblings in a draft tree that rates are known for."""

_LEARNING = 0.1  # of a shift, in log-odds for each surprise
_FORGETTING = 0.9995  # of a shift, at each action without drafts: in the end they are tried again
_NEUTRAL = {0: 0.70, 1: 0.80, 3: 0.88, 5: 0.92, 9: 0.95, 30: 0.98}
_NEUTRAL_MISSES = 0.75  # of the misses are left when a tree is twice as wide


@dataclass(frozen=True, slots=True)
class RateTable:
    """What was measured of a drafter.

    thresholds: acceptance thresholds r, ascending, in bins.
    rates: (len(thresholds), len(WIDTHS), D - 1): how often one of so many siblings is accepted,
        for each token of the action but the first, drafted on the target's own features.
    levels: what that is multiplied with at each level of a tree, since from the second on a
        drafter reads its own predictions; the last stands for all deeper ones.

    Raises:
        ValueError: shapes that do not fit, or numbers that are no rates.
    """

    thresholds: tuple[int, ...]
    rates: np.ndarray
    levels: tuple[float, ...] = (1.0,)

    def __post_init__(self) -> None:
        rates = np.asarray(self.rates, float)
        object.__setattr__(self, 'rates', rates)
        if rates.ndim != 3 or rates.shape[:2] != (len(self.thresholds), len(WIDTHS)):
            raise ValueError(
                f'acceptance rates of shape {rates.shape} do not fit {len(self.thresholds)} '
                f'thresholds and {len(WIDTHS)} widths'
            )
        if list(self.thresholds) != sorted({*self.thresholds}) or not self.levels:
            raise ValueError('acceptance rates need ascending thresholds, and a level')
        if not (np.all((rates >= 0) & (rates <= 1)) and all(f > 0 for f in self.levels)):
            raise ValueError('acceptance rates must lie between 0 and 1')

    @property
    def dimensions(self) -> int:
        """Tokens of an action."""
        return self.rates.shape[2] + 1

    @classmethod
    def neutral(cls, dimensions: int) -> RateTable:
        """Return what is assumed of a drafter that nothing is known of: a middling one."""
        misses = 1 - np.array(list(_NEUTRAL.values()))
        narrowed = misses[:, None] * _NEUTRAL_MISSES ** np.log2(WIDTHS)
        rates = np.repeat(1 - narrowed[..., None], max(1, dimensions - 1), axis=2)
        return cls(tuple(_NEUTRAL), rates)

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> RateTable:
        """Read `draft_acceptance` of a drafter's config.json.

        Raises:
            ValueError: it is malformed.
        """
        try:
            thresholds = tuple(int(r) for r in stored['thresholds'])
            levels = tuple(float(f) for f in stored['levels'])
            if tuple(stored['widths']) != WIDTHS:
                raise ValueError(f'its widths are not {WIDTHS}')
            return cls(thresholds, np.asarray(stored['rates'], float), levels)
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f'draft_acceptance is malformed: {error!r}') from error

    def to_dict(self) -> dict[str, Any]:
        """Return what `from_dict` reads."""
        return {
            'thresholds': list(self.thresholds),
            'widths': list(WIDTHS),
            'levels': [round(f, 4) for f in self.levels],
            'rates': np.round(self.rates, 4).tolist(),
        }

    def at(self, thresholds: Sequence[int]) -> np.ndarray:
        """Return the rates of the first level where each dimension has its own threshold (D,).

        Between measured thresholds they are interpolated: (len(WIDTHS), D - 1).
        """
        columns = [
            [np.interp(r, self.thresholds, self.rates[:, w, d]) for w in range(len(WIDTHS))]
            for d, r in enumerate(thresholds[1:])
        ]
        return np.array(columns).T.reshape(len(WIDTHS), -1)


class AcceptanceRates:
    """A table of rates, and how far off it was lately.

    Every surprise shifts the log-odds of its dimension; one shift serves all thresholds, widths
    and levels, so that what is learned with one tree is known of the others.

    Args:
        table: where it begins.
    """

    def __init__(self, table: RateTable) -> None:
        self._table = table
        self._shifts = np.zeros(table.rates.shape[2])
        self._unshifted: dict[tuple[int, ...], np.ndarray] = {}  # by thresholds

    def of_levels(self, thresholds: Sequence[int]) -> LevelRate:
        """Return the rates of now for these thresholds, one for each dimension."""
        levels, key = self._table.levels, tuple(thresholds)
        if key not in self._unshifted:
            factors = np.array(levels)[:, None, None]
            self._unshifted[key] = self._table.at(thresholds) * factors
        rates = _shifted(self._unshifted[key], self._shifts).tolist()
        row = {width: i for i, width in enumerate(WIDTHS)}

        def rate(width: int, dimension: int, level: int) -> float:
            return rates[min(level, len(levels)) - 1][row[width]][dimension - 1]

        return rate

    def saw_draft(
        self,
        thresholds: Sequence[int],
        *,
        width: int,
        first_dimension: int,
        depth: int,
        accepted: int,
    ) -> None:
        """Learn from a verified draft tree.

        Args:
            thresholds: in force.
            width: of the tree.
            first_dimension: of its first level.
            depth: of the tree.
            accepted: levels.
        """
        if width not in WIDTHS:
            return
        rate = self.of_levels(thresholds)
        for level in range(1, min(accepted + 1, depth) + 1):
            here = first_dimension + level - 1
            surprise = (level <= accepted) - rate(width, here, level)
            self._shifts[here - 1] += _LEARNING * surprise

    def forget_a_little(self) -> None:
        """Draw nearer to the table: nothing was drafted, and things may have changed."""
        self._shifts *= _FORGETTING


def _shifted(rates: np.ndarray | float, shifts: np.ndarray | float) -> np.ndarray:
    """Shift rates in log-odds."""
    clipped = np.clip(rates, 1e-3, 1 - 1e-3)
    return 1 / (1 + (1 - clipped) / clipped * np.exp(-np.asarray(shifts)))
