# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Norm stats: the range of each action dimension in the training data, as checkpoints have them.

OpenVLA (arXiv 2406.09246) writes them into config.json, and a fine-tune into a file of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

STATS_FORMAT = (
    "a data set's are written as {name: {'action': {'q01': [...], 'q99': [...], 'mask': [...]}}}"
)
"""The format of norm stats, for error messages."""
_NO_FILES: Mapping[str, str] = {}
STATISTICS = 'dataset_statistics.json'
"""File with a fine-tune's own norm stats; config.json may only have those of its base model."""
_ROUNDING = 1e-6  # of single precision, which data sets use for actions
_BEYOND = 1e-3  # of the range of min and max, by which rounding may let q01 or q99 exceed it
_ARM = 6  # dimensions before the gripper in actions of seven: position and rotation
_SUFFIX = '_no_noops'  # ending of keys of fine-tunes on filtered data; users often leave it out


@dataclass(frozen=True, slots=True)
class NormStats:
    """The range of each action dimension in the training data.

    key: the name of the data set.
    q01, q99: (D,) float64, the values that -1 and +1 stand for, in the action's own units.
    mask: (D,) bool, False where the value is used as it is (usually the gripper).
    contradiction: in words, why q01 and q99 cannot be from the same data as min and max; empty if
        they can.
    """

    key: str
    q01: np.ndarray
    q99: np.ndarray
    mask: np.ndarray
    contradiction: str = ''

    @property
    def dimensions(self) -> int:
        """The number of action dimensions, which is the number of tokens to decode."""
        return len(self.q01)

    @classmethod
    def select(
        cls,
        norm_stats: Mapping[str, Any],
        unnorm_key: str | None = None,
        *,
        files: Mapping[str, str] = _NO_FILES,
    ) -> NormStats:
        """Choose a data set's stats from those of a checkpoint.

        Args:
            norm_stats: `{key: {'action': {'q01': [...], 'q99': [...], 'mask': [...]}}}`; without
                a mask, every dimension is un-normalised.
            unnorm_key: the data set, with or without the suffix `_no_noops`; may be None if there
                is only one, or only one of the fine-tune's own.
            files: data set -> the file that it is from.

        Raises:
            ValueError: the key is unknown, or is needed and None (the message lists the valid
                ones); it is in config.json, and with or without the suffix it means different
                stats of the fine-tune; or the stats are malformed (the message says where and
                how).
        """
        valid = ', '.join(repr(k) for k in sorted(norm_stats)) or 'none'
        lacking = (
            f"; a fine-tune's own are in the {STATISTICS} of its training, which is not here: "
            'copy it into the folder'
            if files and STATISTICS not in files.values()
            else ''
        )
        if unnorm_key is None:
            unasked = keys_unasked(norm_stats, files)
            if len(unasked) != 1:
                usable = any(_bounds(entry) for entry in norm_stats.values())
                hint = (
                    ''
                    if usable
                    else f', none of them with action.q01 and action.q99: {STATS_FORMAT}'
                )
                raise ValueError(
                    f'choose an unnorm_key: the checkpoint has {valid}{hint}{lacking}'
                )
            unnorm_key = unasked[0]
        spellings = (unnorm_key, unnorm_key + _SUFFIX, unnorm_key.removesuffix(_SUFFIX))
        found = next((k for k in spellings if k in norm_stats), None)
        if found is None:
            raise ValueError(
                f'unknown unnorm_key {unnorm_key!r}: the checkpoint has {valid}{lacking}'
            )
        own = next((k for k in spellings if files.get(k) == STATISTICS), found)
        if files.get(found) != STATISTICS and norm_stats[own] != norm_stats[found]:
            raise ValueError(
                f'unnorm_key {unnorm_key!r} may mean {own!r} of {STATISTICS}, which are the '
                f"fine-tune's own, or {found!r} of config.json, and they differ: give {own!r}; "
                'for the model that it was made from, give its folder'
            )
        where = f' in {files[found]}' if found in files else ''
        return cls._from_dict(found, norm_stats[found], f'norm stats {found!r}{where}')

    @classmethod
    def _from_dict(cls, key: str, entry: Any, name: str) -> NormStats:
        action = _bounds(entry)
        if action is None:
            raise ValueError(
                f'{name} lack action.q01 or action.q99{_instead(entry)}: {STATS_FORMAT}'
            )
        try:
            q01 = np.asarray(action['q01'], np.float64)
            q99 = np.asarray(action['q99'], np.float64)
            mask = np.asarray(action.get('mask', np.ones(q01.shape, bool)))
        except (TypeError, ValueError) as error:  # ragged lists, words
            raise ValueError(f'{name} are no lists of numbers: {error}') from error
        if q01.ndim != 1 or not q01.size or not q01.shape == q99.shape == mask.shape:
            raise ValueError(
                f'{name}: q01 {q01.shape}, q99 {q99.shape} and mask {mask.shape} '
                'must be lists of the same length, and not empty'
            )
        if mask.dtype.kind not in 'bi' or not np.isin(mask, (0, 1)).all():
            raise ValueError(f'{name}: mask must hold true and false only, not {action["mask"]}')
        if not (np.isfinite(q01).all() and np.isfinite(q99).all()):
            raise ValueError(f'{name} has bounds that are not finite')
        reversed_ones = np.flatnonzero(q01 > q99)
        if len(reversed_ones):
            d = reversed_ones[0]
            raise ValueError(
                f'{name}: q01 is above q99 in dimension {d} ({q01[d]:g} and {q99[d]:g}), which '
                'would reverse its motion; write the lower one into q01'
            )
        stats = cls(key, q01, q99, mask.astype(bool), _contradiction(action, q01, q99, mask))
        stuck = np.flatnonzero(stats.without_range & (np.abs(q01) > _ROUNDING))
        if len(q01) == _ARM + 1 and len(stuck) and stuck[0] < _ARM:
            d = stuck[0]
            raise ValueError(
                f'{name}: q01 and q99 are both {q01[d]:g} in dimension {d}, so that the arm would '
                'move by that in every step, whatever the policy says; compute them anew from '
                'the training data'
            )
        return stats

    @property
    def without_range(self) -> np.ndarray:
        """(D,) bool: the dimensions in which all normalised values mean the same value."""
        alike: np.ndarray = self.mask & np.isclose(
            self.q01, self.q99, rtol=_ROUNDING, atol=_ROUNDING**2
        )
        return alike

    def foreign_warning(self, files: Mapping[str, str]) -> str | None:
        """Return a warning if these stats are not the fine-tune's own; None if they are.

        files: data set -> the file that it is from.
        """
        own = sorted(k for k, file in files.items() if file == STATISTICS)
        if not own or self.key in own:
            return None
        return (
            f'norm stats {self.key!r} are in config.json alone, and so of the model that this one '
            f'was fine-tuned from; its own are in {STATISTICS}: {", ".join(map(repr, own))}'
        )

    def unnormalise(self, normalised: ArrayLike) -> np.ndarray:
        """(..., D) in [-1, 1] -> (..., D) float64 in the action's own units."""
        x = np.asarray(normalised, np.float64)
        return np.where(self.mask, 0.5 * (x + 1) * (self.q99 - self.q01) + self.q01, x)

    def normalise(self, values: ArrayLike) -> np.ndarray:
        """(..., D) in the action's own units -> (..., D) float64; may exceed [-1, 1]."""
        x = np.asarray(values, np.float64)
        span = self.q99 - self.q01
        scaled = 2 * (x - self.q01) / np.where(span == 0, 1, span) - 1
        return np.where(self.mask, scaled, x)


def keys_unasked(norm_stats: Iterable[str], files: Mapping[str, str]) -> list[str]:
    """Return the data sets that may be chosen by default: the fine-tune's own, or all if none is.

    norm_stats: names of all data sets; files: data set -> the file that it is from.
    """
    keys = list(norm_stats)
    return [k for k in keys if files.get(k) == STATISTICS] or keys


def _instead(entry: Any) -> str:
    """Say in words what a data set's statistics hold instead of bounds."""
    if not isinstance(entry, Mapping):
        return ''
    if _has_bounds(entry):
        return " (they are there without 'action' around them)"
    inside = [str(key) for key, value in entry.items() if _bounds(value)]
    if inside:
        return (
            f' ({", ".join(map(repr, inside[:3]))} inside of it are data sets, which must not be '
            'in another name)'
        )
    alike = [k for k, v in entry.items() if _has_bounds(v) and str(k).lower().startswith('action')]
    if alike:
        return f" (they are in {alike[0]!r}, which must be called 'action')"
    action = entry.get('action', entry)
    there = ', '.join(sorted(map(str, action))) if isinstance(action, Mapping) else ''
    where = 'action has' if 'action' in entry else 'there is'
    return f' ({where} {there}, which mean other ranges or none)' if there else ''


def _contradiction(
    action: Mapping[str, Any], q01: np.ndarray, q99: np.ndarray, mask: np.ndarray
) -> str:
    """Say in which dimension q01 is below min or q99 above max; empty if in none.

    action: the data set's statistics, which may lack min and max.
    q01, q99, mask: (D,), of the same data set.
    """
    try:
        least, most = (np.asarray(action.get(name), np.float64) for name in ('min', 'max'))
    except (TypeError, ValueError):  # min and max are not used otherwise, so they may be malformed
        return ''
    if not least.shape == most.shape == q01.shape:
        return ''
    slack = _BEYOND * np.abs(most - least) + _ROUNDING
    for d in np.flatnonzero(mask):
        for name, end, bound, beyond in (
            ('q01', q01[d], f'min {least[d]:g}', q01[d] < least[d] - slack[d]),
            ('q99', q99[d], f'max {most[d]:g}', q99[d] > most[d] + slack[d]),
        ):
            if beyond:
                return (
                    f'{name} is {end:g} in dimension {d}, beyond its {bound}: they are of other '
                    'data, or were edited, and motions go as far as q01 and q99 say'
                )
    return ''


def _bounds(entry: Any) -> Mapping[str, Any] | None:
    """Return the statistics of a data set's actions; None if bounds are missing."""
    action = entry.get('action') if isinstance(entry, Mapping) else None
    return action if _has_bounds(action) else None


def _has_bounds(values: Any) -> bool:
    return isinstance(values, Mapping) and {'q01', 'q99'} <= values.keys()
