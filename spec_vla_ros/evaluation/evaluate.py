# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""`spec-vla evaluate`: compares ways of decoding in closed loop, on the same episodes.

The shipped policies were trained on none of these episodes.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from spec_vla_ros.checkpoints import TABLETOP, libero_checkpoint
from spec_vla_ros.command_line import at_least, user_path
from spec_vla_ros.evaluation.benchmark_options import EPISODES as EPISODES_A_TASK
from spec_vla_ros.evaluation.benchmark_options import ONLY_BENCHMARK, add_benchmark_options
from spec_vla_ros.evaluation.benchmark_run import run_benchmark
from spec_vla_ros.evaluation.tabletop_run import EPISODES, run_tabletop
from spec_vla_ros.evaluation.ways import (
    EVALUATED,
    HEADLINES,
    REPLAYED,
    Way,
    add_tolerances,
    tolerance_ways,
)
from spec_vla_ros.models.drafter_files import drafter_beside
from spec_vla_ros.models.recipe_options import add_recipe_options
from spec_vla_ros.sim.scene import HELD_OUT_SEEDS
from spec_vla_ros.types import AUTOREGRESSIVE, PRECISIONS, STORED_AS, STRICT, Decoding


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
    """Return autoregressive decoding and these ways, strict ones first, by name."""
    strict_first = sorted(ways, key=lambda way: way.decoding.mode != STRICT)
    return {AUTOREGRESSIVE: Decoding(), **{way.name: way.decoding for way in strict_first}}


def run(args: argparse.Namespace) -> int:
    """Evaluate on the tabletop or, with --benchmark, in LIBERO; write the results.

    Raises:
        ValueError: an option belongs to the other simulator, or a mode is unknown; see also
            `run_tabletop` and `run_benchmark`.
    """
    other = ('first_seed',) if args.benchmark else ONLY_BENCHMARK
    given = [f'--{name.replace("_", "-")}' for name in other if getattr(args, name) is not None]
    if given:
        where = 'the tabletop' if args.benchmark else '--benchmark'
        raise ValueError(f'{", ".join(given)}: only for {where}')
    evaluate = run_benchmark if args.benchmark else run_tabletop
    return evaluate(args, _modes(args))


def _modes(args: argparse.Namespace) -> dict[str, Decoding]:
    """Return the ways of decoding to compare, by name.

    These are the ones of --modes. By default they are all that are usual for the simulator, or
    autoregressive decoding alone if there is no drafter.

    Raises:
        ValueError: a name in --modes is unknown.
    """
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
