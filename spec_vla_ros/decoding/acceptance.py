# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Which draft tokens the target lets pass, and the longest path of them.

Strict acceptance takes a draft token when it is the target's own choice, so the output is exactly
what greedy decoding gives. Relaxed acceptance (Spec-VLA, arXiv 2507.22424) also takes an action
token at most r bins away from the target's choice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from spec_vla_ros.decoding.draft_tree import DraftTree
from spec_vla_ros.decoding.upload import upload

Ids = Tensor | np.ndarray | int
"""Several on a device; on the host they come one by one."""

AcceptanceRule = Callable[[Ids, Ids, Ids], Ids]
"""Draft ids, the target's choices, their action dimensions -> accepted."""


def exact_match() -> AcceptanceRule:
    """Accept only what the target chooses itself."""

    def accept(draft: Ids, choice: Ids, dimension: Ids) -> Ids:
        return draft == choice

    return accept


def within_bins(
    max_distance: Sequence[int], *, action_ids: range, device: torch.device | None = None
) -> AcceptanceRule:
    """Accept action tokens near the target's choice.

    Tokens that are no actions are accepted only when they are the target's choice.

    Args:
        max_distance: for each action dimension, how many bins a draft may be off; 0 is exact.
        action_ids: the token ids that are actions.
        device: where the rule is applied to tensors; None: on the host.

    Raises:
        ValueError: a distance is negative or larger than there are bins.
    """
    wrong = [r for r in max_distance if not 0 <= r < len(action_ids)]
    if wrong:
        raise ValueError(f'acceptance distances must be 0 to {len(action_ids) - 1}, not {wrong}')
    limits: Ids = np.array(max_distance, np.int64)
    if device is not None:
        limits = upload(torch.from_numpy(limits), device)

    def accept(draft: Ids, choice: Ids, dimension: Ids) -> Ids:
        near = abs(draft - choice) <= limits[dimension]
        return (draft == choice) | (
            near & _within(draft, action_ids) & _within(choice, action_ids)
        )

    return accept


def per_dimension(max_distance: int | Sequence[int], dimensions: int) -> tuple[int, ...]:
    """Spread one number over all dimensions but the gripper (the last: exact), or take one each.

    Raises:
        ValueError: a sequence of another length.
    """
    if isinstance(max_distance, int):
        return (max_distance,) * (dimensions - 1) + (0,)
    if len(max_distance) != dimensions:
        raise ValueError(
            f'{len(max_distance)} acceptance distances for {dimensions} action dimensions'
        )
    return tuple(max_distance)


def longest_accepted_path(
    tree: DraftTree, choices: Tensor, accept: AcceptanceRule, *, first_dimension: int
) -> Tensor:
    """Find the longest path from the root that is accepted throughout, walking it on the host.

    Among equally long paths it takes the one nearest to the target's choices, and so the exact
    one if there is one.

    Args:
        tree: the draft.
        choices: (N,) ids the target would choose after each node, the root first.
        accept: the acceptance rule.
        first_dimension: action dimension of the nodes below the root.

    Returns:
        Indices of the path's nodes in ascending depth, the root first, (1 + accepted,) int64.
    """
    tokens, parents, depths, said = (
        t.tolist() for t in (tree.tokens, tree.parents, tree.depths, choices)
    )
    off: list[int | None] = [0] * len(tokens)  # of the path down to a node; None: not reached
    last = 0
    for node in range(1, len(tokens)):  # parents come before their children
        parent = parents[node]
        above, token, choice = off[parent], tokens[node], said[parent]
        if above is None or not accept(token, choice, first_dimension + depths[node] - 1):
            off[node] = None
            continue
        off[node] = above + abs(token - choice)
        if (depths[node], -off[node]) > (depths[last], -off[last]):
            last = node
    path = [last]
    while path[-1]:
        path.append(parents[path[-1]])
    return torch.tensor(path[::-1])


def accepted_path(
    tree: DraftTree,
    choices: Tensor,
    accept: AcceptanceRule,
    *,
    first_dimension: int,
    levels: int,
) -> tuple[Tensor, Tensor]:
    """Find what `longest_accepted_path` finds, without reading anything back from a device.

    Args:
        tree: the draft.
        choices: (N,) ids the target would choose after each node, the root first.
        accept: the acceptance rule.
        first_dimension: action dimension of the nodes below the root.
        levels: length of the result; no path may be longer.

    Returns:
        Indices of the path's nodes in ascending depth, the root first, the last one repeated,
        (levels,) int64; and how many they are, (1,) int64.
    """
    expected = choices[tree.parents]
    dimension = first_dimension + (tree.depths - 1).clip(min=0)
    rejected = ~accept(tree.tokens, expected, dimension)
    distance = abs(tree.tokens - expected)
    rejected[0], distance[0] = False, 0  # the root is no draft
    reached = ~(tree.ancestors & rejected).any(-1)
    off = (tree.ancestors * distance).sum(-1)
    # Lexicographic: the deepest first, then the nearest, then the first in the tree. What is not
    # reached scores 0, as the root does, which stands before all.
    # With one dimension: a number without would be read back to the host to index with it.
    best = ((tree.depths * (off.max() + 1) - off) * reached).argmax()[None]
    level = torch.arange(levels, device=choices.device)
    here = tree.ancestors[best] & (tree.depths == level[:, None])  # (levels, N): one of a level
    path = (here * 1).argmax(-1) + (level > tree.depths[best]) * best  # 0 where there is none
    return path, tree.depths[best] + 1


def on_host(device: torch.device) -> bool:
    """Whether what lies there can be read without waiting."""
    return device.type == 'cpu'


def _within(ids: Ids, allowed: range) -> Ids:
    return (ids >= allowed.start) & (ids < allowed.stop)
