# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Measures how good a drafter is on prompts that it has not learned from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from spec_vla_ros.decoding.acceptance import exact_match
from spec_vla_ros.decoding.draft_tree import TreeShape, best_apart
from spec_vla_ros.decoding.drafting import TreeDrafter
from spec_vla_ros.decoding.generate import FixedCount
from spec_vla_ros.decoding.speculative import speculative_generate
from spec_vla_ros.evaluation.measures import decoding_figures
from spec_vla_ros.models.drafter import Drafter
from spec_vla_ros.models.llama import Llama
from spec_vla_ros.planning.rates import WIDTHS, RateTable
from spec_vla_ros.training.drafter.data import TargetFeatures
from spec_vla_ros.training.drafter.loss import SCORE_WEIGHT, draft_scores, drafter_loss
from spec_vla_ros.training.drafter.target_head import StoredTarget
from spec_vla_ros.types import STRICT

_DECODED = 32
_THRESHOLDS = (0, 1, 3, 5, 9, 15, 30)
SHAPES = {
    'chain': TreeShape(top_k=1, depth=6, nodes=6),
    'tree of 16': TreeShape(top_k=4, depth=6, nodes=16),
}
"""Tree shapes to measure accept lengths with; levels beyond an action's end are cut off."""


@dataclass(frozen=True, slots=True)
class DrafterValidation:
    """Figures of a drafter on held-out prompts.

    loss: the loss of one step, without noise.
    exact: for each drafted dimension, how often the draft on true features is the target's choice.
    temperature: makes probabilities of the drafter's scores, see `fit_temperature`.
    rates: how often its drafts are accepted, by threshold, width, dimension and level.
    accept_lengths: name of a tree shape -> tokens per verify round, with strict acceptance.
    """

    loss: float
    exact: tuple[float, ...]
    temperature: float
    rates: RateTable
    accept_lengths: Mapping[str, float]

    def __str__(self) -> str:
        exact = ' '.join(f'{rate:.2f}' for rate in self.exact)
        lengths = ', '.join(f'{name} {n:.2f}' for name, n in self.accept_lengths.items())
        return (
            f'validation {self.loss:.4f} exact {exact} temperature {self.temperature:.2f} '
            f'accept length: {lengths}'
        )


@torch.inference_mode()
def validate_drafter(
    drafter: Drafter,
    target: Llama,
    held_out: TargetFeatures,
    *,
    batch: int,
    action_ids: range | None,
) -> DrafterValidation:
    """Measure a drafter; the target's stored features are used, and its layers are not run.

    Args:
        drafter: the drafter.
        target: gives embedding and head.
        held_out: the examples, on the CPU.
        batch: how many examples to compute at once.
        action_ids: the ids from which to draft; None for the whole vocabulary.
    """
    device = drafter.fc.weight.device
    dimensions = held_out.tokens.shape[1]
    loss, exact = 0.0, torch.zeros(dimensions - 1, device=device)
    scores: list[list[Tensor]] = [[] for _ in range(dimensions - 1)]  # of each level
    for index in torch.arange(len(held_out)).split(batch):
        part, share = held_out.select(index).to(device), len(index) / len(held_out)
        loss += (
            share
            * drafter_loss(drafter, target, part, rollout=1, score_weight=SCORE_WEIGHT).item()
        )
        for level, found in enumerate(scores, start=1):
            found.append(draft_scores(drafter, target, part, level=level))
        right = scores[0][-1].argmax(-1) == part.tokens[:, 1:].to(device)
        exact += share * right.float().mean(0)
    by_level = [torch.cat(found) for found in scores]
    wanted = held_out.tokens[:, 1:].to(device)
    temperature = fit_temperature(by_level[0], wanted)
    rates = fit_rates(by_level, wanted, action_ids=action_ids, temperature=temperature)
    chosen = torch.linspace(0, len(held_out) - 1, min(_DECODED, len(held_out))).long()
    decoded = held_out.select(chosen).to(device)
    lengths = {
        name: accept_length(
            drafter,
            target,
            decoded,
            shape=shape,
            action_ids=action_ids,
            temperature=temperature,
        )
        for name, shape in SHAPES.items()
    }
    return DrafterValidation(loss, tuple(exact.tolist()), temperature, rates, lengths)


def fit_temperature(scores: Tensor, chosen: Tensor) -> float:
    """Return the temperature at which the drafter's scores best predict the target's choices.

    Drafters learn the target's soft distribution, but drafts are compared with its greedy choice,
    which is much more certain. The value of a draft tree's branches depends on that certainty.

    Args:
        scores: (N, D, V), the drafter's scores.
        chosen: (N, D) int64, the target's choices.
    """
    temperatures = torch.logspace(-2, 1, 61).tolist()
    flat, wanted = scores.flatten(0, 1), chosen.flatten()
    losses = [F.cross_entropy(flat / t, wanted).item() for t in temperatures]
    return round(min(zip(losses, temperatures, strict=True))[1], 4)


@torch.inference_mode()
def fit_rates(
    by_level: Sequence[Tensor], chosen: Tensor, *, action_ids: range | None, temperature: float
) -> RateTable:
    """Return how often the target's choice is within reach of the drafter's best siblings.

    Args:
        by_level: (N, D - 1, V) for each level, see `draft_scores`.
        chosen: (N, D - 1) int64, the target's choices.
        action_ids: the ids from which to draft; None for the whole vocabulary.
        temperature: divides the scores, see `fit_temperature`.
    """
    ids = action_ids or range(by_level[0].shape[-1])

    def hits(scores: Tensor, width: int, threshold: int) -> Tensor:
        log_probs = (scores[..., ids.start : ids.stop] / temperature).log_softmax(-1)
        _, best = best_apart(log_probs.flatten(0, 1), width, threshold)
        off = (best.view(*chosen.shape, -1) + ids.start - chosen[..., None]).abs().amin(-1)
        return (off <= threshold).float()  # (N, D - 1)

    rates = [[hits(by_level[0], w, r).mean(0).tolist() for w in WIDTHS] for r in _THRESHOLDS]
    levels = []
    for level, scores in enumerate(by_level, start=1):
        deep = slice(level - 1, None)  # the tokens that can be on this level
        found, first = (
            sum(float(hits(s, 1, r)[:, deep].mean()) for r in _THRESHOLDS)
            for s in (scores, by_level[0])
        )
        levels.append(found / max(first, 1e-6))
    return RateTable(_THRESHOLDS, np.array(rates), tuple(max(f, 1e-3) for f in levels))


@torch.inference_mode()
def accept_length(
    drafter: Drafter,
    target: Llama,
    examples: TargetFeatures,
    *,
    shape: TreeShape,
    action_ids: range | None,
    temperature: float,
) -> float:
    """Decode the examples strictly, and return tokens per verify round, as the paper counts.

    NaN for actions of one token, which need no round.
    """
    dimensions = examples.tokens.shape[1]
    stats = []
    for embeds, hidden, length in zip(
        examples.embeds.float(), examples.hidden.float(), examples.lengths.tolist(), strict=True
    ):
        stored = StoredTarget(target, hidden)
        decoded = speculative_generate(
            stored,
            TreeDrafter(drafter, stored, ids=action_ids, temperature=temperature),
            embeds[None, :length],
            accept=exact_match(),
            tree=shape,
            stop=FixedCount(dimensions),
        )
        stats.append(decoded.stats(STRICT))
    found = decoding_figures(stats, dimensions=dimensions).accept_length
    return float('nan') if found is None else found
