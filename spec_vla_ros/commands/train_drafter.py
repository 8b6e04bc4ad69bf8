# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""`spec-vla train-drafter`: trains a drafter on the features of `spec-vla drafter-data`.

On several GPUs: `accelerate launch -m spec_vla_ros.cli train-drafter ...`.
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

import torch
from accelerate import Accelerator

from spec_vla_ros.checkpoints import TABLETOP
from spec_vla_ros.command_line import at_least, check_writable, number, user_path
from spec_vla_ros.files import fingerprint
from spec_vla_ros.models.checkpoint_files import read_config
from spec_vla_ros.models.drafter import Drafter
from spec_vla_ros.models.drafter_files import check_place, save_drafter
from spec_vla_ros.models.files.weight_files import (
    fingerprint_of_checkpoint,
    fingerprint_of_weights,
)
from spec_vla_ros.models.llama import Llama
from spec_vla_ros.programs import say
from spec_vla_ros.training.drafter.curve import CurvePoint, append_point, read_points, write_curve
from spec_vla_ros.training.drafter.data import TargetFeatures, feature_files, read_features
from spec_vla_ros.training.drafter.target_head import load_target_head
from spec_vla_ros.training.drafter.train import DrafterHyperparameters, train_drafter
from spec_vla_ros.training.made_from import MadeFrom, check_features

WINDOW = 8
"""Default of --window; the shipped drafter gained nothing from more."""

_NOTED = [
    *('seed', 'iterations', 'batch', 'learning_rate'),
    *('rollout', 'window', 'noise', 'score_weight'),
]
"""Options on which the trained drafter depends."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    hyperparameters = DrafterHyperparameters()
    parser.add_argument(
        '--checkpoint',
        type=user_path,
        default=TABLETOP,
        help='the target; default: the shipped policy',
    )
    parser.add_argument(
        '--data', type=user_path, nargs='+', required=True, help='folders of drafter-data'
    )
    parser.add_argument('--out', type=user_path, required=True, help='drafter folder to write')
    parser.add_argument('--cpu', action='store_true', help='even where there is a GPU')
    parser.add_argument(
        '--seed', type=int, default=hyperparameters.seed, help='default: %(default)s'
    )
    parser.add_argument(
        '--iterations',
        type=at_least(1),
        default=hyperparameters.settings.iterations,
        help='default: %(default)s',
    )
    parser.add_argument(
        '--batch',
        type=at_least(1),
        default=hyperparameters.batch,
        help='examples, over all processes (default: %(default)s)',
    )
    parser.add_argument(
        '--save-every',
        type=at_least(1),
        default=hyperparameters.settings.save_every,
        help='so many iterations (default: %(default)s)',
    )
    parser.add_argument(
        '--learning-rate',
        type=number(above=0),
        default=hyperparameters.settings.learning_rate,
        help='default: %(default)s',
    )
    parser.add_argument(
        '--rollout',
        type=at_least(1),
        default=hyperparameters.rollout,
        help="steps on the drafter's own predictions (default: %(default)s)",
    )
    parser.add_argument(
        '--window',
        type=at_least(0),
        default=WINDOW,
        help="how many of the prompt's last places it reads; 0: all (default: %(default)s)",
    )
    parser.add_argument(
        '--noise',
        type=number(least=0),
        default=hyperparameters.noise,
        help="on the target's features, in units of their spread (default: %(default)s)",
    )
    parser.add_argument(
        '--score-weight',
        type=number(least=0),
        default=hyperparameters.score_weight,
        help='of the cross-entropy, beside 1 for the feature loss (default: %(default)s)',
    )
    parser.add_argument(
        '--threads', type=at_least(1), default=2, help='of the CPU (default: %(default)s)'
    )


def run(args: argparse.Namespace) -> int:
    """Train, or resume an interrupted training, and write the drafter.

    Raises:
        ValueError: target, features or the files of an earlier training cannot be used; the
            message says why.
    """
    torch.set_num_threads(args.threads)
    torch.set_flush_denormal(True)
    torch.manual_seed(args.seed)
    check_place(args.out)
    accelerator = Accelerator(cpu=args.cpu)
    target = load_target_head(args.checkpoint, device=accelerator.device)
    features = read_features(*args.data, window=args.window or None)
    _check_fits(features, target, args)
    drafter = Drafter(
        dataclasses.replace(target.config, num_hidden_layers=1), window=args.window or None
    )
    state = args.out / 'training' / 'state.pt'
    history = state.with_name('history.jsonl')
    made_from = _made_from(args, state.parent, prompts=len(features))
    made_from.check(state.parent.glob(state.name))
    weights = fingerprint_of_weights(args.checkpoint)
    warnings = check_features((f for p in args.data for f in feature_files(p)), weights=weights)
    if accelerator.is_main_process:
        for warning in warnings:
            print(f'warning: {warning}', flush=True)
        check_writable(state.parent)
        made_from.write()
        if not state.exists():
            history.unlink(missing_ok=True)
        read_points(history)  # raises if it is damaged, before the training begins

    def record(point: CurvePoint) -> None:
        append_point(history, point)
        write_curve(read_points(history), args.out)

    found = train_drafter(
        drafter.to(accelerator.device),
        target,
        features,
        hyperparameters=_hyperparameters(args),
        checkpoint=state,
        report=say,
        record=record,
        action_ids=read_config(args.checkpoint).action_ids,
        accelerator=accelerator,
    )
    if accelerator.is_main_process:
        save_drafter(
            drafter,
            args.out,
            temperature=found.temperature,
            rates=found.rates,
            target=weights,
        )
        print(f'written: {args.out}; {found}')
    accelerator.end_training()
    return 0


def _made_from(args: argparse.Namespace, folder: Path, *, prompts: int) -> MadeFrom:
    """Return the note of what the training in a folder depends on.

    prompts: number of prompts in the features.
    """
    options = {
        'checkpoint': args.checkpoint.resolve(),
        'data': [path.resolve() for path in args.data],
        'prompts': prompts,
        **{name: getattr(args, name) for name in _NOTED},
    }
    contents = {
        'checkpoint_contents': fingerprint_of_checkpoint(args.checkpoint),
        'data_contents': fingerprint(f for path in args.data for f in feature_files(path)),
    }
    way_on = f'give another --out, or remove {folder} to begin anew'
    return MadeFrom(folder, options, way_on, contents=contents, grow=('iterations',))


def _hyperparameters(args: argparse.Namespace) -> DrafterHyperparameters:
    default = DrafterHyperparameters()
    return dataclasses.replace(
        default,
        settings=dataclasses.replace(
            default.settings,
            iterations=args.iterations,
            learning_rate=args.learning_rate,
            save_every=args.save_every,
        ),
        batch=args.batch,
        rollout=args.rollout,
        noise=args.noise,
        score_weight=args.score_weight,
        seed=args.seed,
    )


def _check_fits(features: TargetFeatures, target: Llama, args: argparse.Namespace) -> None:
    """Raise ValueError if the features belong to another target."""
    hidden_size, data = target.config.hidden_size, ', '.join(map(str, args.data))
    if features.embeds.shape[2] != hidden_size:
        raise ValueError(
            f'the features in {data} have hidden size {features.embeds.shape[2]}, '
            f'{args.checkpoint} has {hidden_size}: they belong to another target'
        )
    if not features.embedded_by(target):
        raise ValueError(
            f'the features in {data} belong to another target than {args.checkpoint}, which '
            'embeds their tokens otherwise: give the checkpoint that drafter-data was given'
        )
