# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The stages of training a small policy that follow the collecting of frames.

vision -> language -> grounding -> export. The language stage trains a shallow model, which is made
as deep as the policy before the grounding stage. Each stage writes its results into the work
folder and resumes from them, so the training may be interrupted at any time.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from spec_vla_ros.command_line import check_writable
from spec_vla_ros.models.checkpoint import save_weights
from spec_vla_ros.models.files.folders import read_json
from spec_vla_ros.models.files.weight_files import files_of_a_model
from spec_vla_ros.models.openvla import OpenVLA, OpenVLAConfig
from spec_vla_ros.models.prompts import PromptProcessor
from spec_vla_ros.training.frames import Frames
from spec_vla_ros.training.language_training import CachedFrames, train_language
from spec_vla_ros.training.loop import LoopSettings
from spec_vla_ros.training.made_from import MadeFrom
from spec_vla_ros.training.packed_policy import PackedPolicy, deepen, initialise
from spec_vla_ros.training.small_model import Design, norm_stats, write_small_files
from spec_vla_ros.training.vision_pretraining import train_vision

Report = Callable[[str], None]

_VISION = LoopSettings(iterations=5500, learning_rate=1.2e-3, weight_decay=0.02)
_LANGUAGE = LoopSettings(iterations=4000, learning_rate=2.5e-3, weight_decay=0.03, ema_decay=0.998)

_GROUNDING = LoopSettings(
    iterations=1400, learning_rate=5e-4, weight_decay=0.03, ema_decay=0.998, save_every=100
)


@dataclass(frozen=True, slots=True)
class Hyperparameters:
    """Hyperparameters of all stages; the defaults are those of the shipped tabletop policy.

    files, episodes_per_file: how many files of frames are collected, with how many episodes.
    vision, language, grounding: of the stages' training loops.
    vision_bfloat16: whether the vision is trained in bfloat16, see `train_vision`.
    shallow_layers: layers of the language model before it is made deeper.
    goal_weight, swapped: see `train_language`; `swapped` is for the grounding stage only.
    """

    seed: int = 0
    files: int = 28
    episodes_per_file: int = 250
    vision: LoopSettings = _VISION
    language: LoopSettings = _LANGUAGE
    grounding: LoopSettings = _GROUNDING
    vision_bfloat16: bool = False
    shallow_layers: int = 4
    goal_weight: float = 3.0
    swapped: float = 0.35


def scaled(hyperparameters: Hyperparameters, share: float) -> Hyperparameters:
    """Return hyperparameters with a share of the files and iterations, at least one of each.

    Raises:
        ValueError: the share is not above 0.
    """
    if share <= 0:
        raise ValueError(f'--scale must be above 0, got {share}')

    def loop(settings: LoopSettings) -> LoopSettings:
        return replace(settings, iterations=max(1, round(settings.iterations * share)))

    return replace(
        hyperparameters,
        files=max(1, round(hyperparameters.files * share)),
        vision=loop(hyperparameters.vision),
        language=loop(hyperparameters.language),
        grounding=loop(hyperparameters.grounding),
    )


def check_out(out: Path, design: Design) -> None:
    """Make sure that a checkpoint can be written into a folder, before hours of work.

    Raises:
        ValueError: it cannot be, or the folder holds a model of another design.
    """
    check_writable(out)
    config = out / 'config.json'
    known = read_json(config).get('norm_stats') if config.exists() else None
    made_so = isinstance(known, dict) and list(known) == [design.name]
    if not made_so and files_of_a_model(out):
        raise ValueError(
            f'--out {out} holds another model than one of {design.name!r}, which would be '
            'overwritten: give another folder'
        )


def claim_work(work: Path, hyperparameters: Hyperparameters, *, suite: str | None) -> None:
    """Note in the work folder with which hyperparameters its files are made, see `MadeFrom`.

    suite: of LIBERO; None for the tabletop.

    Raises:
        ValueError: it holds files that were made with others, or without a note.
    """
    way_on = 'give another --work, or empty this one'
    made_from = MadeFrom(work, {'suite': suite, **asdict(hyperparameters)}, way_on)
    made_from.check(sorted((*work.glob('*.npz'), *work.glob('*.pt'))))
    made_from.write()


def train_on_frames(
    hyperparameters: Hyperparameters,
    design: Design,
    frames: Frames,
    *,
    full_speed: np.ndarray,
    work: Path,
    out: Path,
    device: torch.device,
    report: Report,
) -> None:
    """Run every stage after the collecting, and write the checkpoint to `out`.

    Initial weights are drawn on the CPU, so that they are the same on every device.

    Args:
        hyperparameters: of all stages.
        design: of the policy.
        frames: to train on.
        full_speed: (6,), the expert's largest motion in an action, metres and radians.
        work: folder for intermediate files.
        out: folder of the checkpoint.
        device: where the policy is trained.
        report: called with lines of progress.
    """
    report(f'{len(frames)} frames')
    episodes = len(set(frames.episodes))
    stats = norm_stats(frames.actions.reshape(-1, 7), name=design.name, trajectories=episodes)
    small = work / 'small'  # not in `out`, where an older policy stays until this one is ready
    write_small_files(small, design, stats)
    torch.manual_seed(hyperparameters.seed)
    config = OpenVLAConfig.from_dict(json.loads((small / 'config.json').read_text()))
    text = replace(config.text, num_hidden_layers=hyperparameters.shallow_layers)
    shallow, codec = OpenVLA(replace(config, text=text)), config.codec()
    prompts = PromptProcessor.from_file(small / 'tokenizer.json', vocab_size=config.vocab_size)
    goal_head = nn.Linear(text.hidden_size, 6 + frames.things.shape[-1])
    policy = PackedPolicy(
        shallow, prompts, codec, instructions=design.instructions, goal_head=goal_head
    )
    initialise(shallow.language_model, policy.actions, seed=hyperparameters.seed)
    shallow.to(device)
    policy.to(device)

    report('--- vision')
    train_vision(
        shallow,
        frames,
        instructions=len(design.instructions),
        full_speed=full_speed,
        bfloat16=hyperparameters.vision_bfloat16,
        settings=hyperparameters.vision,
        seed=hyperparameters.seed,
        checkpoint=work / 'vision.pt',
        report=report,
    )
    shallow.vision_backbone.requires_grad_(requires_grad=False).eval()
    report('--- features of all frames')
    cached = CachedFrames.compute(shallow, frames, codec, full_speed=full_speed)

    def train(name: str, settings: LoopSettings, *, swapped: float) -> None:
        report(f'--- {name}')
        train_language(
            policy,
            cached,
            goal_weight=hyperparameters.goal_weight,
            swapped=swapped,
            settings=settings,
            seed=hyperparameters.seed,
            checkpoint=work / f'{name}.pt',
            report=report,
        )

    train('language', hyperparameters.language, swapped=0.0)
    model = deepen(shallow, config).to(device)
    policy = PackedPolicy(
        model, prompts, codec, instructions=design.instructions, goal_head=goal_head
    ).to(device)
    train('grounding', hyperparameters.grounding, swapped=hyperparameters.swapped)
    write_small_files(out, design, stats)
    save_weights(model, out / 'model.safetensors', dtype=torch.bfloat16)
    report(f'wrote {out}')
