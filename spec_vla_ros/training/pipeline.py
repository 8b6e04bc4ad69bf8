# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""From a seed to the small policy's checkpoint: every stage in order, each one resumable.

Run as `spec-vla train-policy --work DIR --out CHECKPOINT`:

collect (expert) -> vision -> language -> collect (the policy drives, DAgger) -> language again ->
export. What a stage leaves in the work folder is not made again; interrupt and restart at will.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path

import torch

from spec_vla_ros.models.checkpoint import save_weights
from spec_vla_ros.models.openvla import OpenVLA, OpenVLAConfig
from spec_vla_ros.models.processing import PromptProcessor
from spec_vla_ros.protocols import Observation
from spec_vla_ros.sim.env import TabletopEnv
from spec_vla_ros.training.collect import Driver, collect_episodes
from spec_vla_ros.training.frames import Frames, load_frames
from spec_vla_ros.training.language_training import (
    CachedFrames,
    PackedPolicy,
    initialise,
    train_language,
)
from spec_vla_ros.training.loop import LoopSettings
from spec_vla_ros.training.small_model import (
    norm_stats,
    write_small_files,
)
from spec_vla_ros.training.vision_pretraining import train_vision

EPISODES_PER_FILE = 250
WEIGHTS = 'model.safetensors'
_SEEDS_PER_SOURCE = 1_000_000

Report = Callable[[str], None]

_VISION = LoopSettings(iterations=5500, learning_rate=1.2e-3, weight_decay=0.02)
_LANGUAGE = LoopSettings(iterations=6000, learning_rate=2.5e-3, weight_decay=0.03, ema_decay=0.998)
_REFINEMENT = LoopSettings(
    iterations=4000, learning_rate=1.2e-3, weight_decay=0.03, ema_decay=0.998
)


@dataclass(frozen=True, slots=True)
class Recipe:
    """How much of everything; the defaults made the shipped policy."""

    seed: int = 0
    expert_files: int = 28
    policy_files: int = 10
    vision: LoopSettings = _VISION
    language: LoopSettings = _LANGUAGE
    refinement: LoopSettings = _REFINEMENT
    goal_weight: float = 3.0
    policy_share: float = 0.5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line of `spec-vla train-policy`."""
    parser.add_argument('--work', type=Path, required=True, help='folder for intermediate files')
    parser.add_argument('--out', type=Path, required=True, help='checkpoint folder to write')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--processes', type=int, default=2, help='for collecting')
    parser.add_argument('--threads', type=int, default=2, help='for training')
    parser.add_argument(
        '--scale', type=float, default=1.0, help='share of the data and iterations (a quick try)'
    )


def run(args: argparse.Namespace) -> int:
    """Run the pipeline from the command line."""
    torch.set_num_threads(args.threads)
    torch.set_flush_denormal(True)
    recipe = scaled(Recipe(seed=args.seed), args.scale)
    train_policy(recipe, work=args.work, out=args.out, processes=args.processes, report=_say)
    return 0


def scaled(recipe: Recipe, share: float) -> Recipe:
    """Return a recipe with that share of the data and of the iterations, at least one of each.

    Raises ValueError for a share that is not above zero.
    """
    if share <= 0:
        raise ValueError(f'--scale must be above 0, got {share}')

    def loop(settings: LoopSettings) -> LoopSettings:
        return replace(settings, iterations=max(1, round(settings.iterations * share)))

    return replace(
        recipe,
        expert_files=max(1, round(recipe.expert_files * share)),
        policy_files=max(1, round(recipe.policy_files * share)),
        vision=loop(recipe.vision),
        language=loop(recipe.language),
        refinement=loop(recipe.refinement),
    )


def train_policy(recipe: Recipe, *, work: Path, out: Path, processes: int, report: Report) -> None:
    """Run every stage and write the checkpoint to `out`."""
    work.mkdir(parents=True, exist_ok=True)
    expert = _collect(recipe, work, None, count=recipe.expert_files, processes=processes)
    report(f'expert: {len(expert)} frames')
    stats = norm_stats(expert.actions.reshape(-1, 7), trajectories=len(set(expert.episodes)))
    first = work / 'cloned'
    write_small_files(first, stats)
    torch.manual_seed(recipe.seed)
    config = OpenVLAConfig.from_dict(json.loads((first / 'config.json').read_text()))
    model, codec = OpenVLA(config), config.codec()
    prompts = PromptProcessor.from_file(first / 'tokenizer.json', vocab_size=config.vocab_size)
    policy = PackedPolicy(model, prompts, codec)
    initialise(model.language_model, policy.actions, seed=recipe.seed)

    _stage('vision', report)
    train_vision(
        model,
        expert,
        settings=recipe.vision,
        seed=recipe.seed,
        checkpoint=work / 'vision.pt',
        report=report,
    )
    model.vision_backbone.requires_grad_(requires_grad=False).eval()
    cloned = CachedFrames.compute(model, expert, codec)

    def learn(
        name: str, sets: Sequence[CachedFrames], settings: LoopSettings, goal_weight: float
    ) -> None:
        share = recipe.policy_share if len(sets) > 1 else 0.0
        _stage(name, report)
        train_language(
            policy,
            sets,
            shares=(1 - share, share)[: len(sets)],
            goal_weight=goal_weight,
            settings=settings,
            seed=recipe.seed,
            checkpoint=work / f'{name}.pt',
            report=report,
        )

    learn('language', [cloned], recipe.language, recipe.goal_weight)
    save_weights(model, first / WEIGHTS, dtype=torch.bfloat16)
    driven = _collect(recipe, work, first, count=recipe.policy_files, processes=processes)
    report(f'policy: {len(driven)} frames')
    both = [cloned, CachedFrames.compute(model, driven, codec)]
    learn('refinement', both, recipe.refinement, 0.0)
    write_small_files(out, stats)
    save_weights(model, out / WEIGHTS, dtype=torch.bfloat16)
    report(f'wrote {out}')


def _collect(
    recipe: Recipe, work: Path, checkpoint: Path | None, *, count: int, processes: int
) -> Frames:
    """Collect files of frames in parallel, those that are missing; return them all."""
    source = 'expert' if checkpoint is None else 'policy'
    # seeds 1 and 2 million of every ten; 9 million are held out for evaluation
    base = (10 * recipe.seed + 1 + (checkpoint is not None)) * _SEEDS_PER_SOURCE
    jobs = [
        (work / f'{source}_{i:03d}.npz', base + i * EPISODES_PER_FILE, checkpoint)
        for i in range(count)
    ]
    missing = [job for job in jobs if not job[0].exists()]
    # spawn: the renderer's and torch's threads do not survive a fork
    with ProcessPoolExecutor(processes, mp_context=get_context('spawn')) as pool:
        list(pool.map(_collect_file, missing))
    return load_frames([path for path, _, _ in jobs])


def _collect_file(job: tuple[Path, int, Path | None]) -> None:
    path, first_seed, checkpoint = job
    torch.set_num_threads(1)
    env = TabletopEnv()
    driver = None if checkpoint is None else _policy_driver(checkpoint)
    seeds = range(first_seed, first_seed + EPISODES_PER_FILE)
    collect_episodes(env, seeds, driver=driver).save(path)
    env.close()


def _policy_driver(checkpoint: Path) -> Driver:
    from spec_vla_ros.policy import load_policy

    policy = load_policy(checkpoint, device='cpu')
    return lambda image, instruction: policy.infer(Observation(image, instruction)).values


def _stage(name: str, report: Report) -> None:
    report(f'--- {name}')


def _say(text: str) -> None:
    print(text, flush=True)
