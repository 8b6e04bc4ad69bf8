# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Which draft tokens are accepted, and the longest path of accepted tokens.

Strict acceptance takes a draft token only if it is the target's own choice. So the output is that
of greedy decoding, except that a pass of several rows rounds differently from a pass of one.
Relaxed acceptance (Spec-VLA, arXiv 2507.22424) also takes an action token at most r bins away from
the target's choice; r is the acceptance threshold.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from spec_vla_ros.decoding.draft_tree import DraftTree
from spec_vla_ros.device import upload

AcceptanceRule = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Says for each draft token whether it passes, provided that all its ancestors pass.

Draft ids (N,), the target's choices in their places (N,), dimensions (N,) -> (N,) bool. A
dimension is a token's index in the action, from 0; tokens behind the action have larger ones.
"""


def exact_match() -> AcceptanceRule:
    """Return the strict rule: accept only the target's own choice."""

    def accept(draft: Tensor, choice: Tensor, dimension: Tensor) -> Tensor:
        return draft == choice

    return accept


def within_bins(
    thresholds: Sequence[int], *, action_ids: range, device: torch.device | str = 'cpu'
) -> AcceptanceRule:
    """Return the relaxed rule: accept action tokens near the target's choice.

    Tokens that are no actions, and tokens behind the action, are accepted only if they are the
    target's choice.

    Args:
        thresholds: for each action dimension, how many bins a draft token may be off; 0 is exact.
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
    """Find the longest path from the root on which every draft token is accepted.

    Among equally long paths, it takes the one nearest to the target's choices: an exact one if
    there is one. Nothing is read back from the device.

    Args:
        tree: the draft.
        choices: (N,) ids the target would choose after each node, the root first.
        accept: the acceptance rule.
        first_dimension: dimension of the root's children.

    Returns:
        The indices of the path's nodes, the root first, padded by repeating the last one,
        (1 + tree.depth,) int64; and the number of nodes without the padding, (1,) int64.
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
    # The end of the path is the deepest node that is reached, then the nearest, then the first in
    # the tree. Nodes that are not reached score 0, as does the root, which comes before them all.
    # `best` keeps one dimension: to index with a 0-d tensor would read it back to the host.
    best = ((tree.depths * (off.max() + 1) - off) * reached).argmax()[None]
    # (levels, N): the node of the path at each level; none on levels below its end.
    here = tree.ancestors[best] & (tree.depths == level[:, None])
    path = (here * 1).argmax(-1) + (level > tree.depths[best]) * best  # argmax of no node is 0
    return path, tree.depths[best] + 1
