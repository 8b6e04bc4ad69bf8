# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""`spec-vla drafter-data`: compute a frozen target's features for a drafter to learn from."""

from __future__ import annotations

import argparse
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import torch

from spec_vla_ros.checkpoints import TABLETOP
from spec_vla_ros.models.checkpoint import load_openvla
from spec_vla_ros.policy import SpecVlaPolicy
from spec_vla_ros.training.drafter_data import write_features
from spec_vla_ros.training.drafter_sources import simulated_examples

FIRST_SEED = 3_000_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument(
        '--checkpoint', type=Path, default=TABLETOP, help='the target; default: the shipped policy'
    )
    parser.add_argument('--unnorm-key', default=None, help='where the target has several')
    parser.add_argument('--out', type=Path, required=True, help='folder for the features')
    parser.add_argument('--episodes', type=int, default=3000, help='simulated episodes')
    parser.add_argument('--first-seed', type=int, default=FIRST_SEED, help='of the simulator')
    parser.add_argument('--processes', type=int, default=1, help='run side by side')


def run(args: argparse.Namespace) -> int:
    """Compute the features; files that are there already are kept."""
    if args.episodes < args.processes or args.processes < 1:
        raise ValueError(
            f'{args.processes} processes for {args.episodes} episodes: give at least one each'
        )
    seeds = range(args.first_seed, args.first_seed + args.episodes)
    jobs = [
        (args.checkpoint, args.unnorm_key, seeds[i :: args.processes], args.out / f'part_{i}')
        for i in range(args.processes)
    ]
    # spawn: the renderer's and torch's threads do not survive a fork
    with ProcessPoolExecutor(args.processes, mp_context=get_context('spawn')) as pool:
        list(pool.map(_write_part, jobs))
    return 0


def _write_part(job: tuple[Path, str | None, range, Path]) -> None:
    folder, unnorm_key, seeds, out = job
    torch.set_num_threads(1)
    checkpoint = load_openvla(folder)
    policy = SpecVlaPolicy(checkpoint, unnorm_key=unnorm_key)
    write_features(
        checkpoint,
        simulated_examples(policy, seeds),
        out,
        num_tokens=policy.checkpoint_info.action_dimensions,
        report=lambda text: print(f'{out.name}/{text}', flush=True),
    )
