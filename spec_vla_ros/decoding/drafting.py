# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""A drafter at work on a sequence: what it reads of the target, and the draft trees it proposes.

A drafter is a model of one layer (EAGLE, arXiv 2401.15077). At each place of the sequence it reads
the target's hidden state there, called the feature, and the embedding of the token that follows.
From these it predicts the next feature, which the target's own head turns into scores.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Protocol

import torch
from torch import Tensor

from spec_vla_ros.decoding.draft_tree import DraftTree, Level, TreeShape, grow_tree
from spec_vla_ros.decoding.generate import LanguageModel, greedy
from spec_vla_ros.decoding.kv_cache import KVCache


class DraftModel(Protocol):
    """What drafting needs of a drafter's network (see `models.drafter.Drafter`)."""

    @property
    def window(self) -> int | None:
        """How many of the prompt's last places the drafter reads; None for all."""

    @property
    def counts_from_prompt(self) -> bool:
        """Whether positions follow the sequence.

        Then padding in front shifts all of them alike, which makes no difference to attention.
        """

    @property
    def temperature(self) -> float:
        """What the scores are divided by before they are taken as probabilities."""

    def __call__(
        self,
        embeds: Tensor,
        features: Tensor,
        *,
        positions: Tensor | range,
        mask: Tensor | None,
        cache: KVCache,
        outputs: int | None = None,
    ) -> Tensor:
        """Embeddings of tokens i+1 and features i (1, S, H) -> the last `outputs` features i+1."""

    def tree_position(self, cached: int, *, first_round: bool) -> int:
        """Return the rotary position of a tree's first level.

        Args:
            cached: entries in the drafter's cache, behind which the tree begins.
            first_round: whether this is the first tree drafted behind a prompt.
        """

    def new_cache(self, max_len: int) -> KVCache:
        """Return an empty cache with room for so many entries."""


class TreeDrafter:
    """Follows what the target decides, and proposes draft trees.

    Its buffers are reused from sequence to sequence.

    Args:
        model: the drafter's network.
        target: provides embeddings and head.
        ids: the token ids to draft from, for example those of the actions; None for all.
        temperature: divides the scores; None for the model's own.
    """

    def __init__(
        self,
        model: DraftModel,
        target: LanguageModel,
        *,
        ids: range | None,
        temperature: float | None = None,
    ) -> None:
        self._model, self._target = model, target
        self._temperature = model.temperature if temperature is None else temperature
        self._ids = None if ids is None else slice(ids.start, ids.stop)
        self._first_id = 0 if ids is None else ids.start
        self._cache = model.new_cache(0)
        self._embeds = self._features = torch.empty(1, 0, 0)  # (1, places, H), of the sequence
        self._first = 0  # the first place of the sequence that is read
        self._proposes = False

    def fresh(self) -> TreeDrafter:
        """Return another drafter with the same settings and buffers of its own."""
        ids = None if self._ids is None else range(self._ids.start, self._ids.stop)
        return TreeDrafter(self._model, self._target, ids=ids, temperature=self._temperature)

    @property
    def cache(self) -> KVCache:
        """Its past keys and values."""
        return self._cache

    @property
    def key(self) -> Hashable:
        """What a recording of its passes depends on; see `generate.Run`."""
        return id(self), self._cache.key, self._embeds.shape[1], self._first, self._proposes

    @property
    def counts_from_prompt(self) -> bool:
        """See `DraftModel`."""
        return self._model.counts_from_prompt

    @staticmethod
    def passes(shape: TreeShape) -> int:
        """Return how many forward passes `propose` takes: one for each level."""
        return min(shape.depth, shape.nodes) if shape.top_k == 1 else shape.depth

    def begin(self, prompt: Tensor, *, num_tokens: int, drafts: bool) -> None:
        """Begin a new sequence: forget the one before, and note the embeddings of its prompt.

        Args:
            prompt: (1, S, H) embeddings.
            num_tokens: how many tokens may follow it at most.
            drafts: whether anything will be proposed; if not, no features are asked for.
        """
        length, self._proposes = prompt.shape[1], drafts
        self._first = self.first_place(length)
        self._cache.rewind(0)
        if not drafts:
            return
        if self._embeds.shape[1] < length + num_tokens:
            shape = (1, length + num_tokens, prompt.shape[2])
            self._embeds, self._features = prompt.new_zeros(shape), prompt.new_zeros(shape)
        self._embeds[:, self._first : length - 1] = prompt[:, self._first + 1 :]

    def first_place(self, prompt_length: int) -> int:
        """Return the first place that is read of a sequence with a prompt of this length."""
        return 0 if self._model.window is None else max(0, prompt_length - self._model.window)

    def wants(self, past: int, end: int) -> int:
        """Return how many features `observe` needs from a pass over the places `past` to `end`.

        They are those of the last places before `end`; at least one.
        """
        return end - max(self._first, past) if self._proposes else 1

    def observe(self, embeds: Tensor, features: Tensor, decided: Tensor, *, end: int) -> None:
        """Note what a pass of the target decided, for the next proposal to read.

        Args:
            embeds: (1, L, H), embeddings of the decided tokens.
            features: (1, F, H), features of the last places before `end`; F is what `wants` said.
            decided: (1, L - 1, H), features of the decided tokens except the last.
            end: place of the first decided token.
        """
        if self._proposes:
            count = embeds.shape[1]
            self._embeds[:, end - 1 : end - 1 + count] = embeds
            self._features[:, end - features.shape[1] : end] = features
            self._features[:, end : end + count - 1] = decided

    def rewind(self, place: int) -> None:
        """Keep what was read before a place of the sequence, and forget the rest."""
        if self._proposes:
            self._cache.rewind(max(0, place - self._first))

    def read(self, place: int) -> Tensor:
        """Read what was noted before a place; return the feature predicted there, (1, 1, H)."""
        past = self._cache.length
        rows = slice(self._first + past, place)
        positions = range(past, past + rows.stop - rows.start)
        return self._run(self._embeds[:, rows], self._features[:, rows], positions, None, 1)

    def propose(self, root: Tensor, shape: TreeShape, place: int) -> DraftTree:
        """Read what has been decided since the last proposal, and draft a tree below the root.

        Args:
            root: (1,) id of the last decided token.
            shape: how large the tree may grow.
            place: place of the root in the sequence.
        """
        first_round = self._cache.length == 0
        feature = self.read(place)
        base = self._cache.length
        start = self._model.tree_position(base, first_round=first_round)
        if shape.top_k == 1:
            tree = self._chain(root, feature, start, length=self.passes(shape))
        else:

            def extend(ids: Tensor, parents: Tensor, mask: Tensor, depth: int) -> Level:
                positions = torch.full_like(ids, start + depth)
                seen = torch.cat((mask.new_ones(len(ids), base), mask), dim=1)
                embeds = self._target.embed(ids)[None]
                return self._level(self._run(embeds, parents, positions, seen))

            tree = grow_tree(root, self._level(feature), extend, shape=shape)
        self._cache.rewind(base)
        return tree

    def _chain(self, root: Tensor, feature: Tensor, start: int, *, length: int) -> DraftTree:
        """Draft greedily: the most probable token, the most probable one after it, and so on."""
        tokens = [root]
        for position in range(start, start + length):
            if position > start:
                here = range(position - 1, position)
                feature = self._run(self._target.embed(tokens[-1])[None], feature, here, None)
            scores = self._target.logits(feature[0], self._ids)
            tokens.append(greedy(scores) + self._first_id)
        return DraftTree.chain(torch.cat(tokens))

    def _run(
        self,
        embeds: Tensor,
        features: Tensor,
        positions: Tensor | range,
        mask: Tensor | None,
        outputs: int | None = None,
    ) -> Tensor:
        return self._model(
            embeds, features, positions=positions, mask=mask, cache=self._cache, outputs=outputs
        )

    def _level(self, features: Tensor) -> Level:
        scores = self._target.logits(features[0], self._ids).float()
        log_probs = (scores / self._temperature).log_softmax(-1)
        return Level(log_probs, features, self._first_id)
