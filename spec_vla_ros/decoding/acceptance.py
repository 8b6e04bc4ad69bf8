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

Array = Tensor | np.ndarray
"""Tensors on a device; on the host numpy's arrays, several times faster at this size."""

AcceptanceRule = Callable[[Array, Array, Array], Array]
"""(draft ids, the target's choices, their action dimensions), all (N,) -> accepted (N,) bool."""


def exact_match() -> AcceptanceRule:
    """Accept only what the target chooses itself."""

    def accept(draft: Array, choice: Array, dimension: Array) -> Array:
        return draft == choice

    return accept


def within_bins(
    max_distance: Sequence[int], *, action_ids: range, device: torch.device | str = 'cpu'
) -> AcceptanceRule:
    """Accept action tokens near the target's choice.

    Tokens that are no actions are accepted only when they are the target's choice.

    Args:
        max_distance: for each action dimension, how many bins a draft may be off; 0 is exact.
        action_ids: the token ids that are actions.
        device: where the rule is applied; on the CPU, to arrays.

    Raises:
        ValueError: a distance is negative or larger than there are bins.
    """
    wrong = [r for r in max_distance if not 0 <= r < len(action_ids)]
    if wrong:
        raise ValueError(f'acceptance distances must be 0 to {len(action_ids) - 1}, not {wrong}')
    limits = _host(torch.tensor(list(max_distance), dtype=torch.int64, device=device))

    def accept(draft: Array, choice: Array, dimension: Array) -> Array:
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
    """Return the nodes of `accepted_path`, as many as there are, (1 + accepted,) int64."""
    path, count = accepted_path(
        tree, choices, accept, first_dimension=first_dimension, levels=len(tree)
    )
    return path[: int(count)]


def accepted_path(
    tree: DraftTree,
    choices: Tensor,
    accept: AcceptanceRule,
    *,
    first_dimension: int,
    levels: int,
) -> tuple[Tensor, Tensor]:
    """Find the longest path from the root that is accepted throughout.

    Among equally long paths it takes the one nearest to the target's choices, and so the exact
    one if there is one. Nothing is read back from a device.

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
    tokens, parents, depths, ancestors = map(
        _host, (tree.tokens, tree.parents, tree.depths, tree.ancestors)
    )
    expected = _host(choices)[parents]
    dimension = first_dimension + (depths - 1).clip(min=0)
    rejected = ~accept(tokens, expected, dimension)
    distance = abs(tokens - expected)
    rejected[0], distance[0] = False, 0  # the root is no draft
    reached = ~(ancestors & rejected).any(-1)
    off = (ancestors * distance).sum(-1)
    # Lexicographic: the deepest first, then the nearest, then the first in the tree. What is not
    # reached scores 0, as the root does, which stands before all.
    # With one dimension: a number without would be read back to the host to index with it.
    best = ((depths * (off.max() + 1) - off) * reached).argmax()[None]
    level = _host(torch.arange(levels, device=choices.device))
    here = ancestors[best] & (depths == level[:, None])  # (levels, N): the path's node of a level
    path = (here * 1).argmax(-1) + (level > depths[best]) * best  # 0 where there is none
    return torch.as_tensor(path), torch.as_tensor(depths[best] + 1)


def _host(values: Tensor) -> Array:
    """A view of a tensor as an array, if it is on the host."""
    return values.numpy() if values.device.type == 'cpu' else values


def _within(ids: Array, allowed: range) -> Array:
    return (ids >= allowed.start) & (ids < allowed.stop)
