# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Speculative decoding: the drafter proposes a tree, the target verifies it in one pass.

Words: the target is the model whose output counts, the drafter a small one that guesses it. A
draft tree holds the guesses; its root is the last decided token. Accepted are the draft tokens on
the longest path that the acceptance rule lets pass; the bonus token is the target's own choice
after them, and the next root. The accept length of a round is accepted tokens plus bonus.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from spec_vla_ros.decoding.draft_tree import DraftTree
from spec_vla_ros.decoding.drafting import Drafting, DraftModel
from spec_vla_ros.decoding.generate import Decoded, LanguageModel, pad_prompt
from spec_vla_ros.decoding.kv_cache import KVCache
from spec_vla_ros.decoding.passes import Passes
from spec_vla_ros.decoding.speculative_settings import SpeculativeSettings, room_needed
from spec_vla_ros.decoding.steps import Eager, Steps
from spec_vla_ros.decoding.timing import PhaseTimer
from spec_vla_ros.decoding.verifying import DraftInput
from spec_vla_ros.decoding.whole_action import Finished, decode_whole
from spec_vla_ros.types import DecodeStats


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
    timer, steps = PhaseTimer(prompt.device), steps or Eager()
    num_tokens = len(settings.max_distance)
    prompt, padding = pad_prompt(prompt, steps) if drafter.counts_from_prompt else (prompt, None)
    length = prompt.shape[1]
    tree = _first_tree(draft, num_tokens, prompt.device, steps)
    room = room_needed(length, settings, guessed=len(tree))
    cache, draft_cache = _emptied(cache, target, room), _emptied(draft_cache, drafter, room)
    told = None
    if settings.drafts(num_tokens - 1):
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
    passes = Passes(
        target=target,
        drafting=drafting,
        settings=settings,
        accept=settings.rule(prompt.device),
        cache=cache,
        draft_cache=draft_cache,
        told=told,
        length=length,
    )
    prompt = steps.hold('prompt', prompt)
    whole = None
    if drafter.counts_from_prompt:
        whole = decode_whole(passes, prompt, tree, steps=steps, timer=timer)
    finished = whole or _decode_by_passes(passes, prompt, tree, steps=steps, timer=timer)
    lengths = finished.commits
    if draft is None or len(draft) == 1:
        lengths = lengths[1:]  # a prefill without a draft is no verify round
    stats = DecodeStats(
        mode='speculative',
        target_passes=len(finished.commits),
        draft_passes=_draft_passes(settings, finished.commits, prompt_read=whole is not None),
        accept_lengths=tuple(lengths),
        phases_ms=timer.milliseconds(),
    )
    return Decoded(torch.tensor(finished.tokens), torch.tensor(finished.choices), stats)


def _decode_by_passes(
    passes: Passes, prompt: Tensor, tree: DraftTree, *, steps: Steps, timer: PhaseTimer
) -> Finished:
    """Decode an action pass by pass; the host reads what each pass of the target decided."""
    cache, settings, key, context = passes.cache, passes.settings, passes.key, prompt
    known = passes.told.first if passes.told else 0
    tokens: list[int] = []
    choices: list[int] = []
    commits: list[int] = []
    while True:
        with timer.phase('verify' if tokens else 'prefill'):
            end = cache.length + context.shape[1]
            # Where a tree lies is part of the key: a draft that ran plainly lies elsewhere.
            place = tree.tokens.data_ptr()
            judge = partial(passes.judge, context, tree, decided=len(tokens))
            judged = steps.run(
                ('verify', len(tokens), len(tree), tree.is_chain, known, place, *key), judge
            )
            new_tokens, new_choices = judged.read()  # the only wait for the device
            cache.hold(end + len(new_tokens) - 1)
        tokens += new_tokens
        choices += new_choices
        commits.append(len(new_tokens))
        left = passes.num_tokens - len(tokens)
        root = steps.hold('root', judged.root)
        if not settings.drafts(left):
            break
        with timer.phase('draft'):
            context = steps.hold('context', judged.context)
            shape = settings.shape.for_remaining(left)
            if shape is None:
                tree = DraftTree.root_only(root)
                continue
            propose = partial(passes.propose, root, shape, decided=len(tokens), known=known)
            tree, held = steps.run(('draft', len(tokens), known, *key), propose)
            known = cache.length
            passes.draft_cache.hold(held)
    if left:
        with timer.phase('verify'):
            finish = partial(passes.finish, root, decided=len(tokens))
            rest = steps.run(('plain', len(tokens), *key), finish).tolist()
        tokens, choices = tokens + rest, choices + rest
        commits += [1] * left
    return Finished(tokens, choices, commits)


def _draft_passes(
    settings: SpeculativeSettings, commits: Sequence[int], *, prompt_read: bool
) -> int:
    """Count the drafter's passes of an action.

    prompt_read: whether one of them read the prompt alone.
    """
    count, left = 0, len(settings.max_distance)
    for committed in commits[:-1]:
        left -= committed
        shape = settings.shape.for_remaining(left)
        count += 0 if shape is None else Drafting.passes(shape)
    return count + (prompt_read and count > 0)


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
        nothing = torch.zeros(1, dtype=torch.int64, device=device)
        return DraftTree.root_only(steps.hold('no draft', nothing))
    if int(draft.depths[-1]) >= num_tokens:
        raise ValueError(
            f'the draft is {int(draft.depths[-1])} tokens deep, at most {num_tokens - 1} can be '
            f'guessed of an action of {num_tokens}: the last token is always the bonus'
        )
    filled = draft.filled(steps.rounded(len(draft))).to(device)
    parts = ('tokens', 'parents', 'depths', 'ancestors')
    held = (steps.hold(f'draft {name}', getattr(filled, name)) for name in parts)
    return DraftTree(*held, is_chain=filled.is_chain)


def _emptied(cache: KVCache | None, model: LanguageModel | DraftModel, room: int) -> KVCache:
    if cache is None or cache.max_len < room:
        return model.new_cache(room)
    cache.truncate(0)
    return cache
