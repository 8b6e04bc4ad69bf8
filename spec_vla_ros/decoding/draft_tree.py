# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Draft trees: several guesses for the next tokens that share their beginnings.

Node 0 is the root, the last token that is already decided; every path down from it is one guess
at how the sequence goes on. The target verifies all paths in one pass, in which each node attends
to its ancestors alone. A chain is the tree with one path.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from spec_vla_ros.decoding.device import upload


@dataclass(frozen=True, slots=True)
class TreeShape:
    """How large a draft tree may grow. As a `TreeRule`: always so, as far as tokens are left.

    top_k: nodes that are extended at each level, and tokens each is extended by; 1: a chain.
    depth: levels of draft tokens.
    nodes: draft tokens in all; the root is not counted.
    spacing: for each level, siblings must be more than this many ids apart: a token within the
        acceptance threshold of its sibling would be a wasted node. Where it ends: 0.
    """

    top_k: int = 8
    depth: int = 5
    nodes: int = 49
    spacing: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if min(self.top_k, self.depth, self.nodes) < 1:
            raise ValueError(f'{self}: each must be at least 1')

    def __call__(self, left: int) -> TreeShape | None:
        """Return the tree to draft with `left` tokens to go; the last one is always the bonus."""
        return replace(self, depth=min(self.depth, left - 1)) if left > 1 else None

    def apart(self, level: int) -> int:
        """Return how many ids siblings of a level must be apart."""
        return self.spacing[level] if level < len(self.spacing) else 0


TreeRule = Callable[[int], TreeShape | None]
"""Tokens to go -> the tree to draft, or None for a plain pass; see `plan.TreePlan`."""


def spaced(tree: TreeRule, thresholds: Sequence[int]) -> TreeRule:
    """Let a rule's trees know the acceptance thresholds of an action, one for each token."""

    def shape(left: int) -> TreeShape | None:
        found = tree(left)
        if found is None or not any(thresholds):
            return found
        return replace(found, spacing=tuple(thresholds[len(thresholds) - left :]))

    return shape


@dataclass(frozen=True, slots=True)
class DraftTree:
    """Draft tokens below a root. Parents stand before their children.

    tokens: (N,) int64 ids, the root's first.
    parents: (N,) int64, index of each node's parent; the root is its own.
    depths: (N,) int64, 0 for the root.
    ancestors: (N, N) bool, True where the column is the row itself or an ancestor of it.
    depth: of the deepest node, or more; known without reading `depths` from a device.
    is_chain: each node is known to be the parent of the next, so that plain causal attention does.
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
        """Build the tree without a draft; token: (1,)."""
        return cls.chain(token)

    @classmethod
    def chain(cls, tokens: Tensor) -> DraftTree:
        """Build the tree in which each token (N,) follows the one before it."""
        depths = torch.arange(len(tokens), device=tokens.device)
        ancestors = depths[:, None] >= depths
        parents = (depths - 1).clamp_(min=0)
        return cls(tokens, parents, depths, ancestors, depth=len(tokens) - 1, is_chain=True)

    @classmethod
    def from_parents(cls, tokens: Tensor, parents: Tensor, *, depth: int) -> DraftTree:
        """Build a tree of at most `depth` levels from its nodes (N,) and their parents (N,)."""
        ancestors = torch.eye(len(tokens), dtype=torch.bool, device=tokens.device)
        for _ in range(depth):
            ancestors = ancestors | ancestors[parents]
        return cls(tokens, parents, ancestors.sum(-1) - 1, ancestors, depth=depth)

    @classmethod
    def from_lists(cls, tokens: Sequence[int], parents: Sequence[int]) -> DraftTree:
        """Build a tree on the host, faster there than `from_parents`, whose loop is a device's."""
        depths = [0] * len(tokens)
        for node in range(1, len(tokens)):
            depths[node] = depths[parents[node]] + 1
        depth = max(depths)
        numbers = torch.from_numpy(np.array((tokens, parents, depths)))
        ancestors = np.eye(len(tokens), dtype=bool)
        for _ in range(depth):
            ancestors |= ancestors[list(parents)]
        return cls(numbers[0], numbers[1], numbers[2], torch.from_numpy(ancestors), depth)

    @classmethod
    def from_candidates(cls, root: Tensor, candidates: Tensor) -> DraftTree:
        """Merge whole guesses (C, D) on the host, which may begin alike, below the root (1,)."""
        tokens, parents, nodes = [int(root)], [0], {(): 0}
        for depth in range(1, 1 + candidates.shape[1]):
            for guess in candidates[:, :depth].tolist():
                if tuple(guess) not in nodes:
                    nodes[tuple(guess)] = len(tokens)
                    tokens.append(guess[-1])
                    parents.append(nodes[tuple(guess[:-1])])
        return cls.from_lists(tokens, parents)


def attention_mask(tree: DraftTree, *, past: int, context: int) -> Tensor:
    """Who attends to whom in one pass over context and tree.

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
