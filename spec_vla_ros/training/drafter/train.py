# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Trains a drafter on the features of its frozen target (Spec-VLA, arXiv 2507.22424)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from spec_vla_ros.models.drafter import Drafter
from spec_vla_ros.models.llama import Llama
from spec_vla_ros.training.drafter.curve import CurvePoint
from spec_vla_ros.training.drafter.data import TargetFeatures
from spec_vla_ros.training.drafter.loss import SCORE_WEIGHT, drafter_loss
from spec_vla_ros.training.drafter.validation import DrafterValidation, validate_drafter
from spec_vla_ros.training.loop import LoopSettings, train

if TYPE_CHECKING:
    from accelerate import Accelerator

_VALIDATED = 512


@dataclass(frozen=True, slots=True)
class DrafterHyperparameters:
    """How a drafter is trained.

    settings: see `LoopSettings`.
    batch: examples per iteration, over all processes.
    rollout: steps of prediction; those after the first read the drafter's own predictions.
    noise: half the width of the uniform noise that is added to the target's features, in units of
        the features' standard deviation.
    score_weight: weight of the cross-entropy; that of the feature loss is 1 (in the paper: 0.1).
    validation_share: share of the episodes that are held out for validation.
    seed: of the batches and the noise.
    """

    settings: LoopSettings = LoopSettings(  # noqa: RUF009 - frozen
        iterations=6000, learning_rate=1e-3, weight_decay=0.01, ema_decay=0.998
    )
    batch: int = 64
    rollout: int = 3
    noise: float = 0.1
    score_weight: float = SCORE_WEIGHT
    validation_share: float = 0.05
    seed: int = 0


def train_drafter(
    drafter: Drafter,
    target: Llama,
    features: TargetFeatures,
    *,
    hyperparameters: DrafterHyperparameters,
    checkpoint: Path,
    report: Callable[[str], None],
    record: Callable[[CurvePoint], None] | None = None,
    action_ids: range | None = None,
    accelerator: Accelerator | None = None,
) -> DrafterValidation:
    """Train a drafter in place, and return how good it is on the held-out episodes.

    Args:
        drafter: the drafter, on the device for training.
        target: gives embedding and head, on the drafter's device; its layers are not run.
        features: the examples, on the CPU.
        hyperparameters: how to train.
        checkpoint: file of the training's state, see `training.loop.train`.
        report: called with a line at every validation.
        record: called with the figures of every validation.
        action_ids: the ids from which drafts are chosen in the validation; None for all.
        accelerator: given if several processes train together, each on its part of every batch.

    Raises:
        ValueError: there are too few episodes to hold some out, or the batch cannot be split.
    """
    training, validation = _split(features, share=hyperparameters.validation_share)
    device = drafter.fc.weight.device
    rank, processes = 0, 1
    if accelerator is not None:
        rank, processes = accelerator.process_index, accelerator.num_processes
    if hyperparameters.batch % processes:
        raise ValueError(
            f'a batch of {hyperparameters.batch} cannot be split over {processes} processes'
        )

    def loss_at(iteration: int) -> Tensor:
        seed = hyperparameters.seed * 1_000_003 + iteration
        generator = torch.Generator().manual_seed(seed)
        index = torch.randint(len(training), (hyperparameters.batch,), generator=generator)
        if rank:  # each process draws the same batch, but its own noise
            generator.manual_seed(seed + rank * 2**40)
        return drafter_loss(
            drafter,
            target,
            features.select(training[index[rank::processes]]).to(device),
            rollout=hyperparameters.rollout,
            score_weight=hyperparameters.score_weight,
            noise=hyperparameters.noise,
            generator=generator,
        )

    def keep(iteration: int, loss: float, found: DrafterValidation) -> None:
        if record is not None:
            point = CurvePoint(iteration, loss, found.loss, found.exact, found.accept_lengths)
            record(point)

    def validate() -> DrafterValidation:
        return validate_drafter(
            drafter, target, validation, batch=hyperparameters.batch, action_ids=action_ids
        )

    train(
        drafter,
        loss_at,
        settings=hyperparameters.settings,
        checkpoint=checkpoint,
        validate=validate,
        report=report,
        record=keep,
        accelerator=accelerator,
    )
    return validate()


def _split(features: TargetFeatures, *, share: float) -> tuple[Tensor, TargetFeatures]:
    """Return the indices to train on, and the examples of the held-out episodes."""
    episodes, number = features.episodes.unique(return_inverse=True)
    if len(episodes) < 2:
        raise ValueError(
            'the features are of one episode only, and whole episodes are held out for '
            'validation: record several'
        )
    held_out = number % round(1 / share) == 0
    (validation,) = torch.nonzero(held_out, as_tuple=True)
    spread = torch.linspace(0, len(validation) - 1, min(_VALIDATED, len(validation))).long()
    return torch.nonzero(~held_out)[:, 0], features.select(validation[spread])
