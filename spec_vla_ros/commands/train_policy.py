# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""`spec-vla train-policy`: trains a small policy for a simulator, from a seed."""

from __future__ import annotations

import argparse
from dataclasses import replace

import torch

from spec_vla_ros.command_line import at_least, number, user_path
from spec_vla_ros.models.checkpoint import resolve_device
from spec_vla_ros.programs import say
from spec_vla_ros.sim.libero.suites import MAX_STEPS
from spec_vla_ros.training.pipeline import train_policy
from spec_vla_ros.training.stages import Hyperparameters, scaled


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        '--suite',
        choices=list(MAX_STEPS),
        help='of LIBERO, whose tasks to learn (default: those of the tabletop)',
    )
    parser.add_argument(
        '--work', type=user_path, required=True, help='folder for intermediate files'
    )
    parser.add_argument('--out', type=user_path, required=True, help='checkpoint folder to write')
    parser.add_argument('--seed', type=at_least(0), default=0, help='default: %(default)s')
    parser.add_argument(
        '--processes', type=at_least(1), default=2, help='for collecting (default: %(default)s)'
    )
    parser.add_argument(
        '--threads', type=at_least(1), default=2, help='for training (default: %(default)s)'
    )
    parser.add_argument(
        '--device', default='cpu', help="to train on, such as 'cuda' (default: %(default)s)"
    )
    parser.add_argument(
        '--scale',
        type=number(above=0),
        default=1.0,
        help='share of the data and iterations, 0.01 for a quick try (default: %(default)s)',
    )


def run(args: argparse.Namespace) -> int:
    """Train a policy for the tabletop or for a suite of LIBERO.

    Raises:
        ValueError: there is no such device; or see `train_policy` and `train_libero_policy`.
    """
    device = resolve_device(args.device)
    torch.set_num_threads(args.threads)
    torch.set_flush_denormal(True)
    common = {
        'work': args.work,
        'out': args.out,
        'processes': args.processes,
        'device': device,
        'report': say,
    }
    if args.suite is None:
        train_policy(scaled(Hyperparameters(seed=args.seed), args.scale), **common)
        return 0
    from spec_vla_ros.training.libero.pipeline import suite_recipe, train_libero_policy

    usual = suite_recipe(args.suite).hyperparameters
    train_libero_policy(args.suite, scaled(replace(usual, seed=args.seed), args.scale), **common)
    return 0
