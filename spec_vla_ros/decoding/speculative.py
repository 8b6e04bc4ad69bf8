# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Speculative decoding: the drafter proposes a tree, the target verifies it in one pass.

Words: the target is the model whose output counts, the drafter a small one that guesses it. A
draft tree holds the guesses; its root is the last decided token. Accepted are the draft tokens on
the longest path that the acceptance rule lets pass; the bonus token is the target's own choice
after them, and the next root. The accept length of a round is accepted tokens plus bonus.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

import torch
from torch import Tensor

from spec_vla_ros.decoding.acceptance import (
    AcceptanceRule,
    exact_match,
    on_host,
    within_bins,
)
from spec_vla_ros.decoding.draft_tree import DraftTree, TreeShape
from spec_vla_ros.decoding.drafting import Drafting, DraftModel
from spec_vla_ros.decoding.generate import Decoded, LanguageModel, decode_plainly, pad_prompt
from spec_vla_ros.decoding.kv_cache import KVCache
from spec_vla_ros.decoding.steps import Eager, Steps
from spec_vla_ros.decoding.timing import PhaseTimer
from spec_vla_ros.decoding.verifying import DraftInput, judge_draft
from spec_vla_ros.protocols import DecodeStats


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
        return within_bins(
            self.max_distance,
            action_ids=self.action_ids,
            device=None if on_host(device) else device,
        )

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
    steps: Steps | None = None,
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
        steps: how the passes run; plainly by default.

    Raises:
        ValueError: the draft is deeper than an action without its last token.
    """
    device, num_tokens = prompt.device, len(settings.max_distance)
    timer, steps = PhaseTimer(device), steps or Eager()
    prompt, padding = pad_prompt(prompt, steps) if drafter.counts_from_prompt else (prompt, None)
    length = prompt.shape[1]
    accept = settings.rule(device)
    guesses = draft is not None and len(draft) > 1
    tree = _first_tree(draft, num_tokens, device, steps)
    room = room_needed(length, settings, guessed=len(tree))
    cache, draft_cache = _emptied(cache, target, room), _emptied(draft_cache, drafter, room)
    told = None
    if _drafts(settings, num_tokens - 1):
        size = length + num_tokens
        told = DraftInput.for_action(size, prompt, steps, window=drafter.window)
    _hide(padding, cache, draft_cache, told, steps)
    drafting = Drafting(
        drafter,
        target,
        ids=settings.draft_ids,
        cache=draft_cache,
        temperature=settings.draft_temperature,
    )
    context = steps.hold('prompt', prompt)
    key: tuple = (settings, length, len(tree), tree.is_chain, id(cache), id(draft_cache))
    tokens: list[int] = []
    choices: list[int] = []
    lengths: list[int] = []
    rounds = draft_passes = 0
    known = told.first if told else 0  # the place up to which the drafter has read
    while True:
        with timer.phase('verify' if tokens else 'prefill'):
            end = cache.length + context.shape[1]
            judge = partial(
                judge_draft,
                target,
                context,
                tree,
                cache,
                accept=accept,
                decided=len(tokens),
                num_tokens=num_tokens,
                told=told,
            )
            judged = steps.run(('verify', len(tokens), *key), judge)
            new_tokens, new_choices = judged.read()  # the only wait for the device
            cache.hold(end + len(new_tokens) - 1)
        rounds += 1
        if rounds > 1 or guesses:  # a prefill without a draft is no verify round
            lengths.append(len(new_tokens))
        tokens += new_tokens
        choices += new_choices
        left = num_tokens - len(tokens)
        root = steps.hold('root', judged.root)
        if not _drafts(settings, left):
            break
        with timer.phase('draft'):
            context = steps.hold('context', judged.context)
            shape = settings.shape.for_remaining(left)
            key = (settings, length, known, id(cache), id(draft_cache))
            if shape is None:
                tree = DraftTree.root_only(root)
                continue
            rows = slice(known, known := cache.length)
            propose = partial(
                drafting.propose_step,
                told.embeds[:, rows],
                told.features[:, rows],
                root,
                shape=shape,
                spacing=settings.max_distance[len(tokens) :],
            )
            tree, held = steps.run(('draft', len(tokens), *key), propose)
            draft_cache.hold(held)
            draft_passes += drafting.passes(shape)
    if left:
        with timer.phase('verify'):
            plainly = partial(decode_plainly, target, root[None], cache, count=left)
            key = (length, num_tokens, left, id(cache))
            rest = steps.run(('plain', *key), plainly).tolist()[1:]
        tokens, choices = tokens + rest, choices + rest
        lengths += [1] * left
        rounds += left
    stats = DecodeStats(
        mode='speculative',
        target_passes=rounds,
        draft_passes=draft_passes,
        accept_lengths=tuple(lengths),
        phases_ms=timer.milliseconds(),
    )
    return Decoded(torch.tensor(tokens), torch.tensor(choices), stats)


def _drafts(settings: SpeculativeSettings, left: int) -> bool:
    """Whether anything will be drafted with `left` tokens to go; if not, passes are plain."""
    return any(settings.shape.for_remaining(n) for n in range(left, 0, -1))


def _hide(
    padding: Tensor | None,
    cache: KVCache,
    draft_cache: KVCache,
    told: DraftInput | None,
    steps: Steps,
) -> None:
    """Keep target and drafter from looking at the padding in front of the prompt, if any."""
    cache.hide(padding)
    if padding is not None and told is not None:  # of which the drafter may read less, or nothing
        padding = steps.hold('padding read', (padding - told.first).clamp_(min=0))
    draft_cache.hide(padding)


def _first_tree(
    draft: DraftTree | None, num_tokens: int, device: torch.device, steps: Steps
) -> DraftTree:
    """Return what the prefill verifies."""
    if draft is None:
        return DraftTree.root_only(torch.zeros(1, dtype=torch.int64, device=device))
    if int(draft.depths[-1]) >= num_tokens:
        raise ValueError(
            f'the draft is {int(draft.depths[-1])} tokens deep, at most {num_tokens - 1} can be '
            f'guessed of an action of {num_tokens}: the last token is always the bonus'
        )
    filled = draft.filled(steps.rounded(len(draft))).to(device)
    parts = ('tokens', 'parents', 'depths', 'ancestors')
    held = (steps.hold(f'draft {name}', getattr(filled, name)) for name in parts)
    return DraftTree(*held, is_chain=filled.is_chain)


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
