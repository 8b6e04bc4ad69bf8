# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Every way of decoding in closed loop, on the same episodes, none of them trained on.

Run as `spec-vla evaluate`, or `make evaluate`.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import torch

from spec_vla_ros.checkpoints import TABLETOP, libero_checkpoint
from spec_vla_ros.command_line import at_least, check_writable, user_path
from spec_vla_ros.decoding.draft_tree import TreeShape
from spec_vla_ros.device import device_name
from spec_vla_ros.evaluation.answers import Answers
from spec_vla_ros.evaluation.benchmark_options import EPISODES as EPISODES_A_TASK
from spec_vla_ros.evaluation.benchmark_options import ONLY_BENCHMARK, add_benchmark_options
from spec_vla_ros.evaluation.benchmark_run import run_benchmark
from spec_vla_ros.evaluation.closed_loop import ClosedLoop, Start
from spec_vla_ros.evaluation.report import (
    dimension_table,
    exactness_lines,
    markdown_table,
    plot_sweep,
)
from spec_vla_ros.evaluation.summary import EpisodeFigures, figures, summarise
from spec_vla_ros.evaluation.ways import (
    EVALUATED,
    HEADLINES,
    REPLAYED,
    Way,
    add_tolerances,
    tolerance_ways,
)
from spec_vla_ros.models.checkpoint import OpenVLACheckpoint, load_openvla, resolve_device
from spec_vla_ros.models.drafter_files import drafter_beside, load_drafter_beside
from spec_vla_ros.models.recipe_options import add_recipe_options, recipe_from
from spec_vla_ros.models.recipes import Recipe
from spec_vla_ros.policy import SpecVlaPolicy, check_before_weights
from spec_vla_ros.policy_config import PolicyConfig
from spec_vla_ros.programs import worker_processes
from spec_vla_ros.sim.env import TabletopEnv
from spec_vla_ros.sim.scene import HELD_OUT_SEEDS
from spec_vla_ros.types import AUTOREGRESSIVE, PRECISIONS, STORED_AS, STRICT, Decoding

EPISODES = 200


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument(
        '--checkpoint',
        type=user_path,
        help='default: the shipped policy of the tabletop, or of the suite',
    )
    add_recipe_options(parser)
    parser.add_argument(
        '--episodes',
        type=at_least(1),
        help=f'for each way of decoding (default: {EPISODES}); of the benchmark, for each task '
        f'as well (default: {EPISODES_A_TASK})',
    )
    parser.add_argument(
        '--first-seed',
        type=int,
        help=f'of the tabletop, they count up from here (default: {HELD_OUT_SEEDS.start})',
    )
    parser.add_argument(
        '--modes',
        nargs='+',
        default=None,
        metavar='MODE',
        help=f'of: {", ".join(decodings(REPLAYED))} (default: thresholds, with and '
        'without temporal drafts, if there is a drafter)',
    )
    add_tolerances(parser)
    parser.add_argument(
        '--tree',
        type=int,
        nargs=3,
        default=(1, 6, 6),
        metavar=('TOP_K', 'DEPTH', 'NODES'),
        help='draft tree (default: a chain), the same on every machine so that counts are too',
    )
    parser.add_argument('--device', help="'cpu', 'cuda' (default: auto)")
    parser.add_argument(
        '--dtype', default='auto', choices=('auto', *PRECISIONS), help='of the weights'
    )
    parser.add_argument(
        '--stored-as',
        choices=STORED_AS,
        help="store the language model's weights in few bits; the columns compare with "
        "autoregressive decoding with the checkpoint's own",
    )
    parser.add_argument(
        '--processes',
        type=at_least(1),
        default=1,
        help='run side by side: modes, or on Ray episodes of the benchmark',
    )
    parser.add_argument(
        '--out', type=user_path, default=Path('results'), help='folder to write into'
    )
    add_benchmark_options(parser)


def decodings(ways: Sequence[Way] = EVALUATED) -> dict[str, Decoding]:
    """Return every way of decoding that is compared, by the name it has in the results."""
    strict_first = sorted(ways, key=lambda way: way.decoding.mode != STRICT)
    return {AUTOREGRESSIVE: Decoding(), **{way.name: way.decoding for way in strict_first}}


def run(args: argparse.Namespace) -> int:
    """Evaluate in the simulator that is asked for, and write the results.

    Raises:
        ValueError: an option that does not belong to it, or an unknown mode; see `_tabletop` and
            `run_benchmark`.
    """
    other = ('first_seed',) if args.benchmark else ONLY_BENCHMARK
    given = [f'--{name.replace("_", "-")}' for name in other if getattr(args, name) is not None]
    if given:
        where = 'the tabletop' if args.benchmark else '--benchmark'
        raise ValueError(f'{", ".join(given)}: only for {where}')
    return run_benchmark(args, _modes(args)) if args.benchmark else _tabletop(args)


def _modes(args: argparse.Namespace) -> dict[str, Decoding]:
    """Return the ways of decoding to compare, by name; raise ValueError for unknown ones."""
    checkpoint = args.checkpoint
    if checkpoint is None:
        suite = args.benchmark
        checkpoint = TABLETOP if suite is None else libero_checkpoint(suite)
    has_drafter = (args.drafter or drafter_beside(checkpoint)) is not None
    tolerances = tolerance_ways(args)
    known = decodings((*REPLAYED, *tolerances))
    ways = EVALUATED if args.benchmark is None else REPLAYED if args.sweep else HEADLINES
    compared = decodings((*ways, *tolerances))
    names = args.modes or list(compared if has_drafter else [AUTOREGRESSIVE])
    unknown = sorted(set(names) - known.keys())
    if unknown:
        raise ValueError(f'unknown modes {unknown}; there are {list(known)}')
    return {name: known[name] for name in names}


def _tabletop(args: argparse.Namespace) -> int:
    """Evaluate on the tabletop, and write evaluate.json, evaluate.md and evaluate.png.

    Raises:
        ValueError: seeds that training may have used, or there is no such device.
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
    modes, tree, recipe = _modes(args), TreeShape(*args.tree), recipe_from(args)
    check_before_weights(checkpoint, PolicyConfig(recipe=recipe, stored_as=args.stored_as))
    jobs = [
        _Job(
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
    print(table)  # before the files, which a full disk may refuse
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / 'evaluate.json').write_text(json.dumps(report, indent=2) + '\n')
    (args.out / 'evaluate.md').write_text(table)
    plot_sweep(results, args.out / 'evaluate.png')
    print(f'written: {args.out}/evaluate.json, evaluate.md, evaluate.png')
    return 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    """One way of decoding, and what it is run with."""

    folder: Path
    name: str
    decoding: Decoding
    seeds: range
    tree: TreeShape
    device: torch.device
    dtype: str
    stored_as: str | None
    recipe: Recipe

    def policy(self, checkpoint: OpenVLACheckpoint | None = None) -> SpecVlaPolicy:
        """Return a policy of its own, over a checkpoint or as it is to be run."""
        stored_as = None if checkpoint else self.stored_as
        found = checkpoint or load_openvla(self.folder, device=str(self.device), dtype=self.dtype)
        config = PolicyConfig(tree=self.tree, stored_as=stored_as, recipe=self.recipe)
        return SpecVlaPolicy(found, config=config, drafter=load_drafter_beside(found))


def _run_mode(job: _Job) -> dict:
    torch.set_num_threads(1)
    checkpoint = load_openvla(job.folder, device=str(job.device))
    changes = job.dtype != 'auto' or job.stored_as is not None
    reference = job.policy(checkpoint)
    policy = job.policy() if changes else reference.sibling()
    answers, compared, own = Answers(policy), Answers(reference), None
    if job.decoding.mode == STRICT:
        own = Answers(policy.sibling()) if changes else compared
    policy.warm_up(job.decoding)
    reference.warm_up()
    env = TabletopEnv()
    loop = ClosedLoop(answers, compared, env, own=own)
    done: list[EpisodeFigures] = []
    try:
        for seed in job.seeds:
            done.append(figures(loop.run(Start(seed=seed), job.decoding), policy.codec))
            if len(done) % 20 == 0:
                successes = sum(e.success for e in done)
                print(f'{job.name}: {successes} of {len(done)} episodes', flush=True)
    finally:
        env.close()
    for name, asked in ((job.name, answers), (f'{job.name}, what it is compared with', compared)):
        asked.check()
        if told := asked.told():
            print(f'{name}: {told}', flush=True)
    return {
        'dtype': job.stored_as or policy.info.dtype,
        'answers_in_words': answers.in_words,
        **summarise(done),
    }
