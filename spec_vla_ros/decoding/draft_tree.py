# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Draft trees: several guesses for the next tokens that share their beginnings.

Node 0 is the root, the last token that is already decided. Every path down from it is one guess
at how the sequence goes on. The target verifies all paths in one pass, in which each node attends
only to itself, its ancestors and what comes before the tree. A chain is a tree with one path.

A tree grows as in EAGLE-2 (arXiv 2406.16858): at each level, the drafter extends the `top_k` most
probable nodes by `top_k` tokens each. At the end, the most probable nodes of all levels are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from spec_vla_ros.device import upload


@dataclass(frozen=True, slots=True)
class TreeShape:
    """How large a draft tree may grow.

    Used as a `TreeRule`, it always gives this shape, only less deep when fewer tokens are left.

    top_k: how many nodes are extended at each level, and by how many tokens each; 1: a chain.
    depth: levels of draft tokens.
    nodes: draft tokens in all; the root is not counted.
    spacing: for each level, siblings must be more than this many ids apart, since a token within
        the acceptance threshold of its sibling would be a wasted node; 0 for further levels.
    """

    top_k: int = 8
    depth: int = 5
    nodes: int = 49
    spacing: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if min(self.top_k, self.depth, self.nodes) < 1:
            raise ValueError(f'{self}: each must be at least 1')

    @classmethod
    def full(cls, width: int, depth: int) -> TreeShape:
        """Return the shape with room for `width` nodes at each of `depth` levels."""
        return cls(width, depth, width * depth)

    def __call__(self, left: int) -> TreeShape | None:
        """Return the tree to draft when `left` tokens are to come, the last of them the bonus."""
        return replace(self, depth=min(self.depth, left - 1)) if left > 1 else None

    def apart(self, level: int) -> int:
        """Return how many ids siblings of a level must be apart."""
        return self.spacing[level] if level < len(self.spacing) else 0


TreeRule = Callable[[int], TreeShape | None]
"""Tokens still to come -> the tree to draft, or None for a plain pass.

Examples are `TreeShape` and `planning.plan.TreePlan`.
"""


def spaced(tree: TreeRule, spacing: Sequence[int]) -> TreeRule:
    """Return the same rule, but with siblings more than the acceptance threshold apart.

    spacing: (D,), the acceptance threshold of each token of the sequence.
    """

    def shape(left: int) -> TreeShape | None:
        found = tree(left)
        if found is None or not any(spacing):
            return found
        return replace(found, spacing=tuple(spacing[len(spacing) - left :]))

    return shape


@dataclass(frozen=True, slots=True)
class DraftTree:
    """Draft tokens below a root. Parents come before their children.

    tokens: (N,) int64 ids, the root's first.
    parents: (N,) int64, the index of each node's parent; the root is its own parent.
    depths: (N,) int64, 0 for the root.
    ancestors: (N, N) bool, True where the column's node is the row's node or an ancestor of it.
    depth: an upper bound of `depths`, known on the host.
    is_chain: True where each node is known to be the parent of the next, so that plain causal
        attention is enough.
    """

    tokens: Tensor
    parents: Tensor
    depths: Tensor
    ancestors: Tensor
    depth: int
    is_chain: bool = False

    def __len__(self) -> int:
        return self.tokens.shape[0]

    def to(self, device: torch.device) -> DraftTree:
        """Return the same tree on a device, without waiting for it."""
        if device == self.tokens.device:
            return self
        numbers = torch.stack((self.tokens, self.parents, self.depths))
        tokens, parents, depths = upload(numbers, device)
        ancestors = upload(self.ancestors, device)
        return DraftTree(tokens, parents, depths, ancestors, self.depth, self.is_chain)

    @classmethod
    def root_only(cls, token: Tensor) -> DraftTree:
        """Build the tree of a root alone, without draft tokens; token: (1,) its id."""
        return cls.chain(token)

    @classmethod
    def empty(cls) -> DraftTree:
        """Build the tree for a prefill without guesses, whose root's id is never read."""
        return cls.root_only(torch.zeros(1, dtype=torch.int64))

    @classmethod
    def chain(cls, tokens: Tensor) -> DraftTree:
        """Build the tree in which each token (N,) follows the one before it."""
        depths = torch.arange(len(tokens), device=tokens.device)
        ancestors = depths[:, None] >= depths
        parents = (depths - 1).clamp_(min=0)
        return cls(tokens, parents, depths, ancestors, depth=len(tokens) - 1, is_chain=True)

    @classmethod
    def from_parents(cls, tokens: Tensor, parents: Tensor, *, depth: int) -> DraftTree:
        """Build a tree of at most `depth` levels from the nodes' tokens and parents, (N,) each."""
        ancestors = torch.eye(len(tokens), dtype=torch.bool, device=tokens.device)
        for _ in range(depth):
            ancestors = ancestors | ancestors[parents]
        return cls(tokens, parents, ancestors.sum(-1) - 1, ancestors, depth=depth)

    @classmethod
    def from_lists(cls, tokens: Sequence[int], parents: Sequence[int]) -> DraftTree:
        """Build a tree on the host, where this is faster than the tensors of `from_parents`."""
        depths = [0] * len(tokens)
        for node in range(1, len(tokens)):
            depths[node] = depths[parents[node]] + 1
        depth = max(depths)
        numbers = torch.from_numpy(np.array((tokens, parents, depths)))
        ancestors = np.eye(len(tokens), dtype=bool)
        for _ in range(depth):
            ancestors |= ancestors[list(parents)]
        return cls(numbers[0], numbers[1], numbers[2], torch.from_numpy(ancestors), depth)


def attention_mask(tree: DraftTree, *, past: int, context: int) -> Tensor:
    """Return who attends to whom in one pass over context and tree.

    Args:
        tree: its root is the last token of the context; the other nodes follow the context.
        past: number of cached tokens, to which all attend.
        context: number of tokens before the draft in this pass, causal among themselves.

    Returns:
        (context + N - 1, past + context + N - 1) bool, True where the row attends to the column.
    """
    drafted = len(tree) - 1
    size = (context + drafted, past + context + drafted)
    mask = torch.ones(size, dtype=torch.bool, device=tree.tokens.device).tril(diagonal=past)
    mask[context:, past + context :] = tree.ancestors[1:, 1:]
    return mask


@dataclass(frozen=True, slots=True)
class Level:
    """What the drafter predicts at the K nodes of a level.

    log_probs: (K, V), log-probabilities of the next token.
    features: (1, K, H), the drafter's output at each node.
    first_id: token id of the first column of `log_probs`.
    """

    log_probs: Tensor
    features: Tensor
    first_id: int = 0


Extend = Callable[[Tensor, Tensor, Tensor, int], Level]
"""Runs the drafter over the K nodes of a level: (ids, features, mask, depth) -> Level.

ids: (K,), the nodes' tokens. features: (1, K, H), the drafter's output at their parents.
mask: (K, M) bool, which of the M nodes extended so far, themselves included, each attends to.
depth: of the level, from 0.
"""


def grow_tree(root: Tensor, first: Level, extend: Extend, *, shape: TreeShape) -> DraftTree:
    """Grow a draft tree below the last decided token.

    Args:
        root: (1,) id.
        first: the drafter's prediction at the root, with K = 1.
        extend: runs the drafter over the nodes of a level.
        shape: how large the tree may grow, and how far apart siblings must be.
    """
    device = root.device
    scores = torch.zeros(1, device=device)  # (K,) log-probability of each node that is extended
    mask = torch.zeros(1, 0, dtype=torch.bool, device=device)
    position = torch.zeros(1, dtype=torch.int64, device=device)  # of these nodes in `all_tokens`
    all_tokens, all_scores, all_parents = [root], [scores], [position]
    level, made = first, 1
    for depth in range(shape.depth):
        count = _siblings(shape.top_k, shape.apart(depth), level.log_probs.shape[1])
        log_probs, ids = best_apart(level.log_probs, count, shape.apart(depth))  # (K, count)
        candidate_scores = (scores[:, None] + log_probs).flatten()
        ids = ids + level.first_id
        all_tokens.append(ids.flatten())
        all_scores.append(candidate_scores)
        all_parents.append(position.repeat_interleave(count))
        if depth + 1 == shape.depth:
            break
        scores, kept = candidate_scores.topk(min(shape.top_k, len(candidate_scores)))
        position, parent = made + kept, kept // count
        made += len(candidate_scores)
        below = torch.eye(len(kept), dtype=torch.bool, device=device)
        mask = torch.cat((mask[parent], below), dim=1)
        level = extend(ids.flatten()[kept], level.features[:, parent], mask, depth)
    return _prune(torch.cat(all_tokens), torch.cat(all_scores), torch.cat(all_parents), shape)


def _prune(tokens: Tensor, scores: Tensor, parents: Tensor, shape: TreeShape) -> DraftTree:
    """Keep the most probable nodes.

    A parent is at least as probable as its child, and comes before it. So with a stable sort, a
    child is never kept without its parent.
    """
    best = scores.sort(descending=True, stable=True).indices[: shape.nodes + 1].sort().values
    renumbered = torch.searchsorted(best, parents[best])
    return DraftTree.from_parents(tokens[best], renumbered, depth=shape.depth)


def _siblings(top_k: int, spacing: int, ids: int) -> int:
    """Return how many of `ids` ids can surely be chosen more than `spacing` apart, up to `top_k`.

    Each chosen id rules out at most 2 x spacing others.
    """
    return min(top_k, -(-ids // (2 * spacing + 1)))


def best_apart(log_probs: Tensor, count: int, spacing: int) -> tuple[Tensor, Tensor]:
    """Choose the most probable ids that are more than `spacing` apart.

    Args:
        log_probs: (K, V).
        count: how many to choose.
        spacing: ids within this distance of a chosen one are not chosen.

    Returns:
        Scores and ids, (K, count) each. A score is the log-probability that the target's choice
        lies within `spacing` of the id, that is, that the id is accepted.
    """
    if spacing == 0:
        best = log_probs.topk(count)
        return best.values, best.indices
    probs = log_probs.exp()
    padded = torch.nn.functional.pad(probs.cumsum(-1), (spacing + 1, 0))
    padded = torch.cat((padded, padded[:, -1:].expand(-1, spacing)), dim=-1)
    window = 2 * spacing + 1
    near = (padded[:, window:] - padded[:, :-window]).clamp(1e-30, 1.0).log()
    everything = torch.arange(log_probs.shape[1], device=log_probs.device)
    left, chosen = log_probs, []
    for _ in range(count):
        chosen.append(left.argmax(-1, keepdim=True))
        left = left.masked_fill((everything - chosen[-1]).abs() <= spacing, -torch.inf)
    ids = torch.cat(chosen, dim=-1)
    return near.gather(-1, ids), ids
