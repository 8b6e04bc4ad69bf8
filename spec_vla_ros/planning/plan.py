# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Chooses the draft tree with the least expected time for each number of tokens left.

How long drafting and verifying take is measured (see `costs`); how often drafts are accepted is
learned (see `rates`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from spec_vla_ros.decoding.draft_tree import TreeShape
from spec_vla_ros.decoding.temporal import MAX_NODES
from spec_vla_ros.planning.costs import Costs
from spec_vla_ros.planning.rates import WIDTHS, LevelRate

Held = Mapping[int, np.ndarray]
"""Number of guesses -> (D,): how often just the first 0, 1, ... D - 1 tokens are guessed right."""

_CLEARLY = 1.25
"""A plain pass is preferred to a tree only if it is faster by this factor. The costs are not known
more exactly, and on a busy machine the target's passes slow down most."""
_WORTH = 1.1
"""Nothing is drafted unless an action without drafts takes longer by this factor."""
_TIE = 1.05
"""Trees whose time is within this factor of the best count as equal."""
_AS_GOOD = 0.07
"""The largest number of guesses is chosen that is slower than the best number by less than this
share of an action's time after its prefill, without guesses. More guesses save passes, which slow
down most on a busy machine."""


@dataclass(frozen=True, slots=True)
class TreePlan:
    """Which tree to draft for each number of tokens left.

    shapes: the trees for 1, 2, ... tokens left; None if a plain pass is faster.
    expected_ms: expected milliseconds of decoding that many tokens.
    guesses: how many guesses at most are verified inside the prefill.

    Raises:
        ValueError: a tree is so deep that no token would be left for the bonus.
    """

    shapes: tuple[TreeShape | None, ...]
    expected_ms: tuple[float, ...]
    guesses: int = 0

    def __post_init__(self) -> None:
        for left, shape in enumerate(self.shapes, start=1):
            if shape is not None and shape.depth >= left:
                raise ValueError(
                    f'a tree of depth {shape.depth} with {left} tokens left: at most {left - 1} '
                    'levels can be drafted'
                )

    def __call__(self, left: int) -> TreeShape | None:
        """Return the tree to draft when `left` tokens are left."""
        return self.shapes[left - 1]

    def __str__(self) -> str:
        """Say what is drafted first after the prefill."""
        first = next((s for s in self.shapes[-2::-1] if s is not None), None)
        drafts = 'no drafts'
        if first is not None:
            drafts = f'drafts of {first.nodes} tokens, {first.top_k} abreast'
        return f'{drafts}, {self.guesses} guesses inside the prefill'

    @property
    def text(self) -> str:
        """The plan as `from_text` reads it: width x depth for 1, 2, ... tokens left, - for none.

        The number of guesses follows.
        """
        shapes = ' '.join('-' if s is None else f'{s.top_k}x{s.depth}' for s in self.shapes)
        return f'{shapes} guesses {self.guesses}'

    @classmethod
    def from_text(cls, text: str) -> TreePlan:
        """Return the plan that a text describes, see `text`.

        Raises:
            ValueError: the text is no plan; the message shows one.
        """
        *words, last, guesses = text.split() if len(text.split()) > 2 else ('', '', '')
        found = [re.fullmatch(r'-|([1-9]\d?)x([1-9]\d?)', word) for word in words]
        if last != 'guesses' or not guesses.isdecimal() or not all(found):
            raise ValueError(
                f'{text!r} is no draft plan: it lists width x depth of the tree with 1, 2, ... '
                "tokens left, - for none, and the guesses, as '- 1x1 1x2 1x3 1x4 1x5 1x6 guesses "
                "24'"
            )
        if int(guesses) > MAX_NODES:
            raise ValueError(f'{text!r}: at most {MAX_NODES} guesses are made')
        shapes: list[TreeShape | None] = []
        for match in found:
            if match is None or match[1] is None:
                shapes.append(None)
                continue
            width, depth = int(match[1]), int(match[2])
            shapes.append(TreeShape.full(width, depth))
        return cls(tuple(shapes), (0.0,) * len(shapes), int(guesses))


def plan_trees(
    costs: Costs,
    *,
    num_tokens: int,
    rate: LevelRate,
    held: Held,
) -> TreePlan:
    """Choose the tree with the least expected time for each number of tokens left.

    Trees whose times differ less than the costs are exact count as equal; of these the narrowest
    is taken, and of several the deepest.

    Args:
        costs: of this device.
        num_tokens: length of the action.
        rate: how often a level of a tree is accepted.
        held: how often guesses are right.
    """
    shapes: list[TreeShape | None] = []
    expected = [0.0]  # of 0, 1, 2, ... tokens left
    for left in range(1, num_tokens + 1):
        plain = costs.of_verifying(1) + expected[left - 1]
        times: dict[TreeShape, float] = {}
        for width in WIDTHS if left > 1 else ():
            if width not in costs.draft:
                continue
            reached = _reached(rate, width, num_tokens - left, left - 1)
            for depth in range(left - 1, 0, -1):
                shape = TreeShape.full(width, depth)
                times[shape] = _round_ms(costs, shape, reached, expected)
        best = min(times.values(), default=float('inf'))
        if best < _CLEARLY * plain:
            shape = next(s for s, ms in times.items() if ms <= _TIE * best)
            shapes.append(shape)
            expected.append(times[shape])
        else:
            shapes.append(None)
            expected.append(plain)
    alone = [costs.of_verifying(1) * left for left in range(1, num_tokens + 1)]
    # The prefill gives one token. What drafts save on the others must be more than it takes the
    # drafter to read the prompt.
    if num_tokens > 1 and _WORTH * (expected[num_tokens - 1] + costs.of_reading) > alone[-2]:
        shapes, expected = [None] * num_tokens, [0.0, *alone]
    saved = _saved_ms(costs, expected, drafts=any(shapes))
    after_prefill = _after_prefill_ms(costs, expected, drafts=any(shapes))
    guesses = _worthwhile_guesses(costs, held, saved, after_prefill=after_prefill)
    return TreePlan(tuple(shapes), tuple(expected[1:]), guesses)


def expected_ms(plan: TreePlan, costs: Costs, *, rate: LevelRate, held: Held) -> float:
    """Return the expected milliseconds of an action after its prefill, with the plan's guesses.

    costs, rate, held: see `plan_trees`.
    """
    num_tokens, expected = len(plan.shapes), [0.0]
    for left, shape in enumerate(plan.shapes, start=1):
        if shape is None:
            expected.append(costs.of_verifying(1) + expected[left - 1])
        else:
            reached = _reached(rate, shape.top_k, num_tokens - left, shape.depth)
            expected.append(_round_ms(costs, shape, reached, expected))
    after_prefill = _after_prefill_ms(costs, expected, drafts=any(plan.shapes))
    if not plan.guesses:
        return after_prefill
    saved = _saved_ms(costs, expected, drafts=any(plan.shapes))
    nearest = min(held, key=lambda n: abs(n - plan.guesses))
    return after_prefill - _gain_ms(costs, plan.guesses, held[nearest], saved)


def _reached(rate: LevelRate, width: int, decided: int, depth: int) -> list[float]:
    """Return how probably each level of a tree is reached, from the root's on, (depth + 1,).

    decided: tokens of the action before the tree's first level.
    """
    reached = [1.0]
    for level in range(1, depth + 1):
        reached.append(reached[-1] * rate(width, decided + level - 1, level))
    return reached


def _round_ms(
    costs: Costs, shape: TreeShape, reached: Sequence[float], expected: Sequence[float]
) -> float:
    """Return the expected time of a round with this tree and of everything after it.

    reached: how probably each level is reached, see `_reached`.
    expected: the time with 0, 1, ... tokens left, for fewer tokens than before this round.
    """
    left, depth = len(expected), shape.depth
    spent = costs.of_drafting(shape) + costs.of_verifying(1 + shape.nodes) + costs.round
    for accepted in range(depth + 1):
        further = reached[accepted + 1] if accepted < depth else 0.0
        spent += (reached[accepted] - further) * expected[left - 1 - accepted]
    return spent


def _after_prefill_ms(costs: Costs, expected: Sequence[float], *, drafts: bool) -> float:
    """Return the expected time of an action after its prefill, without guesses.

    expected: the time with 0, 1, ... tokens left.
    drafts: whether anything is drafted, so that the drafter reads the prompt.
    """
    return expected[-2] + costs.of_reading * drafts


def _saved_ms(costs: Costs, expected: Sequence[float], *, drafts: bool) -> np.ndarray:
    """Return (D,): the milliseconds saved if the first 0, 1, ... D - 1 tokens are guessed right.

    expected: the time with 0, 1, ... tokens left.
    drafts: whether anything is drafted. If all tokens are guessed, the drafter need not read the
        prompt.
    """
    left = np.array(expected[:-1])
    saved = left[-1] - left[::-1]
    saved[-1] += costs.draft_prefill * drafts
    return saved


def _gain_ms(costs: Costs, guesses: int, held: np.ndarray, saved: np.ndarray) -> float:
    """Return the expected milliseconds that a number of guesses saves; see `Held`, `_saved_ms`."""
    once, each = costs.guess
    return float(held @ saved) - once - guesses * each


def _worthwhile_guesses(
    costs: Costs, held: Held, saved: np.ndarray, *, after_prefill: float
) -> int:
    """Return the largest number of guesses that saves nearly the most, see `_AS_GOOD`; or 0.

    after_prefill: milliseconds of an action after its prefill, without guesses.
    """
    gains = {n: _gain_ms(costs, n, held[n], saved) for n in held}
    enough = max(gains.values()) - _AS_GOOD * after_prefill
    return max((n for n, gain in gains.items() if gain > max(enough, 0.0)), default=0)
