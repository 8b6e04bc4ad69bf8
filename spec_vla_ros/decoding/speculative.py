# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
r"""Speculative decoding: the drafter proposes a tree, the target verifies it in one pass.

This is Spec-VLA (arXiv 2507.22424). The terms: the *target* is the model whose output counts, and
the *drafter* is a small model that guesses that output. A *draft tree* holds the guesses; its root
is the last token that is already decided. The *acceptance rule* says which draft tokens pass;
those on the longest path of passing tokens are accepted. The *bonus token* is the target's own
choice after them, and the root of the next round. The *accept length* of a round is the number of
accepted tokens plus the bonus token.

                       root         propose: the drafter grows a tree below the root
                      /    \
                    t1      t1'     verify: the target chooses after every node, in one pass
                   /  \      |
                 t2    t2'  t2''    accept: the longest path that agrees, or nearly (r bins)

                                    commit: its tokens and the bonus; forget the other nodes
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

import torch
from torch import Tensor

from spec_vla_ros.decoding.acceptance import AcceptanceRule, accepted_path
from spec_vla_ros.decoding.draft_tree import DraftTree, TreeRule, TreeShape, attention_mask
from spec_vla_ros.decoding.drafting import TreeDrafter
from spec_vla_ros.decoding.generate import Decoded, LanguageModel, Run, StopRule, call_step, greedy
from spec_vla_ros.decoding.kv_cache import KVCache


@torch.inference_mode()
def speculative_generate(
    target: LanguageModel,
    drafter: TreeDrafter,
    prompt: Tensor,
    *,
    accept: AcceptanceRule,
    tree: TreeRule,
    stop: StopRule,
    draft: DraftTree | None = None,
    cache: KVCache | None = None,
    run: Run = call_step,
) -> Decoded:
    """Decode speculatively: propose, verify, accept, commit, until the sequence is complete.

    Args:
        target: the language model.
        drafter: proposes draft trees.
        prompt: (1, S, H) embeddings of image and text.
        accept: says which draft tokens pass, see `exact_match` and `within_bins`.
        tree: says how large a tree to draft when so many tokens are still to come.
        stop: says how many tokens may still come, see `FixedCount`.
        draft: guesses at the first tokens, verified inside the prefill; its root stands for the
            prompt's last token.
        cache: a cache of the target to use; its contents are overwritten.
        run: runs each step, see `Run`.

    Raises:
        ValueError: a draft is so deep that no place is left for the bonus token.
    """
    length, most = prompt.shape[1], stop(())
    first = draft or DraftTree.empty()
    check_depth(first, most)
    first = first.to(prompt.device)
    cache = target.new_cache(length + most) if cache is None else cache
    cache.rewind(0)
    proposes = any(map(tree, range(1, most)))  # if never, no features are computed
    drafter.begin(prompt, num_tokens=most, drafts=proposes)
    work = Speculation(target, drafter, cache, accept)
    tokens, choices, commits, draft_passes = list[int](), list[int](), list[int](), 0
    # The prefill is a verify pass, too: its context is the prompt, its draft the given guesses.
    committed = run('prefill', verify_and_commit, work, prompt, first, 0)
    while True:
        new, chosen = committed.read()  # the only place where the host waits for the device
        tokens, choices, commits = tokens + new, choices + chosen, [*commits, len(new)]
        cache.rewind(length + len(tokens) - 1)  # all but the bonus token; see Run
        left = stop(tokens)
        if not left:
            break
        shape = tree(left)
        check_depth(shape, left)
        # Propose a tree below the bonus token, verify it, accept its longest path, and commit it.
        committed = speculative_round(work, committed.root, shape, len(tokens), run=run)
        draft_passes += drafter.passes(shape) if shape else 0
    return Decoded(
        torch.tensor(tokens), torch.tensor(choices), tuple(commits), len(first) > 1, draft_passes
    )


@dataclass(frozen=True, slots=True)
class Speculation:
    """What every round on one sequence uses.

    target: the language model.
    drafter: proposes draft trees, and is shown what the target decides.
    cache: the target's past keys and values.
    accept: the acceptance rule.
    """

    target: LanguageModel
    drafter: TreeDrafter
    cache: KVCache
    accept: AcceptanceRule

    @property
    def key(self) -> Hashable:
        """What a recording of a round depends on, see `generate.Run`."""
        return self.target, self.drafter.key, self.cache.key, self.accept


def speculative_round(
    work: Speculation,
    root: Tensor,
    shape: TreeShape | None,
    decided: int,
    *,
    run: Run,
) -> Committed:
    """Propose a tree below the root, then verify, accept and commit: one round.

    Args:
        work: target and drafter; the target's cache holds all tokens before the root.
        root: (1,) id of the last decided token.
        shape: size of the tree; with None nothing is proposed, and the pass commits only the
            target's own choice.
        decided: how many tokens have been decided behind the prompt so far.
        run: runs each step, see `Run`.
    """
    draft, place = DraftTree.root_only(root), work.cache.length
    if shape is not None:
        draft = run('draft', TreeDrafter.propose, work.drafter, root, shape, place)
        work.drafter.rewind(place)  # as `propose` does, except when it is replayed; see Run
    context = work.target.embed(root)[None]
    return run('verify', verify_and_commit, work, context, draft, decided)


def verify_and_commit(
    work: Speculation, context: Tensor, draft: DraftTree, decided: int
) -> Committed:
    """Verify a draft, accept its longest path, and commit it.

    Args:
        work: target and drafter; in the cache, the entries of accepted nodes are moved together,
            directly behind those of the context.
        context: (1, C, H) embeddings not yet in the cache; the last one is the draft's root.
        draft: the draft tree.
        decided: how many tokens have been decided behind the prompt so far.
    """
    target, drafter, cache = work.target, work.drafter, work.cache
    past, end = cache.length, cache.length + context.shape[1]
    wanted = drafter.wants(past, end)
    verified = verify(target, context, draft, cache, context_outputs=wanted)
    # path (L,), L = 1 + depth: root first, padded with the last node; count (1,): without padding.
    path, count = accepted_path(draft, verified.choices, work.accept, first_dimension=decided)
    if not draft.is_chain:  # the accepted entries of a chain lie together already
        cache.gather(path[1:] - 1, base=end)
    # (L,) each. The token after path[i] is the draft token at path[i + 1], hence the roll. After
    # the last accepted node comes the target's own choice, the bonus token, which also pads to L.
    choices = verified.choices[path]
    accepted = torch.arange(len(path), device=path.device) < count - 1
    tokens = torch.where(accepted, draft.tokens[path.roll(-1)], choices)
    # hidden (1, F + N - 1, H) begins with F places of the context, of which the root is the last.
    # So node i is at F - 1 + i.
    of_context, of_path = verified.hidden[:, :wanted], verified.hidden[:, wanted - 1 + path[1:]]
    drafter.observe(target.embed(tokens[None]), of_context, of_path, end=end)
    return Committed(torch.cat((count, tokens, choices)), tokens[-1:])


@dataclass(frozen=True, slots=True)
class Committed:
    """What a round commits, padded to the greatest length possible (L = 1 + depth).

    Padding makes shapes independent of values, so that a round can be recorded. All numbers are in
    one tensor, so that one copy brings them to the host.

    summary: (1 + 2 L,) int64: the number of tokens, the tokens, the target's choices.
    root: (1,) the bonus token.
    """

    summary: Tensor
    root: Tensor

    def read(self) -> tuple[list[int], list[int]]:
        """Return the tokens and the target's choices; waits for the device."""
        count, *values = self.summary.tolist()
        longest = len(values) // 2
        return values[:count], values[longest : longest + count]


@dataclass(frozen=True, slots=True)
class Verified:
    """What the target computed for a draft tree.

    choices: (N,) the id it would choose after each node, the root first.
    hidden: (1, F + N - 1, H) hidden states: first those of the context's last F places, as many as
        were asked for, then those of the draft tokens.
    """

    choices: Tensor
    hidden: Tensor


def verify(
    target: LanguageModel,
    context: Tensor,
    draft: DraftTree,
    cache: KVCache,
    *,
    context_outputs: int | None = None,
) -> Verified:
    """Run the target over context and draft tree in one pass.

    Args:
        target: the language model.
        context: (1, C, H) embeddings not yet in the cache; the last one is the tree's root.
        draft: the draft tree; it may consist of the root alone.
        cache: the target's past; the context and all draft tokens are appended.
        context_outputs: for how many of the context's last places to return hidden states, at
            least 1; None for all C.
    """
    past, length, drafted = cache.length, context.shape[1], len(draft) - 1
    if drafted:
        context = torch.cat((context, target.embed(draft.tokens[None, 1:])), dim=1)
    positions: Tensor | range = range(past, past + length + drafted)
    mask = None
    if not draft.is_chain:
        before = torch.arange(past, past + length - 1, device=context.device)
        positions = torch.cat((before, past + length - 1 + draft.depths))
        mask = attention_mask(draft, past=past, context=length)
    outputs = None if context_outputs is None else min(context_outputs, length) + drafted
    hidden = target(context, positions=positions, mask=mask, cache=cache, outputs=outputs)
    return Verified(greedy(target.logits(hidden[0, -len(draft) :])), hidden)


def check_depth(draft: DraftTree | TreeShape | None, most: int) -> None:
    """Raise ValueError if a draft is too deep when at most `most` tokens may still come."""
    if draft is not None and draft.depth >= most:
        raise ValueError(
            f'the draft is {draft.depth} tokens deep, at most {most - 1} can be drafted where '
            f'{most} are left: the last token is always the bonus'
        )
