# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""What drafting and verifying cost on this device: milliseconds, measured at warm-up.

Verifying n tokens costs one pass, but not the same pass everywhere: on a large GPU 50 tokens cost
hardly more than one, on a CPU almost 50 times as much.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch

from spec_vla_ros.decoding.draft_tree import TreeShape
from spec_vla_ros.decoding.drafting import DraftModel
from spec_vla_ros.decoding.generate import LanguageModel
from spec_vla_ros.decoding.steps import Eager, Steps
from spec_vla_ros.decoding.stopwatch import least_ms
from spec_vla_ros.decoding.timed_passes import (
    DEPTHS,
    GUESSES,
    VERIFIED,
    WIDTHS,
    WholeAction,
    drafter_passes,
    guess_passes,
    target_passes,
)

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
        repeats: see `least_ms`.
    """
    steps = steps or Eager()
    action = WholeAction(target, drafter, prompt, steps)
    passes = {
        **target_passes(target, drafter, prompt),
        **drafter_passes(target, drafter, prompt),
        **guess_passes(target, prompt),
    }
    runs = {key: partial(steps.run, key, run) for key, run in passes.items()}
    runs[_WHOLE_ACTION] = action  # takes steps of its own
    least = least_ms(runs, device=prompt.device, repeats=repeats)
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
