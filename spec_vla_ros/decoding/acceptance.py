# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Which draft tokens the target lets pass, and the longest path of them.

Strict acceptance takes a draft token when it is the target's own choice, so the output is what
greedy decoding gives, as far as a pass of several rows rounds as a pass of one does. Relaxed
acceptance (Spec-VLA, arXiv 2507.22424) also takes an action token at most r bins away from the
target's choice: r is the acceptance threshold.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from spec_vla_ros.decoding.draft_tree import DraftTree
from spec_vla_ros.device import upload

AcceptanceRule = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Says of each draft token whether it passes, if all those above it do.

Draft ids (N,), the target's choices (N,), dimensions (N,) -> (N,) bool. A dimension is a token's
index in the action, from 0; behind the action: more.
"""


def exact_match() -> AcceptanceRule:
    """Accept only what the target chooses itself."""

    def accept(draft: Tensor, choice: Tensor, dimension: Tensor) -> Tensor:
        return draft == choice

    return accept


def within_bins(
    thresholds: Sequence[int], *, action_ids: range, device: torch.device | str = 'cpu'
) -> AcceptanceRule:
    """Accept action tokens near the target's choice.

    Tokens that are no actions, and tokens behind the action, are accepted only when they are the
    target's choice.

    Args:
        thresholds: for each action dimension, how many bins a draft may be off; 0 is exact.
        action_ids: the token ids that are actions.
        device: where the rule is applied.

    Raises:
        ValueError: a threshold is negative or larger than there are bins.
    """
    wrong = [r for r in thresholds if not 0 <= r < len(action_ids)]
    if wrong:
        raise ValueError(f'acceptance thresholds must be 0 to {len(action_ids) - 1}, not {wrong}')
    limits = upload(torch.tensor([*thresholds, 0]), torch.device(device))

    def is_action(ids: Tensor) -> Tensor:
        return (ids >= action_ids.start) & (ids < action_ids.stop)

    def accept(draft: Tensor, choice: Tensor, dimension: Tensor) -> Tensor:
        near = (draft - choice).abs() <= limits[dimension.clamp(max=len(limits) - 1)]
        return (draft == choice) | (near & is_action(draft) & is_action(choice))

    return accept


def accepted_path(
    tree: DraftTree, choices: Tensor, accept: AcceptanceRule, *, first_dimension: int
) -> tuple[Tensor, Tensor]:
    """Find the longest path from the root that is accepted throughout.

    Among equally long paths it takes the one nearest to the target's choices, and so the exact
    one if there is one. Nothing is read back from a device.

    Args:
        tree: the draft.
        choices: (N,) ids the target would choose after each node, the root first.
        accept: the acceptance rule.
        first_dimension: of the nodes below the root.

    Returns:
        Indices of the path's nodes in ascending depth, the root first, the last one repeated,
        (1 + tree.depth,) int64; and how many they are, (1,) int64.
    """
    level = torch.arange(1 + tree.depth, device=choices.device)
    if tree.depth == 0:
        return level, level + 1
    if tree.is_chain:
        passes = accept(tree.tokens[1:], choices[:-1], first_dimension + level[:-1])
        last = (passes * 1).cumprod(0).sum(0, keepdim=True)
        return torch.minimum(level, last), last + 1
    expected = choices[tree.parents[1:]]
    passes = accept(tree.tokens[1:], expected, first_dimension + tree.depths[1:] - 1)
    below = tree.ancestors[:, 1:]  # without the root, which is no draft
    reached = ~(below & ~passes).any(-1)
    off = (below * (tree.tokens[1:] - expected).abs()).sum(-1)
    # Lexicographic: the deepest first, then the nearest, then the first in the tree. What is not
    # reached scores 0, as the root does, which stands before all.
    # With one dimension: a number without would be read back to the host to index with it.
    best = ((tree.depths * (off.max() + 1) - off) * reached).argmax()[None]
    here = tree.ancestors[best] & (tree.depths == level[:, None])  # (levels, N): one of a level
    path = (here * 1).argmax(-1) + (level > tree.depths[best]) * best  # 0 where there is none
    return path, tree.depths[best] + 1
