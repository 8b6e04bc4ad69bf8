# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Drafts from what the target chose before: consecutive actions of a smooth motion are alike.

What is remembered is the target's own choice at each dimension, never the action that was emitted.
Offering the emitted action again under relaxed acceptance is a feedback loop: each step may
repeat the last one, so the command freezes while the target drifts away, up to r bins at a time.
The target's choices are measured afresh each step, so an accepted draft is never more than r bins
off and the error cannot build up.
"""

from __future__ import annotations

import numpy as np

MAX_CANDIDATES = 3
"""Drafts that are offered at most."""

_GRIPPER_MOVED = 0.25
"""Share of its range by which the gripper's choice must differ to count as a change."""


class TemporalDraft:
    """Predicts the next action's tokens from the last two the target chose.

    action_ids: the token ids that are actions; a higher id is a lower value.
    resting_ids: the tokens of "no motion" (D,), what decaying motions tend to.
    max_gap_ns: after a longer pause the past is no guide.
    """

    def __init__(
        self, *, action_ids: range, resting_ids: np.ndarray, max_gap_ns: int = 1_000_000_000
    ) -> None:
        self._action_ids = action_ids
        self._resting_ids = np.asarray(resting_ids, np.int64)
        self._max_gap_ns = max_gap_ns
        self._choices: list[np.ndarray] = []  # the last one or two, newest last
        self._situation: tuple[str, int] = ('', 0)

    def candidates(self, *, instruction: str, stamp_ns: int) -> np.ndarray:
        """Return drafts (C, D) of token ids, best first; C is 0 when the past is no guide.

        The past is forgotten on a new instruction and after a gap in time, or a step back.
        """
        known, last_stamp = self._situation
        if instruction != known or not 0 <= stamp_ns - last_stamp <= self._max_gap_ns:
            self.reset()
        if not self._choices:
            return np.zeros((0, len(self._resting_ids)), np.int64)
        last = self._choices[-1]
        drafts = [last]
        if len(self._choices) > 1:
            drafts += [self._constant_velocity(), self._decayed()]
        low, high = self._action_ids.start, self._action_ids.stop - 1
        clipped = np.clip(np.stack(drafts), low, high)
        clipped[:, -1] = last[-1]  # the gripper opens or closes, it does not drift
        return _distinct(clipped)

    def record(self, choices: np.ndarray, *, instruction: str, stamp_ns: int) -> None:
        """Remember what the target chose (D,) for an observation.

        A gripper that changed begins a new phase of the motion: older choices are forgotten.
        """
        choices = np.asarray(choices, np.int64)
        moved = len(self._action_ids) * _GRIPPER_MOVED
        if self._choices and abs(self._choices[-1][-1] - choices[-1]) > moved:
            self._choices.clear()
        self._choices = [*self._choices[-1:], choices]
        self._situation = (instruction, stamp_ns)

    def reset(self) -> None:
        """Forget everything."""
        self._choices.clear()

    def _constant_velocity(self) -> np.ndarray:
        before, last = self._choices
        return 2 * last - before

    def _decayed(self) -> np.ndarray:
        """A motion that closes a constant share of what remains shrinks geometrically."""
        before, last = (c - self._resting_ids for c in self._choices)
        ratio = np.clip(last / np.where(before == 0, 1, before), 0.0, 1.0)
        return self._resting_ids + np.rint(last * ratio).astype(np.int64)


def _distinct(drafts: np.ndarray) -> np.ndarray:
    """Drop repeated rows, keeping the order."""
    _, first = np.unique(drafts, axis=0, return_index=True)
    return drafts[np.sort(first)]
