# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Draft trees: several guesses for the next tokens that share their beginnings.

The tree grows as in EAGLE-2 (arXiv 2406.16858): each level, the drafter extends the `top_k` most
probable nodes by `top_k` tokens each; at the end the most probable nodes of all levels are kept.
With `top_k=1` it is a chain.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from spec_vla_ros.decoding.upload import upload


@dataclass(frozen=True, slots=True)
class TreeShape:
    """How large a draft tree may grow.

    top_k: nodes that are extended at each level, and tokens each is extended by.
    depth: levels of draft tokens.
    nodes: draft tokens in all; the root is not counted.
    """

    top_k: int = 8
    depth: int = 5
    nodes: int = 49

    def __post_init__(self) -> None:
        if min(self.top_k, self.depth, self.nodes) < 1:
            raise ValueError(f'{self}: each must be at least 1')

    def for_remaining(self, left: int) -> TreeShape | None:
        """Return the tree to draft with `left` tokens to go; the last one is always the bonus."""
        return replace(self, depth=min(self.depth, left - 1)) if left > 1 else None

    @property
    def largest(self) -> TreeShape:
        """A shape that no tree exceeds: this one (see `TreePlan.largest`)."""
        return self


@dataclass(frozen=True, slots=True)
class DraftTree:
    """Draft tokens in order of depth; node 0 is the root, the last token that is already decided.

    tokens: (N,) int64 ids.
    parents: (N,) int64, index of each node's parent; the root is its own.
    depths: (N,) int64, 0 for the root.
    ancestors: (N, N) bool, True where the column is the row itself or an ancestor of it.
    is_chain: each node is known to be the parent of the next, so that plain causal attention does.
    """

    tokens: Tensor
    parents: Tensor
    depths: Tensor
    ancestors: Tensor
    is_chain: bool = False

    def __len__(self) -> int:
        return self.tokens.shape[0]

    def to(self, device: torch.device) -> DraftTree:
        """Return the same tree on a device, without waiting for it."""
        if device == self.tokens.device:
            return self
        numbers = upload(torch.stack((self.tokens, self.parents, self.depths)), device)
        ancestors = upload(self.ancestors, device)
        return DraftTree(*numbers, ancestors, is_chain=self.is_chain)

    def filled(self, nodes: int) -> DraftTree:
        """Return the tree with leaves below the root added, up to some nodes.

        The new tokens are id 0, which is no action: it passes only where the target chooses it.
        """
        more = nodes - len(self)
        if more <= 0:
            return self
        zeros = self.tokens.new_zeros(more)
        # Behind all others, though they are of depth 1: nobody looks for an order among leaves.
        ancestors = torch.eye(nodes, dtype=torch.bool, device=zeros.device)
        ancestors[:, 0] = True
        ancestors[: len(self), : len(self)] = self.ancestors
        return DraftTree(
            torch.cat((self.tokens, zeros)),
            torch.cat((self.parents, zeros)),
            torch.cat((self.depths, zeros + 1)),
            ancestors,
        )

    @classmethod
    def from_parents(cls, tokens: Tensor, parents: Tensor, *, depth: int) -> DraftTree:
        """Build a tree of at most `depth` levels from its nodes (N,) and their parents (N,)."""
        ancestors = torch.eye(len(tokens), dtype=torch.bool, device=tokens.device)
        for _ in range(depth):
            ancestors = ancestors | ancestors[parents]
        return cls(tokens, parents, ancestors.sum(-1) - 1, ancestors)

    @classmethod
    def from_lists(cls, tokens: Sequence[int], parents: Sequence[int]) -> DraftTree:
        """Build a tree on the host, faster there than `from_parents`, whose loop is a device's.

        Every parent stands before its children.
        """
        depths = [0] * len(tokens)
        for node in range(1, len(tokens)):
            depths[node] = depths[parents[node]] + 1
        numbers = np.array((tokens, parents, depths))
        ancestors = np.eye(len(tokens), dtype=bool)
        for _ in range(max(depths)):
            ancestors |= ancestors[numbers[1]]
        return cls(*map(torch.from_numpy, (*numbers, ancestors)))

    @classmethod
    def chain(cls, tokens: Tensor) -> DraftTree:
        """Build the tree in which each token (N,) follows the one before it."""
        depths = torch.arange(len(tokens), device=tokens.device)
        ancestors = depths[:, None] >= depths
        return cls(tokens, (depths - 1).clamp_(min=0), depths, ancestors, is_chain=True)

    @classmethod
    def root_only(cls, token: Tensor) -> DraftTree:
        """Build the tree without a draft; token: (1,)."""
        return cls.chain(token)

    @classmethod
    def from_candidates(cls, root: Tensor, candidates: Tensor) -> DraftTree:
        """Merge whole guesses (C, D) that begin alike below the root (1,) into a tree."""
        count, depth = candidates.shape
        # same[d, i, j]: do candidates i and j agree in their first d + 1 tokens?
        agree = candidates.T[:, :, None] == candidates.T[:, None, :]
        same = agree.int().cumprod(0).bool()
        first = same.int().argmax(-1)  # (D, C): which candidate stands for the prefix
        stands = first == torch.arange(count, device=root.device)
        number = stands.flatten().cumsum(0).view(depth, count)  # node numbers start at 1
        node = number.gather(1, first)  # (D, C): node of each candidate's each prefix
        above = torch.cat((torch.zeros_like(node[:1]), node[:-1]))
        tokens = torch.cat((root, candidates.T[stands]))
        parents = torch.cat((torch.zeros_like(root), above[stands]))
        return cls.from_parents(tokens, parents, depth=depth)


def attention_mask(tree: DraftTree, *, past: int, context: int) -> Tensor:
    """Who sees whom in one pass over context and tree.

    Args:
        tree: its root is the last token of the context; the other nodes follow the context.
        past: cached tokens, seen by all.
        context: tokens before the draft in this pass, causal among themselves.

    Returns:
        (context + N - 1, past + context + N - 1) bool, True where the row sees the column.
    """
    drafted = len(tree) - 1
    size = (context + drafted, past + context + drafted)
    mask = torch.ones(size, dtype=torch.bool, device=tree.tokens.device).tril(diagonal=past)
    mask[context:, past + context :] = tree.ancestors[1:, 1:]
    return mask


@dataclass(frozen=True, slots=True)
class Level:
    """What the drafter says about some nodes.

    log_probs: (K, V), log-probabilities of the next token.
    hidden: (1, K, H), its output at each node.
    first_id: token id of the first column of `log_probs`.
    """

    log_probs: Tensor
    hidden: Tensor
    first_id: int = 0


Extend = Callable[[Tensor, Tensor, Tensor, int], Level]
"""Runs the drafter over the nodes of a level.

ids (K,), the drafter's output at their parents (1, K, H), which of the M nodes extended so far
each sees (K, M) bool, and the level's depth from 0 -> Level
"""


def grow_tree(
    root: Tensor, first: Level, extend: Extend, *, shape: TreeShape, spacing: Sequence[int]
) -> DraftTree:
    """Grow a draft tree below the last decided token.

    Args:
        root: (1,) id.
        first: the drafter's prediction at the root, K = 1.
        extend: runs the drafter over a level's nodes.
        shape: how large the tree may grow.
        spacing: for each level, siblings must be more than this many ids apart: a token within
            the accepted distance of its sibling would be a wasted node.
    """
    device = root.device
    scores = torch.zeros(1, device=device)  # (K,) log-probability of each node being extended
    mask = torch.zeros(1, 0, dtype=torch.bool, device=device)
    position = torch.zeros(1, dtype=torch.int64, device=device)  # in the list of all candidates
    all_tokens, all_scores, all_parents = [root], [scores], [position]
    level, made = first, 1
    for depth in range(shape.depth):
        count = _siblings(shape.top_k, spacing[depth], level.log_probs.shape[1])
        log_probs, ids = _best_apart(level.log_probs, count, spacing[depth])  # (K, count)
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
        level = extend(ids.flatten()[kept], level.hidden[:, parent], mask, depth)
    return _prune(torch.cat(all_tokens), torch.cat(all_scores), torch.cat(all_parents), shape)


def _prune(tokens: Tensor, scores: Tensor, parents: Tensor, shape: TreeShape) -> DraftTree:
    """Keep the best nodes.

    A parent scores no less than its child and stands before it, so a stable order never keeps a
    child without its parent.
    """
    best = scores.sort(descending=True, stable=True).indices[: shape.nodes + 1].sort().values
    renumbered = torch.searchsorted(best, parents[best])
    return DraftTree.from_parents(tokens[best], renumbered, depth=shape.depth)


def _siblings(top_k: int, spacing: int, ids: int) -> int:
    """How many ids are sure to be found more than `spacing` apart, at most `top_k`."""
    return min(top_k, -(-ids // (2 * spacing + 1)))


def _best_apart(log_probs: Tensor, count: int, spacing: int) -> tuple[Tensor, Tensor]:
    """Choose the best ids that are more than `spacing` apart: values and indices, (K, count).

    Each is worth the probability that the target's choice lies within `spacing` of it.
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
