# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""How often draft tokens are accepted, which decides which draft trees are worth their time.

It depends on the drafter, the acceptance threshold, the dimension of the action, and the width and
level of the tree. A `RateTable` is measured when a drafter is trained, and stored with it.
`AcceptanceRates` corrects it by what is observed at run time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

LevelRate = Callable[[int, int, int], float]
"""(width of a tree, dimension of the token from 0, level from 1) -> how often that level holds a
token that is accepted, given that the level above does. Dimension 0 is never drafted."""

WIDTHS = (1, 2, 4, 8)
"""Numbers of siblings in a draft tree for which there are rates."""

_LEARNING = 0.1  # step of a shift, in log-odds, for a difference of 1 from the expected rate
_FORGETTING = 0.9995  # factor of all shifts at an action without drafts, so that these come again
_NEUTRAL = {0: 0.70, 1: 0.80, 3: 0.88, 5: 0.92, 9: 0.95, 30: 0.98}  # threshold -> rate at width 1
_NEUTRAL_MISSES = 0.75  # share of the misses that remains when a tree is twice as wide


@dataclass(frozen=True, slots=True)
class RateTable:
    """The measured acceptance rates of a drafter.

    thresholds: acceptance thresholds r, ascending, in bins.
    rates: (len(thresholds), len(WIDTHS), D - 1): how often one of so many siblings is accepted
        in the first level of a tree, for each token of the action but the first.
    levels: factor of these rates at each level of a tree; the last holds for all deeper levels
        as well. From the second level on the drafter reads its own predictions.

    Raises:
        ValueError: the shapes do not fit, or numbers are no rates.
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
        """Number of tokens of an action."""
        return self.rates.shape[2] + 1

    @classmethod
    def neutral(cls, dimensions: int) -> RateTable:
        """Return the rates that are assumed for a drafter without a table."""
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
        """Return the rates of the first level for thresholds (D,), one for each dimension.

        The result has the shape (len(WIDTHS), D - 1). Rates between measured thresholds are
        interpolated.
        """
        columns = [
            [np.interp(r, self.thresholds, self.rates[:, w, d]) for w in range(len(WIDTHS))]
            for d, r in enumerate(thresholds[1:])
        ]
        return np.array(columns).T.reshape(len(WIDTHS), -1)


class AcceptanceRates:
    """A table of rates, corrected by the drafts that were observed.

    Each dimension has one correction: a shift of the log-odds of its rates, for all thresholds,
    widths and levels. So what is learned from one tree holds for the others, too.

    Args:
        table: the rates to begin with.
    """

    def __init__(self, table: RateTable) -> None:
        self._table = table
        self._shifts = np.zeros(table.rates.shape[2])
        self._unshifted: dict[tuple[int, ...], np.ndarray] = {}  # by thresholds

    def of_levels(self, thresholds: Sequence[int]) -> LevelRate:
        """Return the present rates for these thresholds, one for each dimension."""
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
            thresholds: the acceptance thresholds, one for each dimension.
            width: of the tree.
            first_dimension: dimension of the tree's first level.
            depth: of the tree.
            accepted: how many of its levels were accepted.
        """
        if width not in WIDTHS:
            return
        rate = self.of_levels(thresholds)
        for level in range(1, min(accepted + 1, depth) + 1):
            here = first_dimension + level - 1
            surprise = (level <= accepted) - rate(width, here, level)
            self._shifts[here - 1] += _LEARNING * surprise

    def forget_a_little(self) -> None:
        """Move a little towards the table, after an action without drafts."""
        self._shifts *= _FORGETTING


def _shifted(rates: np.ndarray | float, shifts: np.ndarray | float) -> np.ndarray:
    """Return the rates with their log-odds shifted."""
    clipped = np.clip(rates, 1e-3, 1 - 1e-3)
    return 1 / (1 + (1 - clipped) / clipped * np.exp(-np.asarray(shifts)))
