# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Guesses at a whole action, made into one draft tree.

Each guess is right in some dimensions and wrong in others, and not in the same ones each time.
Used as a whole, a guess is only good up to its first wrong dimension. A tree that branches in
every dimension holds the combinations of the guesses, too, the most probable ones first.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence

import numpy as np

from spec_vla_ros.decoding.draft_tree import DraftTree

RankedNode = tuple[int, int, int]
"""A node of a tree of guesses: its level, its parent's index in the list, its token id."""


def rank_guesses(
    guesses: np.ndarray, rates: np.ndarray, *, apart: Sequence[int], nodes: int
) -> list[RankedNode]:
    """Return the most probable nodes of the tree of all combinations: the root, then best first.

    A parent comes before its children, so the first so many nodes always make a tree, too.

    Args:
        guesses: (G, D) int64 token ids.
        rates: (G, D), how often each guess is right in each dimension.
        apart: for each dimension, siblings must be more than this many ids apart; nearer ones
            would both pass for the same choice.
        nodes: the most draft tokens; the root, whose id is 0, is not counted.
    """
    levels = [
        _alternatives(ids, probabilities, apart[d])
        for d, (ids, probabilities) in enumerate(
            zip(guesses.T.tolist(), rates.T.tolist(), strict=True)
        )
    ]
    chosen: list[RankedNode] = [(0, -1, 0)]
    # A heap: the most probable node first, and of equally probable ones the one found first. Of
    # siblings, only the next best one waits in it.
    waiting: list[tuple[float, int, int, int, int, float]] = []
    found = 0

    def find(depth: int, parent: int, sibling: int, above: float) -> None:
        nonlocal found
        if depth <= len(levels) and sibling < len(levels[depth - 1]):
            chance = above * levels[depth - 1][sibling][1]
            heapq.heappush(waiting, (-chance, found, depth, parent, sibling, above))
            found += 1

    find(1, 0, 0, 1.0)
    while waiting and len(chosen) <= nodes:
        chance, _, depth, parent, sibling, above = heapq.heappop(waiting)
        chosen.append((depth, parent, levels[depth - 1][sibling][0]))
        find(depth + 1, len(chosen) - 1, 0, -chance)
        find(depth, parent, sibling + 1, above)
    return chosen


def as_tree(ranked: Sequence[RankedNode]) -> DraftTree:
    """Return ranked nodes as a draft tree, ordered level by level."""
    order = sorted(range(len(ranked)), key=lambda i: ranked[i][0])  # stable: parents come first
    place = {old: new for new, old in enumerate(order)}
    return DraftTree.from_lists(
        [ranked[i][2] for i in order], [place[max(ranked[i][1], 0)] for i in order]
    )


def _alternatives(
    ids: Sequence[int], rates: Sequence[float], apart: int
) -> list[tuple[int, float]]:
    """Return the ids of one dimension that are far enough apart, with falling probabilities.

    The best guess is right as often as its rate says. The next one counts only where the best is
    wrong, and is right there as often as its own rate says; and so on.
    """
    kept: list[tuple[int, float]] = []
    left = 1.0
    for rate, token in sorted(zip(rates, ids, strict=True), key=lambda g: -g[0]):
        if all(abs(token - other) > apart for other, _ in kept):
            kept.append((token, left * rate))
            left -= kept[-1][1]
    return kept
