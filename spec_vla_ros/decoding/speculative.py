# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Speculative decoding: the drafter proposes a tree, the target verifies it in one pass.

Words: the target is the model whose output counts, the drafter a small one that guesses it. A
draft tree holds the guesses; its root is the last decided token. Accepted are the draft tokens on
the longest path that the acceptance rule lets pass; the bonus token is the target's own choice
after them, and the next root. The accept length of a round is accepted tokens plus bonus.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from spec_vla_ros.decoding.acceptance import (
    AcceptanceRule,
    exact_match,
    longest_accepted_path,
    within_bins,
)
from spec_vla_ros.decoding.draft_tree import DraftTree, TreeShape, attention_mask
from spec_vla_ros.decoding.drafting import Drafting, DraftModel
from spec_vla_ros.decoding.generate import Decoded, LanguageModel, greedy
from spec_vla_ros.decoding.kv_cache import KVCache
from spec_vla_ros.decoding.timing import PhaseTimer
from spec_vla_ros.protocols import DecodeStats


@dataclass(frozen=True, slots=True)
class Verified:
    """What the target says to a draft tree.

    choices: (N,) the ids it would choose after each node, the root first.
    hidden: (1, C + N - 1, H), its hidden states: the context's, then the draft tokens'; only the
        last N where the context's were not asked for.
    """

    choices: Tensor
    hidden: Tensor


def verify(
    target: LanguageModel,
    context: Tensor,
    tree: DraftTree,
    cache: KVCache,
    *,
    features: bool = True,
) -> Verified:
    """Run the target over context and draft tree in one pass.

    Args:
        target: the language model.
        context: (1, C, H) embeddings not yet in the cache; the last is the tree's root.
        tree: the draft; it may be the root alone.
        cache: the target's past; context and all draft tokens are appended.
        features: whether the hidden states of the context are wanted, as a drafter's input.
    """
    past, length, drafted = cache.length, context.shape[1], len(tree) - 1
    if drafted:
        context = torch.cat((context, target.embed(tree.tokens[None, 1:])), dim=1)
    positions: Tensor | range = range(past, past + length + drafted)
    mask = None
    if not tree.is_chain:
        before = torch.arange(past, past + length - 1, device=context.device)
        positions = torch.cat((before, past + length - 1 + tree.depths))
        mask = attention_mask(tree, past=past, context=length)
    outputs = None if features else len(tree)
    hidden = target(context, positions=positions, mask=mask, cache=cache, outputs=outputs)
    return Verified(greedy(target.logits(hidden[0, -len(tree) :])), hidden)


class TreeSizes(Protocol):
    """How large draft trees are: a `TreeShape`, or a `TreePlan` by the number of tokens left."""

    def for_remaining(self, left: int) -> TreeShape | None:
        """Return the tree to draft with `left` tokens to go, or None for a plain pass."""

    @property
    def largest(self) -> TreeShape:
        """A shape that no tree exceeds in any way."""


@dataclass(frozen=True, slots=True)
class SpeculativeSettings:
    """How to speculate.

    max_distance: for each action dimension, how many bins a draft may be off (0: exact).
    action_ids: the token ids that are actions.
    shape: how large a draft tree may grow: always the same, or by a plan.
    draft_all_ids: draft from the whole vocabulary instead of the actions only.
    draft_temperature: what the drafter's scores are divided by before they are taken as
        probabilities (see `Drafter`).
    """

    max_distance: tuple[int, ...]
    action_ids: range
    shape: TreeSizes = field(default_factory=TreeShape)
    draft_all_ids: bool = False
    draft_temperature: float = 1.0

    def rule(self, device: torch.device) -> AcceptanceRule:
        """Return the acceptance rule."""
        if not any(self.max_distance):
            return exact_match()
        return within_bins(self.max_distance, action_ids=self.action_ids, device=device)

    @property
    def draft_ids(self) -> slice | None:
        """The ids to draft from."""
        return None if self.draft_all_ids else slice(self.action_ids.start, self.action_ids.stop)


@torch.inference_mode()
def speculative_generate(
    target: LanguageModel,
    drafter: DraftModel,
    prompt: Tensor,
    *,
    settings: SpeculativeSettings,
    draft: DraftTree | None = None,
    cache: KVCache | None = None,
    draft_cache: KVCache | None = None,
) -> Decoded:
    """Decode one action: propose, verify, accept, commit, until it is complete.

    Args:
        target: the language model.
        drafter: the draft model.
        prompt: (1, S, H) embeddings of image and text.
        settings: acceptance and tree; the number of tokens is the length of `max_distance`.
        draft: a tree of guesses at the first tokens from elsewhere, verified inside the prefill;
            its root stands for the prompt's last token.
        cache: the target's, used again if it is large enough; its contents are lost.
        draft_cache: the drafter's, likewise.

    Raises:
        ValueError: the draft is deeper than an action without its last token.
    """
    timer, device, num_tokens = (
        PhaseTimer(prompt.device),
        prompt.device,
        len(settings.max_distance),
    )
    accept = settings.rule(device)
    tree = _first_tree(draft, num_tokens, device)
    drafts = any(settings.shape.for_remaining(n) for n in range(num_tokens - 1, 0, -1))
    room = room_needed(prompt.shape[1], settings, guessed=len(tree))
    cache = _emptied(cache, target, room)
    drafting = Drafting(
        drafter,
        target,
        ids=settings.draft_ids,
        cache=_emptied(draft_cache, drafter, room),
        temperature=settings.draft_temperature,
    )
    context = prompt
    following, features = [prompt[:, 1:]], []  # what the drafter has not been told yet
    tokens: list[int] = []
    choices: list[int] = []
    lengths: list[int] = []
    rounds = 0
    while True:
        with timer.phase('verify' if tokens else 'prefill'):
            past, length = cache.length, context.shape[1]
            verified = verify(target, context, tree, cache, features=drafts)
            path = longest_accepted_path(
                tree, verified.choices, accept, first_dimension=len(tokens)
            )
            root = verified.choices[path[-1:]]  # the bonus token
            cache.keep(path[1:] - 1, base=past + length)
            decided = torch.cat((tree.tokens[path[1:]], root))
            new_tokens, new_choices = torch.stack((decided, verified.choices[path])).tolist()
        rounds += 1
        if rounds > 1 or len(tree) > 1:  # a prefill without a draft is no verify round
            lengths.append(len(new_tokens))
        tokens += new_tokens
        choices += new_choices
        left = num_tokens - len(tokens)
        if left == 0:
            break
        with timer.phase('draft'):
            following.append(target.embed(decided[None]))
            context = following[-1][:, -1:]
            if drafts:
                hidden = verified.hidden
                features += [hidden[:, :length], hidden[:, length - 1 + path[1:]]]
            shape = settings.shape.for_remaining(left)
            if shape is None:
                tree = DraftTree.root_only(root)
                continue
            tree = drafting.propose(
                torch.cat(following, dim=1),
                torch.cat(features, dim=1),
                root,
                shape=shape,
                spacing=settings.max_distance[len(tokens) :],
            )
            following, features = [], []
    stats = DecodeStats(
        mode='speculative',
        target_passes=rounds,
        draft_passes=drafting.passes,
        accept_lengths=tuple(lengths),
        phases_ms=timer.milliseconds(),
    )
    return Decoded(torch.tensor(tokens), torch.tensor(choices), stats)


def _first_tree(draft: DraftTree | None, num_tokens: int, device: torch.device) -> DraftTree:
    """Return what the prefill verifies."""
    if draft is None:
        return DraftTree.root_only(torch.zeros(1, dtype=torch.int64, device=device))
    if int(draft.depths[-1]) >= num_tokens:
        raise ValueError(
            f'the draft is {int(draft.depths[-1])} tokens deep, at most {num_tokens - 1} can be '
            f'guessed of an action of {num_tokens}: the last token is always the bonus'
        )
    return draft.to(device)


def room_needed(prompt_length: int, settings: SpeculativeSettings, *, guessed: int) -> int:
    """How many entries a cache needs: what is decided, and the largest tree behind it.

    guessed: nodes of the tree verified inside the prefill.
    """
    largest = settings.shape.largest
    drafted = max(largest.nodes, largest.top_k * largest.depth)
    return prompt_length + len(settings.max_distance) + max(drafted, guessed)


def _emptied(cache: KVCache | None, model: LanguageModel | DraftModel, room: int) -> KVCache:
    if cache is None or cache.max_len < room:
        return model.new_cache(room)
    cache.truncate(0)
    return cache
