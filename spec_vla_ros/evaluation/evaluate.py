# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Success of a checkpoint in closed loop, on episodes it was never trained on.

spec-vla evaluate --episodes 200
"""

from __future__ import annotations

import argparse
import json
from concurrent.futures import ProcessPoolExecutor
from itertools import chain
from multiprocessing import get_context
from pathlib import Path

import torch

from spec_vla_ros.checkpoints import TABLETOP
from spec_vla_ros.evaluation.closed_loop import (
    HELD_OUT_SEEDS,
    Episode,
    run_episodes,
    summarise,
)
from spec_vla_ros.policy import load_policy


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line of `spec-vla evaluate`."""
    parser.add_argument(
        '--checkpoint', type=Path, default=TABLETOP, help='default: the shipped policy'
    )
    parser.add_argument('--episodes', type=int, default=200)
    parser.add_argument(
        '--first-seed', type=int, default=HELD_OUT_SEEDS.start, help='seeds count up from here'
    )
    parser.add_argument('--processes', type=int, default=1, help='episodes run side by side')
    parser.add_argument(
        '--out', type=Path, default=Path('results/evaluate.json'), help='JSON file to write'
    )


def run(args: argparse.Namespace) -> int:
    """Evaluate from the command line; 2 for seeds that training may have used."""
    seeds = range(args.first_seed, args.first_seed + args.episodes)
    if not args.episodes > 0 or not (seeds[0] in HELD_OUT_SEEDS and seeds[-1] in HELD_OUT_SEEDS):
        print(
            f'the seeds must lie in {HELD_OUT_SEEDS.start} .. {HELD_OUT_SEEDS.stop - 1}, which '
            'training never uses: change --first-seed or --episodes'
        )
        return 2
    chunks = [(args.checkpoint, seeds[i :: args.processes]) for i in range(args.processes)]
    # spawn: the renderer's and torch's threads do not survive a fork
    with ProcessPoolExecutor(args.processes, mp_context=get_context('spawn')) as pool:
        episodes = list(chain.from_iterable(pool.map(_run_chunk, chunks)))
    summary = summarise(sorted(episodes, key=lambda episode: episode.seed))
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(summary, indent=2) + '\n')
    _print_summary(summary)
    print(f'written: {args.out}')
    return 0


def _run_chunk(chunk: tuple[Path, range]) -> list[Episode]:
    checkpoint, seeds = chunk
    torch.set_num_threads(1)
    return run_episodes(load_policy(checkpoint, device='cpu'), seeds, report=_print_episode)


def _print_episode(episode: Episode) -> None:
    ending = 'success' if episode.success else 'FAILURE'
    wrong = ', wrong object' if episode.wrong_object else ''
    print(
        f'{episode.seed} {episode.instruction}: {ending}{wrong}, {episode.steps} steps, '
        f'{episode.latency_ms:.1f} ms',
        flush=True,
    )


def _print_summary(summary: dict) -> None:
    low, high = summary['success_interval_95']
    print(
        f'success {summary["success_rate"]:.1%} of {summary["episodes"]} '
        f'(95 % interval {low:.1%} to {high:.1%}), wrong object {summary["wrong_object"]}, '
        f'median {summary["median_steps"]:.0f} steps, '
        f'{summary["median_latency_ms"]:.1f} ms an action'
    )
    for instruction, row in summary['by_instruction'].items():
        print(f'  {instruction}: {row["successes"]} of {row["episodes"]}')
