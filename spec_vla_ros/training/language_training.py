# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Second stage of training: behaviour cloning of the projector and the language model.

The vision towers are frozen. The model learns action tokens from prompts as in inference.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from spec_vla_ros.action_codec import ActionCodec
from spec_vla_ros.models.openvla import OpenVLA
from spec_vla_ros.training.frames import Frames
from spec_vla_ros.training.loop import LoopSettings, train
from spec_vla_ros.training.packed_policy import PackedPolicy
from spec_vla_ros.training.vision_pretraining import (
    BATCH,
    VALIDATION_SHARE,
    scene_batch,
    spread_index,
    to_pixels,
)


@dataclass(frozen=True, slots=True)
class CachedFrames:
    """Frames with the features of the frozen towers instead of images.

    features: (N, P, D) float16, of the image's patches.
    instructions: (N, K) int64, see `Frames`.
    tokens: (N, K, A) int64, the expert's action tokens.
    goals: (N, K, 6 + T) float32, the expert's motion and where the thing is, see `scene_batch`.
    held_out: how many of the first frames, whole episodes, are for validation.
    """

    features: np.ndarray
    instructions: np.ndarray
    tokens: np.ndarray
    goals: np.ndarray
    held_out: int

    @classmethod
    @torch.inference_mode()
    def compute(
        cls, model: OpenVLA, frames: Frames, codec: ActionCodec, *, full_speed: np.ndarray
    ) -> CachedFrames:
        """Run the towers over all frames.

        full_speed: see `scene_batch`.
        """
        parts = [
            model.vision_backbone(to_pixels(frames.images[i : i + 256], device=model.device))
            .half()
            .cpu()
            .numpy()
            for i in range(0, len(frames), 256)
        ]
        labels = scene_batch(frames, np.arange(len(frames)), full_speed=full_speed)
        middle = frames.episodes[int(VALIDATION_SHARE * len(frames))]
        return cls(
            features=np.concatenate(parts),
            instructions=frames.instructions,
            tokens=codec.encode(frames.actions),
            goals=torch.cat((labels['moves'], labels['things']), -1).numpy(),
            held_out=max(1, int(np.argmax(frames.episodes == middle))),
        )

    def batch(
        self, index: np.ndarray, *, device: torch.device
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return features (B, P, D), instructions (B, K), tokens (B, K, A), goals (B, K, G)."""
        arrays = (self.features, self.instructions, self.tokens, self.goals)
        features, instructions, tokens, goals = (
            torch.from_numpy(a[index]).to(device) for a in arrays
        )
        return features.float(), instructions, tokens, goals


def train_language(
    policy: PackedPolicy,
    frames: CachedFrames,
    *,
    goal_weight: float,
    swapped: float,
    settings: LoopSettings,
    seed: int,
    checkpoint: Path,
    report: Callable[[str], None],
) -> None:
    """Train the projector and the language model in place.

    goal_weight: weight of the regression of goals at the beginning; it falls to 0 by half of the
        iterations. Action tokens alone teach slowly which patches a thing's name refers to: only
        the first token needs it, since the later ones can be told from the first.
    swapped: share of the instructions for which the model reads another instruction's action
        tokens, but must predict its own. So each dimension is learned from the words, not from
        the tokens before. Has no effect on frames with one instruction.
    settings: of the loop.
    seed: draws the batches.
    checkpoint: state file, see `train`.
    report: called with a line of progress at every save.
    """
    device = policy.text.device

    def loss_at(iteration: int) -> Tensor:
        rng = np.random.default_rng((seed, iteration))
        index = rng.integers(frames.held_out, len(frames.features), BATCH)
        features, instructions, tokens, goals = frames.batch(index, device=device)
        read = frames.tokens[index]
        others = rng.random(read.shape[:2]) < swapped
        read[others] = np.roll(read, rng.integers(1, max(2, read.shape[1])), axis=1)[others]
        logits, found = policy(features, instructions, torch.from_numpy(read).to(device))
        weight = goal_weight * max(0.0, 1.0 - 2.0 * iteration / settings.iterations)
        return policy.loss(logits, tokens) + weight * F.smooth_l1_loss(found, goals, beta=0.1)

    @torch.inference_mode()
    def validate() -> str:
        features, instructions, tokens, goals = frames.batch(
            spread_index(frames.held_out), device=device
        )
        logits, found = policy(features, instructions, tokens)
        error = (logits.argmax(-1) - tokens).abs().float().mean((0, 1))
        bins = ' '.join(f'{e:.1f}' for e in error)
        goal_loss = F.smooth_l1_loss(found, goals, beta=0.1)
        return (
            f'validation {policy.loss(logits, tokens):.4f} goals {goal_loss:.4f} bins off {bins}'
        )

    train(
        policy,
        loss_at,
        settings=settings,
        checkpoint=checkpoint,
        validate=validate,
        report=report,
    )
