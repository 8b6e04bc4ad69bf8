# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""First stage of training: the vision towers and the projector learn to see where things are.

Auxiliary heads, used in this stage only, read the projected patches and predict the gripper's
pose and, for each instruction, where its thing is and what the expert does. Cross-entropy on
action tokens alone would teach this too slowly for training on a CPU.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spec_vla_ros.models.checkpoint import multiplies_bfloat16
from spec_vla_ros.models.openvla import OpenVLA
from spec_vla_ros.training.frames import Frames
from spec_vla_ros.training.loop import LoopSettings, train

BATCH = 64
VALIDATION_SHARE = 0.02


@dataclass(frozen=True, slots=True)
class SceneLosses:
    """Losses of the auxiliary heads, and their weighted sum `total`, which is minimised."""

    total: Tensor
    end_effector: Tensor
    things: Tensor
    actions: Tensor
    gripper: Tensor


class SceneHeads(nn.Module):
    """The auxiliary heads: a query for the gripper and one for each instruction read the patches.

    Args:
        hidden_size: H, of the projected patches.
        instructions: I, number of instructions.
        thing_size: T, how many numbers describe where a thing is.
    """

    def __init__(self, hidden_size: int, *, instructions: int, thing_size: int) -> None:
        super().__init__()
        self.queries = nn.Parameter(0.5 * torch.randn(1 + instructions, hidden_size))
        layer = nn.TransformerDecoderLayer(
            hidden_size, 4, 3 * hidden_size, dropout=0.0, batch_first=True, norm_first=True
        )
        self.decoder = nn.TransformerDecoder(layer, 2, norm=nn.LayerNorm(hidden_size))
        self.patch_norm = nn.LayerNorm(hidden_size)
        self.end_effector = nn.Linear(hidden_size, 10)
        self.thing = nn.Linear(hidden_size, thing_size)
        self.action = nn.Linear(hidden_size, 7)

    def forward(self, patches: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return end effector (B, 10), things (B, I, T) and actions (B, I, 7).

        patches: (B, P, H), projected.
        """
        queries = self.queries.expand(len(patches), -1, -1)
        read = self.decoder(queries, self.patch_norm(patches))
        return self.end_effector(read[:, 0]), self.thing(read[:, 1:]), self.action(read[:, 1:])


def scene_losses(heads: SceneHeads, patches: Tensor, batch: Mapping[str, Tensor]) -> SceneLosses:
    """Return the losses of the heads for projected patches (B, P, H).

    batch: the labels, see `scene_batch`.
    """
    end_effector, things, actions = heads(patches)
    row = torch.arange(len(patches), device=patches.device).unsqueeze(1)
    things, actions = things[row, batch['instructions']], actions[row, batch['instructions']]
    losses = {
        'end_effector': F.smooth_l1_loss(end_effector, batch['end_effector'], beta=0.1),
        'things': F.smooth_l1_loss(things, batch['things'], beta=0.1),
        'actions': F.smooth_l1_loss(actions[..., :6], batch['moves'].clamp(-1, 1), beta=0.1),
        'gripper': F.binary_cross_entropy_with_logits(actions[..., 6], batch['openings']),
    }
    total = (
        losses['end_effector'] + losses['things'] + 2 * losses['actions'] + 0.3 * losses['gripper']
    )
    return SceneLosses(total=total, **losses)


def scene_batch(frames: Frames, index: np.ndarray, *, full_speed: np.ndarray) -> dict[str, Tensor]:
    """Return the labels of some frames as tensors on the CPU, see `Frames`.

    index: (B,), which frames.
    full_speed: (6,), the unit of the labels of motions, metres and radians.
    """
    actions = torch.from_numpy(frames.actions[index])
    return {
        'instructions': torch.from_numpy(frames.instructions[index]),
        'moves': actions[..., :6] / torch.from_numpy(full_speed).float(),
        'openings': actions[..., 6],
        'end_effector': torch.from_numpy(frames.end_effector[index]),
        'things': torch.from_numpy(frames.things[index]),
    }


def train_vision(
    model: OpenVLA,
    frames: Frames,
    *,
    instructions: int,
    full_speed: np.ndarray,
    bfloat16: bool,
    settings: LoopSettings,
    seed: int,
    checkpoint: Path,
    report: Callable[[str], None],
) -> None:
    """Train the towers and the projector in place; the auxiliary heads are dropped at the end.

    model: whose towers and projector are trained.
    frames: to train on.
    instructions: number of instructions.
    full_speed: see `scene_batch`.
    bfloat16: whether towers and projector compute in bfloat16, if the device has instructions for
        it; their parameters stay in float32.
    settings, checkpoint, report: see `train`.
    seed: draws the batches.
    """
    bfloat16 = bfloat16 and multiplies_bfloat16(model.device)
    training, validation = frames.split(validation_share=VALIDATION_SHARE)
    heads = SceneHeads(
        model.config.text.hidden_size,
        instructions=instructions,
        thing_size=frames.things.shape[-1],
    )
    trained = nn.ModuleDict(
        {'towers': model.vision_backbone, 'projector': model.projector, 'heads': heads}
    ).to(model.device)

    def losses(part: Frames, index: np.ndarray) -> SceneLosses:
        pixels = to_pixels(part.images[index], device=model.device)
        with torch.autocast(pixels.device.type, torch.bfloat16, enabled=bfloat16):
            patches = model.projector(model.vision_backbone(pixels))
        labels = scene_batch(part, index, full_speed=full_speed)
        return scene_losses(
            heads, patches.float(), {n: t.to(model.device) for n, t in labels.items()}
        )

    def loss_at(iteration: int) -> Tensor:
        rng = np.random.default_rng((seed, iteration))
        return losses(training, rng.integers(0, len(training), BATCH)).total

    @torch.inference_mode()
    def validate() -> str:
        found = losses(validation, spread_index(len(validation)))
        return ' '.join(f'{f.name} {getattr(found, f.name):.4f}' for f in fields(found))

    train(
        trained,
        loss_at,
        settings=settings,
        checkpoint=checkpoint,
        validate=validate,
        report=report,
    )


def to_pixels(images: np.ndarray, *, device: torch.device) -> Tensor:
    """Return pixel values (B, 6, S, S) as the image processor does; images: (B, S, S, 3) uint8."""
    pixels = torch.from_numpy(images).to(device).permute(0, 3, 1, 2).float() / 255
    return ((pixels - 0.5) / 0.5).repeat(1, 2, 1, 1)


def spread_index(length: int, *, at_most: int = 512) -> np.ndarray:
    """Return at most `at_most` indices, spread evenly over 0 to `length` - 1."""
    return np.linspace(0, length - 1, min(length, at_most)).astype(int)
