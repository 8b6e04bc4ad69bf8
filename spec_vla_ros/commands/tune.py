# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""`spec-vla tune`: recommends an acceptance threshold by replaying the user's recordings."""

from __future__ import annotations

import argparse
import json
import math
from datetime import date
from pathlib import Path

import torch

from spec_vla_ros.checkpoints import TABLETOP
from spec_vla_ros.command_line import at_least, check_writable, user_path
from spec_vla_ros.commands.recording_options import add_recording_options, recordings_from
from spec_vla_ros.decoding.draft_tree import TreeShape
from spec_vla_ros.device import device_name
from spec_vla_ros.evaluation.lenient_policy import LenientPolicy
from spec_vla_ros.evaluation.recorded.tuning import (
    DeviationTolerance,
    Replayed,
    answered_by_all,
    median_ms,
    recommend,
    replay,
    way_figures,
)
from spec_vla_ros.evaluation.recorded.tuning_report import markdown_tables, plot, summary
from spec_vla_ros.evaluation.ways import REPLAYED, add_tolerances, tolerance_ways
from spec_vla_ros.models.checkpoint import load_openvla
from spec_vla_ros.models.checkpoint_files import read_config
from spec_vla_ros.models.drafter_files import (
    DRAFTER_FOLDER,
    drafter_beside,
    load_drafter_beside,
)
from spec_vla_ros.models.recipe_options import add_recipe_options, check_chosen, recipe_from
from spec_vla_ros.policy import SpecVlaPolicy, check_before_weights
from spec_vla_ros.policy_config import PolicyConfig
from spec_vla_ros.types import AUTOREGRESSIVE, DIMENSIONS, Decoding

DEFAULT_TOLERANCE = DeviationTolerance(metres=0.001, radians=0.010)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        '--checkpoint', type=user_path, default=TABLETOP, help='default: the shipped policy'
    )
    parser.add_argument('--drafter', type=user_path, help=f'default: {DRAFTER_FOLDER}/ in it')
    parser.add_argument('--unnorm-key', help='norm stats; needed if there are several')
    add_recipe_options(parser)
    parser.add_argument('--device', default='auto', help='auto, cpu, cuda (default: %(default)s)')
    parser.add_argument('--dtype', default='auto', help='auto, float32, bfloat16, float16')
    parser.add_argument('--threads', type=at_least(1), default=1, help='of the CPU (default: 1)')
    parser.add_argument(
        '--tree',
        type=int,
        nargs=3,
        default=(1, 6, 6),
        metavar=('TOP_K', 'DEPTH', 'NODES'),
        help='draft tree (default: a chain), the same for every r so that they can be compared',
    )
    add_recording_options(parser)
    limits = parser.add_argument_group(
        'how far from the autoregressive action 95 of 100 may be (default: 1 mm and 10 mrad)'
    )
    limits.add_argument('--tolerance-mm', type=float, help='displacement')
    limits.add_argument('--tolerance-mrad', type=float, help='rotation')
    limits.add_argument('--tolerance-bins', type=float, help='any dimension')
    add_tolerances(parser)
    parser.add_argument(
        '--out', type=user_path, default=Path('results/tune'), help='folder to write'
    )


def run(args: argparse.Namespace) -> int:
    """Replay the recordings, and write tune.json, tune.md and tune.png.

    Raises:
        ValueError: the recordings or the checkpoint cannot be used; the message says why.
    """
    tolerance, ways = _tolerance(args), (*REPLAYED, *tolerance_ways(args))
    recordings, recipe = recordings_from(args), recipe_from(args)
    check_chosen(args, read_config(args.checkpoint).keys_unasked, args.unnorm_key)
    config = PolicyConfig(
        unnorm_key=args.unnorm_key,
        recipe=recipe,
        drafter=args.drafter,
        tree=TreeShape(*args.tree),
    )
    _check(args, config, tolerance)
    check_writable(args.out)
    torch.set_num_threads(args.threads)
    checkpoint = load_openvla(args.checkpoint, device=args.device, dtype=args.dtype)
    drafter = load_drafter_beside(checkpoint, args.drafter)
    first = SpecVlaPolicy(checkpoint, config=config, drafter=drafter)

    def run_way(name: str, decoding: Decoding) -> list[Replayed]:
        """Replay with a new policy, so that no way uses what another has kept."""
        policy = first.sibling()
        policy.warm_up(decoding)
        lenient = LenientPolicy(policy)
        replayed = list(replay(lenient, recordings, decoding))
        lenient.check()
        print(f'{name}: {len(replayed)} actions', flush=True)
        return replayed

    replayed = {AUTOREGRESSIVE: run_way(AUTOREGRESSIVE, Decoding())}
    baselines = [median_ms(replayed[AUTOREGRESSIVE])]
    reference_ms = {AUTOREGRESSIVE: baselines[0]}
    for way in ways:
        replayed[way.name] = run_way(way.name, way.decoding)
        # AR is timed again after each way, so that a machine that slows down favours none.
        baselines.append(median_ms(run_way(AUTOREGRESSIVE, Decoding())))
        reference_ms[way.name] = (baselines[-2] + baselines[-1]) / 2
    kept = answered_by_all(replayed, first.codec.is_action)
    reference = kept[AUTOREGRESSIVE]
    results = {
        name: way_figures(each, reference, reference_ms=reference_ms[name])
        for name, each in kept.items()
    }
    if left_out := len(replayed[AUTOREGRESSIVE]) - len(reference):
        print(f'{left_out} images are left out: some way answered them in words', flush=True)
    drift = max(baselines) / min(baselines)

    found = recommend(results, tolerance)
    advice = summary(results, found, tolerance, drift=drift)
    report = {
        'date': date.today().isoformat(),
        'machine': f'{device_name(checkpoint.model.device)}, torch {torch.__version__}',
        'checkpoint': args.checkpoint.name,
        'recordings': [path.name for path in args.recordings],
        'tolerance': {k: getattr(tolerance, k) for k in tolerance.__slots__},
        'recommended': {'decoding': found.name, 'r': found.r, 'temporal': found.temporal},
        'tree': list(args.tree),
        'drift': drift,
        'left_out': left_out,
        'ways': results,
    }
    text = f'{markdown_tables(results)}\n{advice}\n'
    print(text)  # before the files are written, which may fail on a full disk
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / 'tune.json').write_text(json.dumps(report, indent=2, allow_nan=False) + '\n')
    (args.out / 'tune.md').write_text(text)
    plot(results, args.out / 'tune.png', found=found)
    print(f'written: {args.out}/tune.json, tune.md, tune.png')
    return 0


def _tolerance(args: argparse.Namespace) -> DeviationTolerance:
    given = {
        '--tolerance-mm': args.tolerance_mm,
        '--tolerance-mrad': args.tolerance_mrad,
        '--tolerance-bins': args.tolerance_bins,
    }
    for name, value in given.items():
        if value is not None and not (math.isfinite(value) and value >= 0):
            raise ValueError(f'{name} {value}: give a finite number that is not negative')
    if all(value is None for value in given.values()):
        return DEFAULT_TOLERANCE
    return DeviationTolerance(
        bins=args.tolerance_bins,
        metres=None if args.tolerance_mm is None else args.tolerance_mm / 1e3,
        radians=None if args.tolerance_mrad is None else args.tolerance_mrad / 1e3,
    )


def _check(args: argparse.Namespace, config: PolicyConfig, tolerance: DeviationTolerance) -> None:
    """Check the options before the weights are read.

    Raises:
        ValueError: there is no drafter, or a tolerance has units that the actions lack.
        CheckpointError: the checkpoint cannot be used.
    """
    dimensions = check_before_weights(args.checkpoint, config).stats.dimensions
    if args.drafter is None and drafter_beside(args.checkpoint) is None:
        raise ValueError(
            f'{args.checkpoint} has no folder {DRAFTER_FOLDER!r}, and there is nothing to tune '
            'without a drafter: name one with --drafter, or train one (docs/how-to/drafter.md)'
        )
    in_metres = tolerance.metres is not None or tolerance.radians is not None
    if dimensions != DIMENSIONS and (in_metres or tolerance_ways(args)):
        raise ValueError(
            f'the actions have {dimensions} dimensions, so that their units are not known: give '
            '--tolerance-bins alone, and no --acceptance-mm or --acceptance-mrad'
        )
