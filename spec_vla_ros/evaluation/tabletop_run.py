# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""`spec-vla evaluate` without --benchmark: every way of decoding in episodes of the tabletop."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import torch

from spec_vla_ros.checkpoints import TABLETOP
from spec_vla_ros.command_line import check_writable
from spec_vla_ros.decoding.draft_tree import TreeShape
from spec_vla_ros.device import device_name
from spec_vla_ros.evaluation.closed_loop import ClosedLoop, Start
from spec_vla_ros.evaluation.lenient_policy import LenientPolicy
from spec_vla_ros.evaluation.report import (
    dimension_table,
    exactness_lines,
    markdown_table,
    plot_sweep,
)
from spec_vla_ros.evaluation.summary import EpisodeFigures, episode_figures, summarise
from spec_vla_ros.models.checkpoint import load_openvla, resolve_device
from spec_vla_ros.models.drafter_files import load_drafter_beside
from spec_vla_ros.models.recipe_options import recipe_from
from spec_vla_ros.models.recipes import Recipe
from spec_vla_ros.policy import SpecVlaPolicy, check_before_weights
from spec_vla_ros.policy_config import PolicyConfig
from spec_vla_ros.programs import worker_processes
from spec_vla_ros.sim.env import TabletopEnv
from spec_vla_ros.sim.scene import HELD_OUT_SEEDS
from spec_vla_ros.types import STRICT, Decoding

EPISODES = 200
"""Default number of episodes for each way of decoding."""


def run_tabletop(args: argparse.Namespace, modes: Mapping[str, Decoding]) -> int:
    """Evaluate on the tabletop, and write evaluate.json, evaluate.md and evaluate.png.

    Args:
        args: the command line.
        modes: the ways of decoding to compare, by name.

    Raises:
        ValueError: training may have used the seeds, or there is no such device.
        CheckpointError: the checkpoint cannot be used.
    """
    checkpoint, device = args.checkpoint or TABLETOP, resolve_device(args.device or 'auto')
    first = HELD_OUT_SEEDS.start if args.first_seed is None else args.first_seed
    episodes = EPISODES if args.episodes is None else args.episodes
    seeds = range(first, first + episodes)
    if not (seeds[0] in HELD_OUT_SEEDS and seeds[-1] in HELD_OUT_SEEDS):
        raise ValueError(
            f'the seeds must lie in {HELD_OUT_SEEDS.start} .. {HELD_OUT_SEEDS.stop - 1}, which '
            'training never uses: change --first-seed or --episodes'
        )
    tree, recipe = TreeShape(*args.tree), recipe_from(args)
    check_before_weights(checkpoint, PolicyConfig(recipe=recipe, stored_as=args.stored_as))
    jobs = [
        _ModeJob(
            folder=checkpoint,
            name=name,
            decoding=decoding,
            seeds=seeds,
            tree=tree,
            device=device,
            dtype=args.dtype,
            stored_as=args.stored_as,
            recipe=recipe,
        )
        for name, decoding in modes.items()
    ]
    check_writable(args.out)
    with worker_processes(args.processes) as pool:
        results = dict(zip(modes, pool.map(_run_mode, jobs), strict=True))
    report = {
        'date': date.today().isoformat(),
        'machine': f'{device_name(device)}, torch {torch.__version__}, one thread for each mode',
        'device': device.type,
        'checkpoint': checkpoint.name,
        'seeds': [seeds[0], seeds[-1]],
        'tree': list(args.tree),
        'dtype': args.dtype,
        'stored_as': args.stored_as,
        'recipe': str(recipe),
        'modes': results,
    }
    dtype = next(iter(results.values()))['dtype']
    exact = exactness_lines(results, dtype=dtype)
    table = f'{markdown_table(results)}\n{exact}\n{dimension_table(results)}'
    print(table)  # before the files are written, which may fail on a full disk
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / 'evaluate.json').write_text(json.dumps(report, indent=2) + '\n')
    (args.out / 'evaluate.md').write_text(table)
    plot_sweep(results, args.out / 'evaluate.png')
    print(f'written: {args.out}/evaluate.json, evaluate.md, evaluate.png')
    return 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _ModeJob:
    """One way of decoding to run, with its name, episodes and policy."""

    folder: Path
    name: str
    decoding: Decoding
    seeds: range
    tree: TreeShape
    device: torch.device
    dtype: str
    stored_as: str | None
    recipe: Recipe

    def policy(self, *, dtype: str = 'auto', stored_as: str | None = None) -> SpecVlaPolicy:
        """Load the checkpoint, with its own weights unless others are asked for."""
        checkpoint = load_openvla(self.folder, device=str(self.device), dtype=dtype)
        config = PolicyConfig(tree=self.tree, stored_as=stored_as, recipe=self.recipe)
        return SpecVlaPolicy(checkpoint, config=config, drafter=load_drafter_beside(checkpoint))


def _run_mode(job: _ModeJob) -> dict:
    """Run the episodes of one way of decoding; return their figures, ready for JSON.

    The reference decodes autoregressively with the checkpoint's own weights. If the policy has
    others, its strict decoding is also compared with its own autoregressive decoding.
    """
    torch.set_num_threads(1)
    other_weights = job.dtype != 'auto' or job.stored_as is not None
    reference = job.policy()
    policy = (
        job.policy(dtype=job.dtype, stored_as=job.stored_as)
        if other_weights
        else reference.sibling()
    )
    lenient, lenient_reference, own = LenientPolicy(policy), LenientPolicy(reference), None
    if job.decoding.mode == STRICT:
        own = LenientPolicy(policy.sibling()) if other_weights else lenient_reference
    policy.warm_up(job.decoding)
    reference.warm_up()
    env = TabletopEnv()
    loop = ClosedLoop(lenient, lenient_reference, env, own=own)
    done: list[EpisodeFigures] = []
    try:
        for seed in job.seeds:
            episode = loop.run(Start(seed=seed), job.decoding)
            done.append(episode_figures(episode, policy.codec))
            if len(done) % 20 == 0:
                successes = sum(e.success for e in done)
                print(f'{job.name}: {successes} of {len(done)} episodes', flush=True)
    finally:
        env.close()
    for name, asked in (
        (job.name, lenient),
        (f'{job.name}, what it is compared with', lenient_reference),
    ):
        asked.check()
        if warning := asked.warning():
            print(f'{name}: {warning}', flush=True)
    return {
        'dtype': job.stored_as or policy.info.dtype,
        'answers_in_words': lenient.in_words,
        **summarise(done),
    }
