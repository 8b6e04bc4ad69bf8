# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""A drafter at work on one action: it follows what is decided and proposes draft trees."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from spec_vla_ros.decoding.draft_tree import DraftTree, Level, TreeShape, grow_tree
from spec_vla_ros.decoding.generate import LanguageModel, greedy
from spec_vla_ros.decoding.kv_cache import KVCache


class DraftModel(Protocol):
    """What drafting needs of a drafter (see `models.drafter.Drafter`)."""

    @property
    def window(self) -> int | None:
        """How many of the prompt's last places it reads; None for all."""

    @property
    def counts_from_prompt(self) -> bool:
        """Whether its positions follow the sequence, so that padding in front moves none."""

    def __call__(
        self,
        embeds: Tensor,
        features: Tensor,
        *,
        positions: Tensor | range,
        mask: Tensor | None,
        cache: KVCache | None,
        outputs: int | None = None,
    ) -> Tensor:
        """Embeddings of tokens i+1 and hidden states i, (1, S, H) -> hidden states i+1.

        outputs: how many of the last are wanted; None for all.
        """

    def tree_position(self, cached: int, *, first_round: bool) -> int:
        """Rotary position of a tree's first level behind `cached` entries."""

    def new_cache(self, max_len: int) -> KVCache:
        """Return an empty cache with room for `max_len` entries."""


class Drafting:
    """Proposes the draft trees of one action.

    Args:
        drafter: the draft model.
        target: gives embeddings and head.
        ids: the token ids to draft from, for example the actions'; None for all.
        cache: the drafter's; emptied first.
        temperature: what scores are divided by before they are taken as probabilities.
    """

    def __init__(
        self,
        drafter: DraftModel,
        target: LanguageModel,
        *,
        ids: slice | None,
        cache: KVCache,
        temperature: float = 1.0,
    ) -> None:
        self._drafter, self._target, self._ids, self._cache = drafter, target, ids, cache
        self._first_id = ids.start if ids is not None else 0
        self._temperature = temperature
        cache.truncate(0)

    @staticmethod
    def passes(shape: TreeShape) -> int:
        """Forward passes of the drafter that `propose` takes: one for each level."""
        return min(shape.depth, shape.nodes) if shape.top_k == 1 else shape.depth

    def propose(
        self,
        embeds: Tensor,
        features: Tensor,
        root: Tensor,
        *,
        shape: TreeShape,
        spacing: Sequence[int],
    ) -> DraftTree:
        """Take in what has been decided since the last call, and draft a tree below the root.

        Args:
            embeds: (1, S, H), embeddings of the tokens that follow `features`; the root's is last.
            features: (1, S, H), the target's hidden states.
            root: (1,) id of the last decided token.
            shape: how large the tree may grow.
            spacing: for each level, how far apart siblings must be (see `grow_tree`).
        """
        past = self._cache.length
        told = range(past, past + embeds.shape[1])
        hidden = self._run(embeds, features, told, None, outputs=1)
        base = self._cache.length
        start = self._drafter.tree_position(base, first_round=past == 0)
        if shape.top_k == 1:
            tree = self._chain(root, hidden, start, length=min(shape.depth, shape.nodes))
            self._cache.truncate(base)
            return tree

        def extend(ids: Tensor, parents: Tensor, mask: Tensor, depth: int) -> Level:
            positions = torch.full_like(ids, start + depth)
            seen = torch.cat((mask.new_ones(len(ids), base), mask), dim=1)
            return self._level(self._run(self._target.embed(ids)[None], parents, positions, seen))

        tree = grow_tree(root, self._level(hidden), extend, shape=shape, spacing=spacing)
        self._cache.truncate(base)
        return tree

    def read(self, embeds: Tensor, features: Tensor) -> None:
        """Take in what has been decided, as `propose` does, and propose nothing."""
        told = range(self._cache.length, self._cache.length + embeds.shape[1])
        self._run(embeds, features, told, None, outputs=1)

    def _chain(self, root: Tensor, hidden: Tensor, start: int, *, length: int) -> DraftTree:
        """Draft the drafter's first choice, and its first choice after that, and so on."""
        tokens = [root]
        for position in range(start, start + length):
            if position > start:
                here = range(position - 1, position)
                hidden = self._run(self._target.embed(tokens[-1])[None], hidden, here, None)
            tokens.append(greedy(self._target.logits(hidden[0], self._ids)) + self._first_id)
        return DraftTree.chain(torch.cat(tokens))

    def _run(
        self,
        embeds: Tensor,
        features: Tensor,
        positions: Tensor | range,
        mask: Tensor | None,
        outputs: int | None = None,
    ) -> Tensor:
        return self._drafter(
            embeds, features, positions=positions, mask=mask, cache=self._cache, outputs=outputs
        )

    def _level(self, hidden: Tensor) -> Level:
        scores = self._target.logits(hidden[0], self._ids).float()
        return Level((scores / self._temperature).log_softmax(-1), hidden, self._first_id)
