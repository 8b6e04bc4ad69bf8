# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Train a drafter on the features of its frozen target (Spec-VLA, arXiv 2507.22424).

The loss is the paper's: smooth L1 on the predicted feature, and cross-entropy of the predicted
scores against the target's. It is taken where drafts are made, at the action tokens, with the full
causal mask that inference has. Since a draft continues on the drafter's own predictions, training
does too: each further step reads the features that the step before predicted (HASS, arXiv
2408.15766).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from spec_vla_ros.models.drafter import Drafter
from spec_vla_ros.models.llama import Llama
from spec_vla_ros.training.drafter_data import TargetFeatures
from spec_vla_ros.training.loop import LoopSettings, train

_FEATURE_WEIGHT = 1.0
_SCORE_WEIGHT = 0.1


@dataclass(frozen=True, slots=True)
class DrafterRecipe:
    """How a drafter is trained.

    rollout: steps on the drafter's own predictions, 1 for none beyond the first.
    noise: half width of the uniform noise added to the target's features, in units of the
        features' own spread.
    score_weight: of the cross-entropy, beside 1 for the feature loss (the paper's is 0.1).
    """

    settings: LoopSettings = LoopSettings(  # noqa: RUF009 - frozen
        iterations=6000, learning_rate=1e-3, weight_decay=0.01, ema_decay=0.998
    )
    batch: int = 64
    rollout: int = 3
    noise: float = 0.1
    score_weight: float = _SCORE_WEIGHT
    validation_share: float = 0.05
    seed: int = 0


def drafter_loss(
    drafter: Drafter,
    target: Llama,
    batch: TargetFeatures,
    *,
    rollout: int,
    score_weight: float,
    noise: float = 0.0,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Return the mean loss over the supervised positions and the rollout's steps."""
    embeds, hidden = batch.embeds.float(), batch.hidden.float()
    following, wanted = embeds[:, 1:], hidden[:, 1:]
    drafted = _drafted(batch, length=following.shape[1])
    positions = torch.arange(following.shape[1], device=embeds.device)
    with torch.no_grad():
        scores = target.logits(wanted[drafted]).softmax(-1)
    features = hidden[:, :-1]
    if noise:
        shake = torch.rand(features.shape, generator=generator, device=features.device) - 0.5
        features = features + 2 * noise * features.std() * shake
    total = torch.zeros((), device=embeds.device)
    for _ in range(rollout):
        predicted = drafter(following, features, positions=positions)
        made = predicted[drafted]
        feature_loss = F.smooth_l1_loss(made, wanted[drafted])
        score_loss = -(scores * target.logits(made).log_softmax(-1)).sum(-1).mean()
        total = total + _FEATURE_WEIGHT * feature_loss + score_weight * score_loss
        # Position i reads what was predicted for it at i - 1, wherever that was drafted.
        shifted = torch.cat((features[:, :1], predicted[:, :-1]), dim=1)
        own = F.pad(drafted[:, :-1], (1, 0))
        features = torch.where(own[..., None], shifted, features)
    return total / rollout


@torch.inference_mode()
def draft_accuracy(drafter: Drafter, target: Llama, batch: TargetFeatures) -> Tensor:
    """Return how often each draft token, on true features, is the target's choice: (D - 1,)."""
    embeds, hidden = batch.embeds.float(), batch.hidden.float()
    following = embeds[:, 1:]
    positions = torch.arange(following.shape[1], device=embeds.device)
    predicted = drafter(following, hidden[:, :-1], positions=positions)
    made = predicted[_drafted(batch, length=following.shape[1])]
    count = batch.tokens.shape[1] - 1
    chosen = target.logits(made).argmax(-1).view(-1, count)
    return (chosen == batch.tokens[:, 1:].to(chosen.device)).float().mean(0)


def train_drafter(
    drafter: Drafter,
    target: Llama,
    features: TargetFeatures,
    *,
    recipe: DrafterRecipe,
    checkpoint: Path,
    report: Callable[[str], None],
) -> None:
    """Train the drafter in place; whole episodes are held out for validation."""
    held_out = features.episodes % round(1 / recipe.validation_share) == 0
    training = torch.nonzero(~held_out)[:, 0]
    validation = features.select(torch.nonzero(held_out)[:512, 0])
    if not len(training) or not len(validation):
        raise ValueError('too few episodes to hold some out: record more than 20 of them')

    def loss_at(iteration: int) -> Tensor:
        generator = torch.Generator().manual_seed(recipe.seed * 1_000_003 + iteration)
        index = torch.randint(len(training), (recipe.batch,), generator=generator)
        return drafter_loss(
            drafter,
            target,
            features.select(training[index]),
            rollout=recipe.rollout,
            score_weight=recipe.score_weight,
            noise=recipe.noise,
            generator=generator,
        )

    @torch.inference_mode()
    def validate() -> str:
        loss = drafter_loss(drafter, target, validation, rollout=1, score_weight=_SCORE_WEIGHT)
        accuracy = draft_accuracy(drafter, target, validation)
        return f'validation {loss:.4f} exact ' + ' '.join(f'{a:.2f}' for a in accuracy)

    train(
        drafter,
        loss_at,
        settings=recipe.settings,
        checkpoint=checkpoint,
        validate=validate,
        report=report,
    )


def _drafted(batch: TargetFeatures, *, length: int) -> Tensor:
    """Mark the positions (N, length) whose prediction stands for an action token's feature."""
    place = torch.arange(length)
    first = batch.lengths[:, None] - 1
    return (place >= first) & (place < first + batch.tokens.shape[1] - 1)
