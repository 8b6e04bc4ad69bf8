# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Drafts made of what the target chose before, since consecutive actions of a motion are alike.

What is remembered is the target's own choice in each dimension, never the action that was emitted.
To offer the emitted action again under relaxed acceptance would be a feedback loop: each step
could repeat the one before, so the command would stand still while the target drifts away, and
would jump once the drift exceeds r bins. The target's choices are made afresh in each step, so an
accepted draft is never more than r bins off, and errors do not build up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from spec_vla_ros.decoding.draft_tree import DraftTree
from spec_vla_ros.decoding.guesses import RankedNode, as_tree, rank_guesses
from spec_vla_ros.types import NANOSECONDS

MAX_NODES = 24
"""The most draft tokens that are offered."""

SIZES = (6, 8, 12, 16, MAX_NODES)
"""Sizes of a temporal draft, in nodes, for which `TemporalDraft.held` counts how deep it is right.

The planner chooses among them.
"""

_GRIPPER_MOVED = 0.25
"""Share of its range by which the gripper's choice must differ to count as a change."""

_MAX_GAP_NS = NANOSECONDS  # after a longer pause the motion is over
_SITUATIONS, _NEAREST = 1024, 4  # situations remembered, and how many of them make a guess
_UNKNOWN_RATE = 0.5  # how often a predictor is assumed to be right before anything is known
_MEMORY = 0.98  # weight of the past in running means; about the last fifty actions count
_COUNT_EVERY = 4  # where no guesses are asked for, they are made for one action in so many
_UNKNOWN_WHOLE = 0.3  # share of actions assumed to be guessed whole at first; the rest not at all


class TemporalDraft:
    """Guesses the next action's tokens from those the target chose before.

    There are three kinds of predictors. One repeats the last choice. One lets the motion decay as
    it did between the last two choices. The others repeat what was chosen in the most similar
    situations. How often each predictor was right lately, in each dimension, decides which tokens
    go into the tree.

    Args:
        action_ids: the token ids that are actions; a higher id is a lower value.
        resting_ids: (D,) the tokens of "no motion", to which decaying motions tend.
    """

    def __init__(self, *, action_ids: range, resting_ids: np.ndarray) -> None:
        self._action_ids = action_ids
        self._resting_ids = np.asarray(resting_ids, np.int64)
        size = len(self._resting_ids)
        self._motion: list[np.ndarray] = []  # the last one or two choices, newest last
        self._situation: tuple[str, int] = ('', 0)
        self._table = SituationTable(key_size=size, choice_size=size, capacity=_SITUATIONS)
        self._rates, self._held = np.zeros((2 + _NEAREST, size)), np.zeros((len(SIZES), size))
        self._offered: _Offer | None = None
        self._count = 0
        self.reset(situations=True)

    def draft(
        self,
        *,
        instruction: str,
        stamp_ns: int,
        thresholds: Sequence[int],
        nodes: int = MAX_NODES,
    ) -> DraftTree | None:
        """Return a tree of guesses at all tokens but the last, or None if there are none.

        The motion is forgotten on a new instruction, after a gap in time, and when time goes back.

        Args:
            instruction: what is being done.
            stamp_ns: when the image was taken.
            thresholds: for each dimension, how many bins a draft may be off.
            nodes: the most draft tokens to offer; 0 for none.
        """
        known, last_stamp = self._situation
        if instruction != known or not 0 <= stamp_ns - last_stamp <= _MAX_GAP_NS:
            self.reset()
        self._count, self._offered = self._count + 1, None
        if not nodes and self._count % _COUNT_EVERY:
            return None  # it is enough to count now and then how good guesses would be
        guesses, predictors = self._guesses()
        levels = len(self._resting_ids) - 1  # the last token is always the bonus
        ranked = rank_guesses(
            guesses[:, :levels],
            self._rates[predictors, :levels],
            apart=thresholds,
            nodes=MAX_NODES,
        )
        self._offered = _Offer(guesses, predictors, np.asarray(thresholds), ranked)
        return as_tree(ranked[: nodes + 1]) if len(guesses) and nodes else None

    def held(self) -> dict[int, np.ndarray]:
        """Return how deep temporal drafts have been right lately, for each of the `SIZES`.

        Size in nodes -> (D,): for 0, 1, ... D - 1 levels, the share of actions in which the draft
        was right down to just that level. Drafts that were not offered are counted, too.
        """
        return dict(zip(SIZES, self._held, strict=True))

    def record(self, choices: np.ndarray, *, instruction: str, stamp_ns: int) -> None:
        """Remember what the target chose, (D,), for an observation.

        A change of the gripper begins a new phase, so the motion before it is forgotten.
        """
        choices = np.asarray(choices, np.int64)
        if self._offered is not None:
            offer, self._offered = self._offered, None
            right = np.abs(offer.guesses - choices) <= offer.thresholds
            known = self._rates[offer.predictors]
            self._rates[offer.predictors] = known + (1 - _MEMORY) * (right - known)
            self._held *= _MEMORY
            self._held[range(len(SIZES)), offer.held(choices.tolist())] += 1 - _MEMORY
        self._table.add(self._key(), choices)
        moved = len(self._action_ids) * _GRIPPER_MOVED
        if self._motion and abs(self._motion[-1][-1] - choices[-1]) > moved:
            self._motion.clear()
        self._motion = [*self._motion[-1:], choices]
        self._situation = (instruction, stamp_ns)

    def reset(self, *, situations: bool = False) -> None:
        """Forget the motion, and, if asked to, what was chosen in which situation before."""
        self._motion.clear()
        self._offered = None
        if situations:
            self._table.clear()
            self._rates[:], self._count = _UNKNOWN_RATE, 0
            between = [0.0] * (len(self._resting_ids) - 2)
            self._held[:] = [1 - _UNKNOWN_WHOLE, *between, _UNKNOWN_WHOLE]

    def _guesses(self) -> tuple[np.ndarray, np.ndarray]:
        """Return guesses (G, D), and for each the row of `_rates` of its predictor (G,)."""
        rows, predictors = [], []
        if self._motion:
            rows.append(self._motion[-1])
            predictors.append(0)
        if len(self._motion) > 1:
            rows.append(self._decayed())
            predictors.append(1)
        near = self._table.nearest(self._key(), count=_NEAREST)
        guesses = np.concatenate((np.reshape(rows, (-1, near.shape[1])), near)).astype(np.int64)
        low, high = self._action_ids.start, self._action_ids.stop - 1
        return guesses.clip(low, high), np.array([*predictors, *range(2, 2 + len(near))], np.int64)

    def _decayed(self) -> np.ndarray:
        """Return the last motion (D,), shrunk by as much as it shrank from the one before.

        A motion that covers a constant share of the remaining way shrinks geometrically.
        """
        before, last = (c - self._resting_ids for c in self._motion)
        ratio = np.clip(last / np.where(before == 0, 1, before), 0.0, 1.0)
        return self._resting_ids + np.rint(last * ratio).astype(np.int64)

    def _key(self) -> np.ndarray:
        """Describe the situation by the last choice (D,).

        The beginning of a motion, which has none, is described by numbers far from any choice.
        """
        return self._motion[-1] if self._motion else self._resting_ids - len(self._action_ids)


class SituationTable:
    """Remembers the latest situations, each a vector, and the choice that followed each.

    A robot that repeats a task meets situations like those before. What was chosen in the most
    similar ones is a guess at what will be chosen now. It can be good even where a motion changes
    abruptly, and its last steps give no sign of that.

    Args:
        key_size: numbers that describe a situation.
        choice_size: numbers in a choice.
        capacity: situations to remember; the oldest goes first.
    """

    def __init__(self, *, key_size: int, choice_size: int, capacity: int) -> None:
        self._keys = np.zeros((key_size, capacity), np.float32)
        self._choices = np.zeros((capacity, choice_size), np.int64)
        self._added = 0

    def __len__(self) -> int:
        return min(self._added, len(self._choices))

    def clear(self) -> None:
        """Forget all of them."""
        self._added = 0

    def add(self, key: np.ndarray, choice: np.ndarray) -> None:
        """Remember what was chosen, (choice_size,), in a situation, (key_size,)."""
        place = self._added % len(self._choices)
        self._keys[:, place], self._choices[place] = key, choice
        self._added += 1

    def nearest(self, key: np.ndarray, *, count: int) -> np.ndarray:
        """Return the choices in the most similar situations, the most similar first.

        Similarity is measured by the sum of absolute differences. Returns (count, choice_size)
        int64, with fewer rows while fewer situations are known.
        """
        held = len(self)
        distance = self._keys[:, :held] - np.asarray(key, np.float32)[:, None]
        distance = np.abs(distance, out=distance).sum(axis=0)
        near = range(held)
        if held > count:  # to sort them all would take longer
            near = np.argpartition(distance, count)[:count].tolist()
        return self._choices[sorted(near, key=distance.__getitem__)]


@dataclass(frozen=True, slots=True)
class _Offer:
    """The guesses at one action, kept until the target's choices are known.

    guesses: (G, D) token ids. predictors: (G,) rows of the rates, of what made each guess.
    thresholds: (D,) bins. ranked: the nodes of their tree, best first.
    """

    guesses: np.ndarray
    predictors: np.ndarray
    thresholds: np.ndarray
    ranked: Sequence[RankedNode]

    def held(self, choices: Sequence[int]) -> list[int]:
        """Return how many levels the tree of the best nodes was right, for each of the `SIZES`.

        choices: (D,) what the target then chose.
        """
        limits = self.thresholds.tolist()
        right, deepest = [True], [0]
        for level, parent, token in self.ranked[1:]:
            near = abs(token - choices[level - 1]) <= limits[level - 1]
            right.append(right[parent] and near)
            deepest.append(max(deepest[-1], level) if right[-1] else deepest[-1])
        return [deepest[min(size, len(deepest) - 1)] for size in SIZES]
