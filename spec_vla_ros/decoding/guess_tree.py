# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""From several guesses at an action to the draft tree that is most likely to hold the answer.

Guesses at an action are right in some dimensions and wrong in others, and not the same ones each
time. Taken whole, the best of them is as good as its first wrong dimension; branching in every
dimension, the tree holds their combinations too, the most probable first.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence

import numpy as np
import torch

from spec_vla_ros.decoding.draft_tree import DraftTree


def guess_tree(
    guesses: np.ndarray, rates: np.ndarray, *, spacing: Sequence[int], nodes: int
) -> DraftTree:
    """Build the tree of the `nodes` most probable beginnings of an action.

    Args:
        guesses: (G, D) int64 token ids.
        rates: (G, D), how often each guess is right in each dimension.
        spacing: for each dimension, siblings must be more than this many ids apart.
        nodes: draft tokens at most; the root is not counted, and its id is 0.
    """
    levels = [
        _alternatives(guesses[:, d], rates[:, d], spacing[d]) for d in range(guesses.shape[1])
    ]
    chosen: list[tuple[int, int, int]] = [(0, -1, 0)]  # depth, parent in this list, id
    # Probability, then the order of finding, decide: what is found first is guessed first.
    open_nodes = [(-p, i, 1, 0, token) for i, (token, p) in enumerate(levels[0])]
    found = len(open_nodes)
    while open_nodes and len(chosen) <= nodes:
        negative, _, depth, parent, token = heapq.heappop(open_nodes)
        chosen.append((depth, parent, token))
        for below, p in levels[depth] if depth < len(levels) else ():
            heapq.heappush(open_nodes, (negative * p, found, depth + 1, len(chosen) - 1, below))
            found += 1
    order = sorted(range(len(chosen)), key=lambda i: chosen[i][0])  # stable: parents come first
    place = {old: new for new, old in enumerate(order)}
    tokens = torch.tensor([chosen[i][2] for i in order])
    parents = torch.tensor([place[max(chosen[i][1], 0)] for i in order])
    return DraftTree.from_parents(tokens, parents, depth=chosen[order[-1]][0])


def _alternatives(ids: np.ndarray, rates: np.ndarray, spacing: int) -> list[tuple[int, float]]:
    """Return the ids of one dimension that are far enough apart, with their probabilities.

    The best guess is right at its rate, the next at its rate where the best is wrong, and so on.
    """
    kept: list[tuple[int, float]] = []
    left = 1.0
    for i in np.argsort(-rates, kind='stable'):
        token = int(ids[i])
        if all(abs(token - other) > spacing for other, _ in kept):
            probability = left * float(rates[i])
            kept.append((token, probability))
            left -= probability
    return kept
