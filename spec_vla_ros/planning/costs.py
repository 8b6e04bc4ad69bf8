# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Measures at warm-up how long drafting and verifying take on this device.

Verifying n tokens takes one pass, whose time depends on the device: on a large GPU a pass over 50
tokens takes hardly longer than one over a single token, on a CPU almost 50 times as long.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from spec_vla_ros.decoding.acceptance import exact_match
from spec_vla_ros.decoding.draft_tree import DraftTree, TreeShape
from spec_vla_ros.decoding.drafting import TreeDrafter
from spec_vla_ros.decoding.generate import (
    Decoded,
    FixedCount,
    LanguageModel,
    Run,
    StopRule,
    autoregressive_generate,
    call_step,
    prefill,
)
from spec_vla_ros.decoding.speculative import speculative_generate, verify
from spec_vla_ros.device import least_ms
from spec_vla_ros.planning.rates import WIDTHS

_VERIFIED = (1, 2, 4, 8, 16, 32, 50)  # numbers of tokens in a verification that are timed
_DEPTHS = (1, 3)  # depths of a draft tree that are timed
_GUESSES = (8, 24)  # numbers of guesses inside a prefill that are timed

_TOKENS = 7  # of an action
_CHAIN = TreeShape(1, 1, 1)


@dataclass(frozen=True, slots=True)
class Costs:
    """Times on one device, milliseconds.

    verify: tokens in one pass of the target, root included -> its time.
    draft: top_k -> time of a tree's first level, and of each further level.
    features: how much longer a prefill takes if it returns the features that the drafter reads.
    draft_prefill: the drafter's pass over the prompt, once before its first tree.
    round: a round's time outside its passes: building the tree, acceptance, committing.
    guess: how much longer a prefill takes with any guesses at all, and with each one of them.
    """

    verify: Mapping[int, float]
    draft: Mapping[int, tuple[float, float]]
    features: float = 0.0
    draft_prefill: float = 0.0
    round: float = 0.0
    guess: tuple[float, float] = (0.0, 0.0)

    def of_verifying(self, tokens: int) -> float:
        """Return the time of a pass over some tokens, interpolated."""
        known = sorted(self.verify)
        return float(np.interp(tokens, known, [self.verify[n] for n in known]))

    @property
    def of_reading(self) -> float:
        """What the drafter's reading of the prompt takes, once for each action."""
        return self.features + self.draft_prefill

    def of_drafting(self, shape: TreeShape) -> float:
        """Return the time of proposing a tree."""
        first, further = self.draft[shape.top_k]
        return first + further * (shape.depth - 1)


@torch.inference_mode()
def measure_costs(
    target: LanguageModel,
    drafter: TreeDrafter,
    prompt: Tensor,
    *,
    run: Run = call_step,
    generate: Callable[..., Decoded] = speculative_generate,
    repeats: int = 9,
) -> Costs:
    """Time the target's and the drafter's passes after a prompt of typical length.

    Args:
        target: the language model.
        drafter: the drafter.
        prompt: (1, S, H) embeddings; their values do not matter.
        run: runs each pass, in the way it will be run later.
        generate: decodes whole actions, in the way they will be decoded later.
        repeats: see `least_ms`.
    """
    passes = _TimedPasses(target, drafter, prompt, run, generate)
    least = least_ms(passes.by_name(), device=prompt.device, repeats=repeats)
    draft = {}
    for top_k in WIDTHS:
        short, long = (least['draft', (top_k, depth)] for depth in _DEPTHS)
        draft[top_k] = (short, max(0.0, (long - short) / (_DEPTHS[1] - _DEPTHS[0])))
    few, many = _GUESSES
    without, with_few, with_many = (least['begun with guesses', n] for n in (0, few, many))
    each = max(0.0, (with_many - with_few) / (many - few))
    costs = Costs(
        verify={n: least['verify', n] for n in _VERIFIED},
        draft=draft,
        features=max(0.0, least['prefill with features'] - least['prefill']),
        draft_prefill=max(0.0, least['read'] - draft[1][0]),
        guess=(max(0.0, with_few - few * each - without), each),
    )
    spent = least['first token'] + costs.of_reading
    spent += passes.rounds * (costs.of_drafting(_CHAIN) + costs.of_verifying(2))
    return replace(costs, round=max(0.0, (least['action'] - spent) / passes.rounds))


class _TimedPasses:
    """The passes to time, as functions that can be called repeatedly."""

    def __init__(
        self,
        target: LanguageModel,
        drafter: TreeDrafter,
        prompt: Tensor,
        run: Run,
        generate: Callable[..., Decoded],
    ) -> None:
        self._target, self._drafter, self._prompt = target, drafter.fresh(), prompt
        self._run, self._generate, self._length = run, generate, prompt.shape[1]
        self._cache = target.new_cache(self._length + max(_VERIFIED) + _TOKENS)
        self._root = torch.zeros(1, dtype=torch.int64, device=prompt.device)
        self._context = target.embed(self._root)[None]
        self._accept = exact_match()
        self._whole = (target, drafter.fresh(), prompt)
        self._whole_cache = target.new_cache(0)
        self.rounds = 0  # verify rounds of the latest whole action

    def by_name(self) -> dict[Hashable, Callable[[], object]]:
        """Return the passes: verifications, prefills, drafts, and an action with chains of one."""
        drafter, length = self._drafter, self._length
        drafter.begin(self._prompt, num_tokens=_TOKENS, drafts=True)
        drafter.read(length)  # so that its cache is large enough to be rewound to any length
        shapes = [TreeShape.full(k, depth) for k in WIDTHS for depth in _DEPTHS]
        return {
            **{('verify', n): self._verifying(n) for n in _VERIFIED},
            'prefill with features': partial(self._prefill, drafter.wants(0, length)),
            'prefill': partial(self._prefill, 1),
            'first token': self._first_token,
            **{('draft', (s.top_k, s.depth)): partial(self._draft, s, length) for s in shapes},
            'read': partial(self._draft, _CHAIN, 0),
            **{('begun with guesses', n): self._guessing(n) for n in (0, *_GUESSES)},
            'action': self._action,
        }

    def _verifying(self, tokens: int) -> Callable[[], object]:
        ids = torch.zeros(tokens, dtype=torch.int64, device=self._prompt.device)
        tree = DraftTree.from_parents(ids, torch.zeros_like(ids), depth=1)

        def verifying() -> object:
            self._cache.rewind(self._length)  # entries without content take as long as others
            return self._run('verify', verify, self._target, self._context, tree, self._cache)

        return verifying

    def _prefill(self, outputs: int) -> object:
        self._cache.rewind(0)
        return self._run('prefill', prefill, self._target, self._prompt, self._cache, outputs)

    def _first_token(self) -> object:
        return autoregressive_generate(
            self._target, self._prompt, num_tokens=1, cache=self._cache, run=self._run
        )

    def _draft(self, shape: TreeShape, read: int) -> object:
        """Propose a tree, as if the drafter had read so many tokens of the prompt."""
        self._drafter.rewind(read)
        place = self._length + (read == self._length)
        return self._run('draft', TreeDrafter.propose, self._drafter, self._root, shape, place)

    def _guessing(self, guesses: int) -> Callable[[], object]:
        """Return a prefill with guesses, decoded as whole actions are.

        That counts what a device does to guesses; see `cuda`, which pads their trees.
        """
        parents = [max(0, node - 4) for node in range(1 + guesses)]  # four abreast
        tree = DraftTree.from_lists(range(1 + guesses), parents) if guesses else None
        return partial(self._decode, _only_the_prefill, draft=tree)

    def _action(self) -> None:
        self.rounds = len(self._decode(FixedCount(_TOKENS)).commits) - 1

    def _decode(self, stop: StopRule, **options: Any) -> Decoded:
        return self._generate(
            *self._whole,
            accept=self._accept,
            tree=_CHAIN,
            stop=stop,
            cache=self._whole_cache,
            run=self._run,
            **options,
        )


def _only_the_prefill(tokens: Sequence[int]) -> int:
    """Stop after the first pass, see `StopRule`."""
    return 0 if tokens else _TOKENS
