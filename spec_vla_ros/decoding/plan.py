# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""How large a draft tree pays: the one with the least expected time, by the tokens left.

What it costs to draft and to verify is measured (see `costs`), how often drafts are accepted
is assumed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from spec_vla_ros.decoding.costs import Costs
from spec_vla_ros.decoding.draft_tree import TreeShape

HIT_RATES = {
    'strict': {1: 0.70, 2: 0.78, 4: 0.84, 8: 0.88},
    'relaxed': {1: 0.965, 2: 0.98, 4: 0.99, 8: 0.99},
}
"""What `plan_trees` assumes in each mode: figures of the shipped drafter, relaxed at r = 9."""

GUESS_RATES = {
    'strict': {8: 0.25, 12: 0.26, 16: 0.27, 24: 0.28},
    'relaxed': {8: 0.33, 12: 0.38, 16: 0.40, 24: 0.43},
}
"""How often so many guesses hold the whole action, of the same policy."""

_CLEARLY = 1.25
"""A plain pass must be so much faster than a tree to be taken instead: costs are not known more
exactly, and passes of the target are what a busy machine slows most."""
_WORTH = 1.1
"""An action decoded plainly must take so much longer for anything to be drafted at all."""


@dataclass(frozen=True, slots=True)
class TreePlan:
    """Which tree to draft when some tokens are left.

    shapes: for 1, 2, ... tokens left, the tree, or None where a plain pass is faster.
    expected_ms: expected milliseconds of decoding that many tokens.
    guesses: how many guesses to verify inside the prefill, where there are any.
    """

    shapes: tuple[TreeShape | None, ...]
    expected_ms: tuple[float, ...]
    guesses: int = 0

    def __call__(self, left: int) -> TreeShape | None:
        """Return the tree to draft with `left` tokens to go."""
        return self.shapes[left - 1]

    def __str__(self) -> str:
        """Say what is drafted first, behind the prefill."""
        first = next((s for s in self.shapes[-2::-1] if s is not None), None)
        drafts = 'no drafts'
        if first is not None:
            drafts = f'drafts of {first.nodes} tokens, {first.top_k} abreast'
        return f'{drafts}, {self.guesses} guesses inside the prefill'


def plan_trees(
    costs: Costs,
    *,
    num_tokens: int,
    hit_rates: Mapping[int, float],
    guess_rates: Mapping[int, float],
) -> TreePlan:
    """Choose the tree with the least expected time for each number of tokens left.

    Args:
        costs: of this device.
        num_tokens: length of the action.
        hit_rates: top_k -> probability that a level of a tree that wide holds a token that is
            accepted, given that the level above it did.
        guess_rates: number of guesses -> how often they hold the whole action.
    """
    shapes: list[TreeShape | None] = []
    expected = [0.0]  # of 0, 1, 2, ... tokens left
    for left in range(1, num_tokens + 1):
        plain = costs.of_verifying(1) + expected[left - 1]
        best: tuple[float, TreeShape | None] = (_CLEARLY * plain, None)
        for top_k, hit_rate in hit_rates.items():
            for depth in range(1, left):
                shape = TreeShape(top_k, depth, top_k * depth)
                spent = costs.of_drafting(shape) + costs.of_verifying(1 + shape.nodes)
                spent += costs.round
                for accepted in range(depth + 1):
                    chance = hit_rate**accepted * (1 - hit_rate * (accepted < depth))
                    spent += chance * expected[left - 1 - accepted]
                if spent < best[0]:
                    best = (spent, shape)
        expected.append(plain if best[1] is None else best[0])
        shapes.append(best[1])
    alone = [costs.of_verifying(1) * left for left in range(1, num_tokens + 1)]
    # The prefill gives one token; the rest must be worth what the drafter needs of the prompt.
    if num_tokens > 1 and _WORTH * (expected[num_tokens - 1] + costs.of_reading) > alone[-2]:
        shapes, expected = [None] * num_tokens, [0.0, *alone]
    saved = expected[num_tokens - 1] + costs.draft_prefill * any(shapes)
    guesses = _worthwhile_guesses(costs, guess_rates, saved=saved)
    return TreePlan(tuple(shapes), tuple(expected[1:]), guesses)


def _worthwhile_guesses(costs: Costs, rates: Mapping[int, float], *, saved: float) -> int:
    """Choose how many guesses bring most; an action that is guessed whole saves `saved` ms."""
    once, each = costs.guess
    gains = {0: 0.0, **{n: rate * saved - once - n * each for n, rate in rates.items()}}
    return max(gains, key=lambda n: (gains[n], n))  # of equals the larger
