# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The loss with which a drafter is trained.

It is that of Spec-VLA (arXiv 2507.22424): smooth L1 of the predicted features, and cross-entropy
of the predicted scores against the target's. It is computed where drafts are made, at the action
tokens, with the full causal mask of inference. Since a draft continues on the drafter's own
predictions, so does training: each further step reads the features that the previous step
predicted (HASS, arXiv 2408.15766).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from spec_vla_ros.models.drafter import Drafter
from spec_vla_ros.models.llama import Llama
from spec_vla_ros.training.drafter.data import TargetFeatures

SCORE_WEIGHT = 0.1
"""Weight of the cross-entropy in the paper."""
_FEATURE_WEIGHT = 1.0


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
    """Return the mean loss over the drafted positions and the steps of the rollout.

    Args:
        drafter: the drafter.
        target: gives the head.
        batch: examples on the drafter's device.
        rollout: steps of prediction, see `DrafterHyperparameters`.
        score_weight: weight of the cross-entropy.
        noise: half the width of the noise on features, in their standard deviations.
        generator: of the noise, on the CPU.
    """
    batch = batch.end_of_prompt(drafter.window)
    embeds, hidden = batch.embeds.float(), batch.hidden.float()
    following, wanted = embeds[:, 1:], hidden[:, 1:]
    drafted = _drafted(batch, length=following.shape[1])
    positions = torch.arange(following.shape[1], device=embeds.device)
    with torch.no_grad():
        scores = target.logits(wanted[drafted]).softmax(-1)
    features = hidden[:, :-1]
    if noise:
        shake = torch.rand(features.shape, generator=generator) - 0.5  # on the CPU on every device
        features = features + 2 * noise * features.std() * shake.to(features.device)
    total = torch.zeros((), device=embeds.device)
    for _ in range(rollout):
        predicted = drafter(following, features, positions=positions)
        made = predicted[drafted]
        feature_loss = F.smooth_l1_loss(made, wanted[drafted])
        score_loss = -(scores * target.logits(made).log_softmax(-1)).sum(-1).mean()
        total = total + _FEATURE_WEIGHT * feature_loss + score_weight * score_loss
        features = _on_own(predicted, features, drafted)
    return total / rollout


@torch.inference_mode()
def draft_scores(
    drafter: Drafter, target: Llama, batch: TargetFeatures, *, level: int = 1
) -> Tensor:
    """Return the drafter's scores for all tokens but the first, (N, D - 1, V).

    At the first level of a draft tree, the drafter reads only the target's own features. At level
    n, the last n - 1 features are its own predictions (or fewer, for tokens near the prompt).
    """
    batch = batch.end_of_prompt(drafter.window)
    embeds, features = batch.embeds.float(), batch.hidden.float()[:, :-1]
    following = embeds[:, 1:]
    positions = torch.arange(following.shape[1], device=embeds.device)
    drafted = _drafted(batch, length=following.shape[1])
    for _ in range(level - 1):
        features = _on_own(drafter(following, features, positions=positions), features, drafted)
    made = drafter(following, features, positions=positions)[drafted]
    return target.logits(made).view(len(batch), batch.tokens.shape[1] - 1, -1)


def _on_own(predicted: Tensor, features: Tensor, drafted: Tensor) -> Tensor:
    """Replace the feature of position i by the one predicted at i - 1, where that was drafted."""
    shifted = torch.cat((features[:, :1], predicted[:, :-1]), dim=1)
    own = F.pad(drafted[:, :-1], (1, 0))
    return torch.where(own[..., None], shifted, features)


def _drafted(batch: TargetFeatures, *, length: int) -> Tensor:
    """Return where the feature of an action token is predicted, (N, length) bool."""
    place = torch.arange(length, device=batch.lengths.device)
    first = batch.lengths[:, None] - 1
    return (place >= first) & (place < first + batch.tokens.shape[1] - 1)
