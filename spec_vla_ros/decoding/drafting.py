# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""From a drafter's scores to a draft tree.

The drafter is a model of one layer (EAGLE, arXiv 2401.15077): at each place it reads the target's
hidden state there, called the feature, and the embedding of the token that follows, and predicts
the next feature, which the target's own head turns into scores. The tree grows as in EAGLE-2
(arXiv 2406.16858): each level, the drafter extends the `top_k` most probable nodes by `top_k`
tokens each; at the end the most probable nodes of all levels are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from spec_vla_ros.decoding.draft_tree import DraftTree, TreeShape
from spec_vla_ros.decoding.generate import LanguageModel, greedy
from spec_vla_ros.decoding.kv_cache import KVCache


class DraftModel(Protocol):
    """What drafting needs of a drafter's network (see `models.drafter.Drafter`)."""

    @property
    def window(self) -> int | None:
        """How many of the prompt's last places it reads; None for all."""

    @property
    def counts_from_prompt(self) -> bool:
        """Whether its positions follow the sequence, so that padding in front moves none."""

    @property
    def temperature(self) -> float:
        """What its scores are divided by before they are taken as probabilities."""

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

    @property
    def tree_position(self) -> Callable[..., int]:
        """(entries cached, first_round=) -> rotary position of a tree's first level."""

    @property
    def new_cache(self) -> Callable[[int], KVCache]:
        """Returns an empty cache with room for so many entries."""


class TreeDrafter:
    """A drafter at work: it follows what the target decides and proposes draft trees.

    Its buffers are used again from sequence to sequence.

    Args:
        model: the drafter's network.
        target: gives embeddings and head.
        ids: the token ids to draft from, for example the actions'; None for all.
        temperature: of its scores; None: the model's own.
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
        self._first = 0  # the first place that is read
        self._drafts = False

    @property
    def cache(self) -> KVCache:
        """Its past keys and values."""
        return self._cache

    @property
    def key(self) -> Hashable:
        """What a recorded pass of it depends on; see `device.Run`."""
        return id(self), self._cache.key, self._embeds.shape[1], self._first, self._drafts

    @property
    def counts_from_prompt(self) -> bool:
        """See `DraftModel`."""
        return self._model.counts_from_prompt

    @staticmethod
    def passes(shape: TreeShape) -> int:
        """Forward passes that `propose` takes: one for each level."""
        return min(shape.depth, shape.nodes) if shape.top_k == 1 else shape.depth

    def begin(self, prompt: Tensor, *, num_tokens: int, drafts: bool) -> None:
        """Forget the sequence before, and note what can be read of a prompt (1, S, H).

        Args:
            prompt: embeddings.
            num_tokens: how many may follow it at most.
            drafts: whether anything will be proposed; if not, the target need not compute
                features.
        """
        length, self._drafts = prompt.shape[1], drafts
        self._first = self.first_place(length)
        self._cache.rewind(0)
        if not drafts:
            return
        if self._embeds.shape[1] < length + num_tokens:
            shape = (1, length + num_tokens, prompt.shape[2])
            self._embeds, self._features = prompt.new_zeros(shape), prompt.new_zeros(shape)
        self._embeds[:, self._first : length - 1] = prompt[:, self._first + 1 :]

    def first_place(self, prompt_length: int) -> int:
        """Return the first place of a sequence that it reads."""
        return 0 if self._model.window is None else max(0, prompt_length - self._model.window)

    def has_unread(self, place: int) -> bool:
        """Whether there is anything to read before a place, from the beginning."""
        return self._drafts and place > self._first

    def wants(self, past: int, end: int) -> int:
        """Return how many features it wants of a pass over the places `past` to `end`.

        They are the last before `end`; at least one.
        """
        return end - max(self._first, past) if self._drafts else 1

    def observe(self, embeds: Tensor, features: Tensor, decided: Tensor, *, end: int) -> None:
        """Note what a pass of the target decided, to be read by the next proposal.

        Args:
            embeds: (1, L, H), embeddings of the decided tokens.
            features: (1, F, H), of the last places before `end`, as many as it wants.
            decided: (1, L - 1, H), features of the decided tokens but the last.
            end: place of the first decided token.
        """
        if self._drafts:
            count = embeds.shape[1]
            self._embeds[:, end - 1 : end - 1 + count] = embeds
            self._features[:, end - features.shape[1] : end] = features
            self._features[:, end : end + count - 1] = decided

    def rewind(self, place: int) -> None:
        """Take what stands before a place of the sequence as read, and no more."""
        if self._drafts:
            self._cache.rewind(max(0, place - self._first))

    def read(self, place: int) -> Tensor:
        """Read what is known up to a place; return the predicted feature there, (1, 1, H)."""
        past = self._cache.length
        rows = slice(self._first + past, place)
        positions = range(past, past + rows.stop - rows.start)
        return self._run(self._embeds[:, rows], self._features[:, rows], positions, None, 1)

    def propose(self, root: Tensor, shape: TreeShape, place: int) -> DraftTree:
        """Read what has been decided since the last proposal, and draft a tree below the root.

        Args:
            root: (1,) id of the last decided token.
            shape: how large the tree may grow.
            place: of the root in the sequence.
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
        """Draft the drafter's first choice, and its first choice after that, and so on."""
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


@dataclass(frozen=True, slots=True)
class Level:
    """What the drafter says about some nodes.

    log_probs: (K, V), log-probabilities of the next token.
    features: (1, K, H), its output at each node.
    first_id: token id of the first column of `log_probs`.
    """

    log_probs: Tensor
    features: Tensor
    first_id: int = 0


Extend = Callable[[Tensor, Tensor, Tensor, int], Level]
"""Runs the drafter over the nodes of a level.

ids (K,), the drafter's output at their parents (1, K, H), which of the M nodes extended so far
each sees (K, M) bool, and the level's depth from 0 -> Level
"""


def grow_tree(root: Tensor, first: Level, extend: Extend, *, shape: TreeShape) -> DraftTree:
    """Grow a draft tree below the last decided token.

    Args:
        root: (1,) id.
        first: the drafter's prediction at the root, K = 1.
        extend: runs the drafter over a level's nodes.
        shape: how large the tree may grow, and how far apart siblings must be.
    """
    device = root.device
    scores = torch.zeros(1, device=device)  # (K,) log-probability of each node being extended
    mask = torch.zeros(1, 0, dtype=torch.bool, device=device)
    position = torch.zeros(1, dtype=torch.int64, device=device)  # in the list of all candidates
    all_tokens, all_scores, all_parents = [root], [scores], [position]
    level, made = first, 1
    for depth in range(shape.depth):
        count = _siblings(shape.top_k, shape.apart(depth), level.log_probs.shape[1])
        log_probs, ids = _best_apart(level.log_probs, count, shape.apart(depth))  # (K, count)
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
