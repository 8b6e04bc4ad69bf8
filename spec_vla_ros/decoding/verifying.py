# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""What the target says to a draft, and what is decided by it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from spec_vla_ros.decoding.acceptance import (
    AcceptanceRule,
    accepted_path,
    longest_accepted_path,
    on_host,
)
from spec_vla_ros.decoding.draft_tree import DraftTree, attention_mask
from spec_vla_ros.decoding.generate import LanguageModel, greedy
from spec_vla_ros.decoding.kv_cache import KVCache
from spec_vla_ros.decoding.steps import Steps


@dataclass(frozen=True, slots=True)
class Verified:
    """What the target says to a draft tree.

    choices: (N,) the ids it would choose after each node, the root first.
    hidden: (1, F + N - 1, H), its hidden states: those of the context's last F places that were
        asked for, then the draft tokens'.
    """

    choices: Tensor
    hidden: Tensor


def verify(
    target: LanguageModel,
    context: Tensor,
    tree: DraftTree,
    cache: KVCache,
    *,
    features: int | None = None,
) -> Verified:
    """Run the target over context and draft tree in one pass.

    Args:
        target: the language model.
        context: (1, C, H) embeddings not yet in the cache; the last is the tree's root.
        tree: the draft; it may be the root alone.
        cache: the target's past; context and all draft tokens are appended.
        features: of how many of the context's last places the hidden states are wanted, at least
            1; None for all C.
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
    outputs = None if features is None else min(features, length) + drafted
    hidden = target(context, positions=positions, mask=mask, cache=cache, outputs=outputs)
    return Verified(greedy(target.logits(hidden[0, -len(tree) :])), hidden)


@dataclass(frozen=True, slots=True)
class DraftInput:
    """What a drafter reads, place by place of the sequence.

    embeds: (1, N, H), at i the embedding of token i + 1.
    features: (1, N, H), at i the target's hidden state.
    first: the first place that it reads; see `Drafter`'s window.
    """

    embeds: Tensor
    features: Tensor
    first: int

    @classmethod
    def for_action(
        cls, size: int, prompt: Tensor, steps: Steps, *, window: int | None
    ) -> DraftInput:
        """Return room for `size` places, with the prompt's embeddings (1, S, H) in it.

        window: how many of the prompt's last places are read; None for all.
        """
        shape, length = (1, size, prompt.shape[2]), prompt.shape[1]
        first = 0 if window is None else max(0, length - window)
        embeds, features = (steps.room(name, shape, prompt) for name in ('embeds', 'features'))
        embeds[:, first : length - 1] = prompt[:, first + 1 :]
        return cls(embeds, features, first)


@dataclass(frozen=True, slots=True)
class Judged:
    """What a pass decided, as long as it could have become at most.

    summary: (1 + 2 L,) int64: how many tokens, the tokens, the target's choices.
    root: (1,) the bonus token.
    context: (1, 1, H) its embedding.
    """

    summary: Tensor
    root: Tensor
    context: Tensor

    def parts(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return how many tokens (1,), the tokens (L,), and the target's choices (L,)."""
        tokens, choices = self.summary[1:].view(2, -1)
        return self.summary[:1], tokens, choices

    def read(self) -> tuple[list[int], list[int]]:
        """Return tokens and choices; waits for the device."""
        count, *values = self.summary.tolist()
        longest = len(values) // 2
        return values[:count], values[longest : longest + count]


def judge_draft(
    target: LanguageModel,
    context: Tensor,
    tree: DraftTree,
    cache: KVCache,
    *,
    accept: AcceptanceRule,
    decided: int,
    num_tokens: int,
    told: DraftInput | None,
) -> Judged:
    """Verify a draft, accept its longest path, and commit it: a step, see `Steps`.

    Args:
        target: the language model.
        context: (1, C, H) embeddings not yet in the cache; the last is the tree's root.
        tree: the draft.
        cache: the target's past; the accepted entries are moved together behind the context's.
        accept: the acceptance rule.
        decided: tokens of the action before this pass.
        num_tokens: tokens of the whole action.
        told: written to, for the drafter; None where it will not be asked.
    """
    end = cache.length + context.shape[1]
    wanted = 1 if told is None else end - max(told.first, cache.length)
    verified = verify(target, context, tree, cache, features=wanted)
    if on_host(tree.tokens.device):
        path = longest_accepted_path(tree, verified.choices, accept, first_dimension=decided)
        levels, count = len(path), torch.tensor([len(path)])
    else:
        levels = min(len(tree), num_tokens - decided)
        path, count = accepted_path(
            tree, verified.choices, accept, first_dimension=decided, levels=levels
        )
    if not tree.is_chain:  # whose entries lie together
        cache.gather(path[1:] - 1, base=end)
    choices = verified.choices[path]
    accepted = torch.arange(levels, device=path.device) < count - 1
    tokens = torch.where(accepted, tree.tokens[path.roll(-1)], choices)  # the bonus is repeated
    embeds = target.embed(tokens[None])
    if told is not None:
        hidden = verified.hidden
        told.embeds[:, end - 1 : end - 1 + levels] = embeds
        told.features[:, end - wanted : end] = hidden[:, :wanted]
        told.features[:, end : end + levels - 1] = hidden[:, wanted - 1 + path[1:]]
    return Judged(torch.cat((count, tokens, choices)), tokens[-1:], embeds[:, -1:])
