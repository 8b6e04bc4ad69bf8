# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""`spec-vla train-drafter`: train a drafter on what `spec-vla drafter-data` computed."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

import torch

from spec_vla_ros.checkpoints import TABLETOP
from spec_vla_ros.models.checkpoint import load_openvla
from spec_vla_ros.models.drafter import Drafter, save_drafter
from spec_vla_ros.training.drafter_data import read_features
from spec_vla_ros.training.drafter_training import DrafterRecipe, train_drafter


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    recipe = DrafterRecipe()
    parser.add_argument(
        '--checkpoint', type=Path, default=TABLETOP, help='the target; default: the shipped policy'
    )
    parser.add_argument('--data', type=Path, required=True, help='folder of drafter-data')
    parser.add_argument('--out', type=Path, required=True, help='drafter folder to write')
    parser.add_argument('--seed', type=int, default=recipe.seed)
    parser.add_argument('--iterations', type=int, default=recipe.settings.iterations)
    parser.add_argument('--batch', type=int, default=recipe.batch)
    parser.add_argument('--learning-rate', type=float, default=recipe.settings.learning_rate)
    parser.add_argument('--rollout', type=int, default=recipe.rollout)
    parser.add_argument('--noise', type=float, default=recipe.noise)
    parser.add_argument('--score-weight', type=float, default=recipe.score_weight)
    parser.add_argument('--threads', type=int, default=2)


def run(args: argparse.Namespace) -> int:
    """Train, or go on training where it was interrupted, and write the drafter."""
    torch.set_num_threads(args.threads)
    torch.set_flush_denormal(True)
    torch.manual_seed(args.seed)
    target = load_openvla(args.checkpoint, dtype='float32').model.language_model
    drafter = Drafter(dataclasses.replace(target.config, num_hidden_layers=1))
    default = DrafterRecipe()
    recipe = dataclasses.replace(
        default,
        settings=dataclasses.replace(
            default.settings, iterations=args.iterations, learning_rate=args.learning_rate
        ),
        batch=args.batch,
        rollout=args.rollout,
        noise=args.noise,
        score_weight=args.score_weight,
        seed=args.seed,
    )
    args.out.mkdir(parents=True, exist_ok=True)
    train_drafter(
        drafter,
        target,
        read_features(args.data),
        recipe=recipe,
        checkpoint=args.data / 'training.pt',
        report=lambda text: print(text, flush=True),
    )
    save_drafter(drafter, args.out)
    print(f'written: {args.out}')
    return 0
