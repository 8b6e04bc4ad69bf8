# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""What drafting and verifying cost on this device: milliseconds, measured at warm-up.

Verifying n tokens costs one pass, but not the same pass everywhere: on a large GPU 50 tokens cost
hardly more than one, on a CPU almost 50 times as much.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch

from spec_vla_ros.decoding.draft_tree import TreeShape
from spec_vla_ros.decoding.drafting import DraftModel
from spec_vla_ros.decoding.generate import LanguageModel
from spec_vla_ros.decoding.steps import Eager, Steps
from spec_vla_ros.decoding.timed_passes import (
    DEPTHS,
    GUESSES,
    VERIFIED,
    WIDTHS,
    Key,
    Passes,
    WholeAction,
    drafter_passes,
    guess_passes,
    target_passes,
)

_ROUNDS = 3
"""How often all passes are timed, one after the other."""
_ENOUGH_MS, _LONG_MS = 8.0, 400.0
"""So long a pass is repeated in a round at least, and at most where it has not been repeated often
enough; one that takes longer is timed in the first round only."""
_WHOLE_ACTION = 'whole action'


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


class _Stopwatch:
    """Times passes as they will run, all in turns.

    A machine that does something else for a moment then slows a little of everything, and not all
    of one pass: what is compared would be wrong.

    Args:
        steps: how passes run.
        device: where.
        repeats: how often at least, where it does not take too long.
    """

    def __init__(self, steps: Steps, device: torch.device, repeats: int) -> None:
        self.steps = steps
        self._device, self._repeats = device, -(-repeats // _ROUNDS)

    def least_ms(self, passes: Passes) -> dict[Key, float]:
        """Return the least milliseconds of each pass: of more runs where it is short.

        passes: by the key of its step; `_WHOLE_ACTION` takes steps of its own.
        """
        least: dict[Key, float] = {}
        for _ in range(_ROUNDS):
            for key, run in passes.items():
                if least.get(key, 0.0) < _LONG_MS:
                    taken = self._some(key, run)
                    least[key] = min(taken, least.get(key, taken))
        return least

    def _some(self, key: Key, run: Callable[[], object]) -> float:
        def once() -> float:
            start = time.perf_counter()
            run() if key == _WHOLE_ACTION else self.steps.run(key, run)
            if self._device.type == 'cuda':
                torch.cuda.synchronize(self._device)
            return (time.perf_counter() - start) * 1e3

        once()
        taken = [once(), once()]
        while sum(taken) < (_ENOUGH_MS if len(taken) >= self._repeats else _LONG_MS):
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
    steps = steps or Eager()
    action = WholeAction(target, drafter, prompt, steps)
    least = _Stopwatch(steps, prompt.device, repeats).least_ms(
        {
            **target_passes(target, drafter, prompt),
            **drafter_passes(target, drafter, prompt),
            **guess_passes(target, prompt),
            _WHOLE_ACTION: action,
        }
    )
    draft = {}
    for top_k in WIDTHS:
        short, long = (least['draft', (top_k, depth)] for depth in DEPTHS)
        draft[top_k] = (short, max(0.0, (long - short) / (DEPTHS[1] - DEPTHS[0])))
    few, many = GUESSES
    with_few, with_many = (least['prefill with guesses', n] for n in GUESSES)
    each = max(0.0, (with_many - with_few) / (many - few))
    costs = Costs(
        verify={n: least['verify', n] for n in VERIFIED},
        draft=draft,
        features=max(0.0, least['prefill with features'] - least['prefill']),
        draft_prefill=max(0.0, least['read'] - draft[1][0]),
        guess=(max(0.0, with_few - few * each - least['prefill']), each),
    )
    spent = least['first token'] + costs.of_reading
    spent += action.rounds * (costs.of_drafting(action.shape) + costs.of_verifying(2))
    return replace(costs, round=max(0.0, (least[_WHOLE_ACTION] - spent) / action.rounds))
