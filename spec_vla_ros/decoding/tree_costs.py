# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""What drafting and verifying cost on this device: milliseconds, measured at warm-up.

Verifying n tokens costs one pass, but not the same pass everywhere: on a large GPU 50 tokens cost
hardly more than one, on a CPU almost 50 times as much.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch

from spec_vla_ros.decoding import generate
from spec_vla_ros.decoding.draft_tree import DraftTree, TreeShape
from spec_vla_ros.decoding.drafting import Drafting, DraftModel
from spec_vla_ros.decoding.generate import LanguageModel, greedy, padded_length
from spec_vla_ros.decoding.guess_tree import guess_tree
from spec_vla_ros.decoding.speculative import speculative_generate
from spec_vla_ros.decoding.speculative_settings import SpeculativeSettings, room_needed
from spec_vla_ros.decoding.steps import Eager, Steps
from spec_vla_ros.decoding.verifying import verify

_VERIFIED = (1, 2, 4, 8, 16, 32, 50)
_WIDTHS = (1, 2, 4, 8)
_DEPTHS = (1, 3)
_TOKENS = 7
_ENOUGH_MS, _TOO_LONG_MS = 20.0, 1000.0
_GUESSES = (8, 24)


@dataclass(frozen=True, slots=True)
class Costs:
    """Milliseconds on one device.

    verify: tokens in one pass of the target, root included -> cost.
    draft: top_k -> cost of a tree's first level, and of each further level.
    features: cost of the hidden states that the drafter reads, in every prefill.
    draft_prefill: cost of the drafter's pass over the prompt, once before its first tree.
    round: cost of a round beyond its passes: the tree's making, acceptance, compaction.
    guess: cost of verifying any guesses inside the prefill, and of each of them.
    """

    verify: Mapping[int, float]
    draft: Mapping[int, tuple[float, float]]
    features: float = 0.0
    draft_prefill: float = 0.0
    round: float = 0.0
    guess: tuple[float, float] = (0.0, 0.0)

    def of_verifying(self, tokens: int) -> float:
        """Cost of a pass over some tokens, interpolated."""
        known = sorted(self.verify)
        return float(np.interp(tokens, known, [self.verify[n] for n in known]))

    @property
    def of_reading(self) -> float:
        """Cost of what the drafter needs of the prompt, once an action."""
        return self.features + self.draft_prefill

    def of_drafting(self, shape: TreeShape) -> float:
        """Cost of proposing a tree."""
        first, further = self.draft[shape.top_k]
        return first + further * (shape.depth - 1)


@dataclass(frozen=True, slots=True)
class _Stopwatch:
    """Times passes as they will run.

    repeats: how often at least, where it does not take too long.
    """

    steps: Steps
    device: torch.device
    repeats: int

    def least_ms(self, key: Hashable | None, run: Callable[[], None]) -> float:
        """Return the least milliseconds of some runs: more of short ones, fewer of long ones.

        key: of the run as a step; None: it takes steps of its own.
        """

        def once() -> float:
            start = time.perf_counter()
            run() if key is None else self.steps.run(key, run)
            if self.device.type == 'cuda':
                torch.cuda.synchronize(self.device)
            return (time.perf_counter() - start) * 1e3

        once()
        taken = [once(), once()]
        while sum(taken) < (_ENOUGH_MS if len(taken) >= self.repeats else _TOO_LONG_MS):
            taken.append(once())
        return min(taken)


@torch.inference_mode()
def measure_costs(
    target: LanguageModel,
    drafter: DraftModel,
    prompt: torch.Tensor,
    *,
    steps: Steps | None = None,
    repeats: int = 9,
) -> Costs:
    """Time the target's and the drafter's passes behind a prompt of typical length.

    Args:
        target: the language model.
        drafter: the draft model.
        prompt: (1, S, H); its content does not matter.
        steps: how passes will run, for nothing else is worth measuring; plainly by default.
        repeats: the least of as many is taken: whatever disturbs only adds.
    """
    device, length, steps = prompt.device, prompt.shape[1], steps or Eager()
    root = torch.zeros(1, dtype=torch.int64, device=device)
    context = target.embed(root)[None]
    cache = target.new_cache(length + max(_VERIFIED))
    watch = _Stopwatch(steps, device, repeats)

    def time_verify(tokens: int) -> float:
        ids = torch.zeros(tokens, dtype=torch.int64, device=device)
        tree = DraftTree.from_parents(ids, torch.zeros_like(ids), depth=1)

        def run() -> None:
            cache.hold(length)  # empty entries cost as much as real ones
            verify(target, context, tree, cache)

        return watch.least_ms(('verify', tokens), run)

    draft_cache = drafter.new_cache(length + 1 + max(_WIDTHS) * max(_DEPTHS))
    read = prompt if drafter.window is None else prompt[:, -drafter.window :]
    chain = TreeShape(1, 1, 1)

    def time_draft(shape: TreeShape) -> float:
        drafting = Drafting(drafter, target, ids=None, cache=draft_cache)
        drafting.propose(read, read, root, shape=chain, spacing=[0])
        held = draft_cache.length

        def run() -> None:
            draft_cache.hold(held)
            spacing = [0] * shape.depth
            drafting.propose(context, context, root, shape=shape, spacing=spacing)

        return watch.least_ms(('draft', shape), run)

    def draft_over_prompt() -> None:
        drafting = Drafting(drafter, target, ids=None, cache=draft_cache)
        drafting.propose(read, read, root, shape=chain, spacing=[0])

    def time_prefill(outputs: int) -> float:
        def run() -> None:
            cache.hold(0)
            generate.prefill(target, prompt, room=0, cache=cache, outputs=outputs)

        return watch.least_ms(('prefill', outputs), run)

    draft = {}
    for top_k in _WIDTHS:
        short, long = (time_draft(TreeShape(top_k, d, top_k * d)) for d in _DEPTHS)
        further = max(0.0, (long - short) / (_DEPTHS[1] - _DEPTHS[0]))
        draft[top_k] = (short, further)
    over_prompt = watch.least_ms('read', draft_over_prompt)
    verifying = {n: time_verify(n) for n in _VERIFIED}
    with_features, without = time_prefill(read.shape[1]), time_prefill(1)
    costs = Costs(
        verify=verifying,
        draft=draft,
        features=max(0.0, with_features - without),
        draft_prefill=max(0.0, over_prompt - draft[1][0]),
        guess=_guess_costs(target, prompt, watch),
    )
    watch = replace(watch, repeats=2 * repeats)
    return replace(costs, round=_round_overhead(target, drafter, prompt, costs, watch))


def _guess_costs(
    target: LanguageModel, prompt: torch.Tensor, watch: _Stopwatch
) -> tuple[float, float]:
    """Measure what guesses verified inside the prefill cost: any, and each."""
    few, many = _GUESSES
    cache = target.new_cache(prompt.shape[1] + many)
    made_up = np.arange(18).reshape(3, 6)
    rates = np.full(made_up.shape, 0.5)

    def time_prefill(guesses: int) -> float:
        tree = guess_tree(made_up, rates, spacing=[0] * 6, nodes=guesses).to(prompt.device)

        def run() -> None:
            cache.hold(0)
            verify(target, prompt, tree, cache, features=1)

        return watch.least_ms(('prefill with guesses', guesses), run)

    def alone() -> None:
        cache.hold(0)
        generate.prefill(target, prompt, room=0, cache=cache, outputs=1)

    without, with_few, with_many = (
        watch.least_ms('prefill without guesses', alone),
        time_prefill(few),
        time_prefill(many),
    )
    each = max(0.0, (with_many - with_few) / (many - few))
    return max(0.0, with_few - few * each - without), each


def _round_overhead(
    target: LanguageModel,
    drafter: DraftModel,
    prompt: torch.Tensor,
    costs: Costs,
    watch: _Stopwatch,
) -> float:
    """Measure what the rounds of a whole action take beyond their passes."""
    settings = SpeculativeSettings(
        max_distance=(0,) * _TOKENS,
        action_ids=range(0),
        shape=TreeShape(1, 1, 1),
        draft_all_ids=True,
    )
    passes = 0
    room = room_needed(padded_length(prompt.shape[1], watch.steps), settings, guessed=1)
    cache, draft_cache = target.new_cache(room), drafter.new_cache(room)

    def action() -> None:
        nonlocal passes
        stats = speculative_generate(
            target,
            drafter,
            prompt,
            settings=settings,
            cache=cache,
            draft_cache=draft_cache,
            steps=watch.steps,
        ).stats
        passes = stats.target_passes

    def prefill() -> None:
        cache.hide(None)
        hidden, _ = generate.prefill(target, prompt, room=0, cache=cache, outputs=1)
        greedy(target.logits(hidden))

    whole = watch.least_ms(None, action)
    first = watch.least_ms('first token', prefill)
    drafts = costs.of_reading + (passes - 1) * costs.of_drafting(settings.shape.largest)
    spent = first + drafts + (passes - 1) * costs.of_verifying(2)
    return max(0.0, (whole - spent) / (passes - 1))
