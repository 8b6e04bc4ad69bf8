# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The passes whose costs decide about draft trees, ready to be run again and again.

Each works on caches of its own making, made once: a recorded pass goes on using them.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import partial

import numpy as np
import torch

from spec_vla_ros.decoding import generate
from spec_vla_ros.decoding.draft_tree import DraftTree, TreeShape
from spec_vla_ros.decoding.drafting import Drafting, DraftModel
from spec_vla_ros.decoding.generate import LanguageModel, greedy, padded_length
from spec_vla_ros.decoding.guess_tree import guess_tree
from spec_vla_ros.decoding.speculative import speculative_generate
from spec_vla_ros.decoding.speculative_settings import SpeculativeSettings, room_needed
from spec_vla_ros.decoding.steps import Steps
from spec_vla_ros.decoding.verifying import verify

VERIFIED = (1, 2, 4, 8, 16, 32, 50)
WIDTHS = (1, 2, 4, 8)
DEPTHS = (1, 3)
GUESSES = (8, 24)
"""Tokens of a verification, widths and depths of a tree, guesses inside a prefill."""

_TOKENS = 7  # of an action

Passes = dict[str | tuple[str, Hashable], Callable[[], object]]
"""Passes by the key of their step."""


def target_passes(target: LanguageModel, drafter: DraftModel, prompt: torch.Tensor) -> Passes:
    """Verifications of so many tokens, and prefills."""
    device, length = prompt.device, prompt.shape[1]
    context = target.embed(torch.zeros(1, dtype=torch.int64, device=device))[None]
    cache = target.new_cache(length + max(VERIFIED))
    features = length if drafter.window is None else min(length, drafter.window)

    def verifying(tokens: int) -> Callable[[], None]:
        ids = torch.zeros(tokens, dtype=torch.int64, device=device)
        tree = DraftTree.from_parents(ids, torch.zeros_like(ids), depth=1)

        def run() -> None:
            cache.hold(length)  # empty entries cost as much as real ones
            verify(target, context, tree, cache)

        return run

    def prefilling(outputs: int) -> torch.Tensor:
        cache.hold(0)
        hidden, _ = generate.prefill(target, prompt, room=0, cache=cache, outputs=outputs)
        return hidden

    return {
        **{('verify', n): verifying(n) for n in VERIFIED},
        'prefill with features': partial(prefilling, features),
        'prefill': partial(prefilling, 1),
        'first token': lambda: greedy(target.logits(prefilling(1))),
    }


def drafter_passes(target: LanguageModel, drafter: DraftModel, prompt: torch.Tensor) -> Passes:
    """Draft trees of two depths and every width, and the pass over what is read of the prompt."""
    root = torch.zeros(1, dtype=torch.int64, device=prompt.device)
    context = target.embed(root)[None]
    cache = drafter.new_cache(prompt.shape[1] + 1 + max(WIDTHS) * max(DEPTHS))
    read = prompt if drafter.window is None else prompt[:, -drafter.window :]
    chain = TreeShape(1, 1, 1)

    def reading() -> Drafting:
        drafting = Drafting(drafter, target, ids=None, cache=cache)
        drafting.propose(read, read, root, shape=chain, spacing=[0])
        return drafting

    def proposing(shape: TreeShape) -> Callable[[], None]:
        drafting = reading()
        held = cache.length

        def run() -> None:
            cache.hold(held)
            drafting.propose(context, context, root, shape=shape, spacing=[0] * shape.depth)

        return run

    shapes = [TreeShape(k, depth, k * depth) for k in WIDTHS for depth in DEPTHS]
    return {
        **{('draft', (shape.top_k, shape.depth)): proposing(shape) for shape in shapes},
        'read': reading,
    }


def guess_passes(target: LanguageModel, prompt: torch.Tensor) -> Passes:
    """Prefills that verify so many guesses."""
    cache = target.new_cache(prompt.shape[1] + max(GUESSES))
    made_up = np.arange(18).reshape(3, 6)
    rates = np.full(made_up.shape, 0.5)

    def guessing(guesses: int) -> Callable[[], None]:
        tree = guess_tree(made_up, rates, spacing=[0] * 6, nodes=guesses).to(prompt.device)

        def run() -> None:
            cache.hold(0)
            verify(target, prompt, tree, cache, features=1)

        return run

    return {('prefill with guesses', n): guessing(n) for n in GUESSES}


class WholeAction:
    """A whole action drafted in chains of one, to find what rounds take beyond their passes."""

    shape = TreeShape(1, 1, 1)

    def __init__(
        self, target: LanguageModel, drafter: DraftModel, prompt: torch.Tensor, steps: Steps
    ) -> None:
        self._models, self._prompt, self._steps = (target, drafter), prompt, steps
        self._settings = SpeculativeSettings(
            max_distance=(0,) * _TOKENS,
            action_ids=range(0),
            shape=self.shape,
            draft_all_ids=True,
        )
        room = room_needed(padded_length(prompt.shape[1], steps), self._settings, guessed=1)
        self._caches = (target.new_cache(room), drafter.new_cache(room))
        self.rounds = 0

    def __call__(self) -> None:
        """Decode it."""
        cache, draft_cache = self._caches
        stats = speculative_generate(
            *self._models,
            self._prompt,
            settings=self._settings,
            cache=cache,
            draft_cache=draft_cache,
            steps=self._steps,
        ).stats
        self.rounds = stats.target_passes - 1
