# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Every way of decoding against transformers' `generate`, in turns in one process.

Run as `spec-vla bench`, or `make bench`.
"""

from __future__ import annotations

import argparse
import importlib.util
import subprocess
import sys
from dataclasses import asdict
from datetime import date
from pathlib import Path

import psutil
import torch

from spec_vla_ros.benchmark import history
from spec_vla_ros.benchmark.floor import Pass, floor_ms, measure_hardware, weight_counts
from spec_vla_ros.benchmark.random_case import (
    CUDA_ONLY,
    FIRST_TOKEN,
    GENERATE,
    RANDOM_CASES,
    RandomModel,
    passes_of,
)
from spec_vla_ros.benchmark.report import (
    around_tables,
    measured_on,
    summarise,
    write_docs,
    write_results,
)
from spec_vla_ros.benchmark.timing import Measured, Method, take_turns
from spec_vla_ros.benchmark.trace import Trace, as_lists, load_trace
from spec_vla_ros.checkpoints import TABLETOP
from spec_vla_ros.command_line import at_least, check_writable, user_path
from spec_vla_ros.evaluation.measures import exactness
from spec_vla_ros.models.checkpoint import load_openvla, resolve_device
from spec_vla_ros.models.llama_config import LlamaConfig
from spec_vla_ros.types import AUTOREGRESSIVE, DIMENSIONS, PRECISIONS

SHIPPED = 'shipped policy'
FRAME_SEEDS = range(9_041_000, 9_042_000)
"""Episodes that neither training nor evaluation uses, nor the recording of the trace."""

_WARM_UPS = 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    names = [SHIPPED, *RANDOM_CASES]
    parser.add_argument(
        '--cases',
        nargs='+',
        metavar='CASE',
        help=f'of: {", ".join(map(repr, names))} (default: all that fit)',
    )
    parser.add_argument('--device', default='auto', help="'cpu', 'cuda' (default: auto)")
    parser.add_argument(
        '--dtype', default='float32', choices=('auto', *PRECISIONS), help='of the shipped policy'
    )
    parser.add_argument('--threads', type=at_least(1), default=1, help='of the CPU (default: 1)')
    parser.add_argument(
        '--frames',
        type=at_least(1),
        default=120,
        help='for the shipped policy (default: %(default)s)',
    )
    parser.add_argument(
        '--actions',
        type=at_least(1),
        default=10,
        help='of the trace, for the others (default: %(default)s)',
    )
    parser.add_argument(
        '--repeats',
        type=at_least(1),
        default=3,
        help='of each action of the trace (default: %(default)s)',
    )
    parser.add_argument(
        '--acceptance-threshold',
        type=at_least(0),
        default=9,
        help='of relaxed acceptance, in bins (default: %(default)s)',
    )
    parser.add_argument(
        '--out', type=user_path, default=Path('results'), help='folder to write into'
    )
    parser.add_argument(
        '--docs', type=user_path, metavar='DIR', help='also write table and plot of bench.md there'
    )
    parser.add_argument(
        '--history', type=user_path, metavar='FILE', help='also append the figures to this list'
    )
    parser.add_argument(
        '--plot-history',
        type=user_path,
        metavar='FILE',
        help='instead: draw how the figures of this list have changed',
    )
    parser.add_argument(
        '--record-trace',
        action='store_true',
        help='instead: run the shipped policy in the simulator and record its accept lengths',
    )
    parser.add_argument(
        '--ros',
        action='store_true',
        help="instead: measure with real nodes what ROS adds to the model's time",
    )


def run(args: argparse.Namespace) -> int:
    """Measure and write bench.json, or record the trace.

    Raises:
        ValueError: unknown case or device, no usable trace, or no simulator or ROS where it is
            needed.
    """
    if args.ros:
        return _ros_overhead(args.out)
    if args.plot_history is not None:
        args.out.mkdir(parents=True, exist_ok=True)
        history.plot(history.read(args.plot_history), args.out / 'bench_history.png')
        print(f'written: {args.out}/bench_history.png')
        return 0
    torch.set_num_threads(args.threads)
    device = resolve_device(args.device)
    unknown = sorted(set(args.cases or ()) - {SHIPPED, *RANDOM_CASES})
    if unknown:
        raise ValueError(f'unknown cases {unknown}; there are {[SHIPPED, *RANDOM_CASES]}')
    if args.record_trace:
        _check_simulator()
        from spec_vla_ros.benchmark.record_trace import record_trace

        record_trace(
            [n for n in args.cases or RANDOM_CASES if n != SHIPPED],
            device=device,
            acceptance_threshold=args.acceptance_threshold,
            threads=args.threads,
        )
        return 0
    names = args.cases or [
        n for n in (SHIPPED, *RANDOM_CASES) if n != CUDA_ONLY or device.type == 'cuda'
    ]
    if SHIPPED in names:
        _check_simulator()
    check_writable(args.out)
    # What cannot be written into is told before minutes of measuring.
    if args.history is not None and args.history.exists():
        history.read(args.history)
    if args.docs is not None:
        around_tables(args.docs)
    trace = load_trace()
    _check_threshold(args, trace, [n for n in names if n != SHIPPED])
    report: dict = {
        'date': date.today().isoformat(),
        **measured_on(device, args.threads),
        'acceptance_threshold': args.acceptance_threshold,
        'trace': {**trace.about, 'machines': dict(trace.machines)},
        'cases': {},
    }
    for name in names:
        print(f'{name}:', flush=True)
        run_case = _shipped if name == SHIPPED else _random
        report['cases'][name] = run_case(args, device, trace, name)
    table = write_results(report, args.out)
    print(table)
    print(f'written: {args.out}/bench.json, bench.md, bench.png')
    if args.docs is not None:
        write_docs(report, args.docs)
        print(f'written: {args.docs}/bench.md (between its markers), bench.png')
    if args.history is not None:
        print(f'appended to {args.history}: {history.append(report, args.history)} entries')
    return 0


def _check_threshold(args: argparse.Namespace, trace: Trace, replayed: list[str]) -> None:
    recorded = trace.about.get('acceptance_threshold')
    if replayed and recorded != args.acceptance_threshold:
        raise ValueError(
            f'the accept lengths of {", ".join(map(repr, replayed))} were recorded at an '
            f'acceptance threshold of {recorded}, not {args.acceptance_threshold}: give that, '
            f'--record-trace before, or --cases {SHIPPED!r}'
        )


def _check_simulator() -> None:
    if importlib.util.find_spec('mujoco') is None:
        raise ValueError(
            "the shipped policy runs in the simulator, which needs pip install -e '.[sim]'; "
            '--cases names cases without it'
        )


def _shipped(args: argparse.Namespace, device: torch.device, trace: Trace, name: str) -> dict:
    from spec_vla_ros.benchmark.shipped_case import ShippedPolicy, record_frames
    from spec_vla_ros.sim.env import TabletopEnv

    checkpoint = load_openvla(TABLETOP, device=str(device), dtype=args.dtype)
    dtype = checkpoint.model.dtype
    env = TabletopEnv(image_size=192)
    try:
        frames = record_frames(checkpoint, env, FRAME_SEEDS, count=args.frames)
    finally:
        env.close()
    policy = ShippedPolicy(checkpoint, frames, acceptance_threshold=args.acceptance_threshold)
    measured = _measure(policy.methods(), device, actions=len(frames), repeats=1)
    same = measured[GENERATE].tokens == measured[AUTOREGRESSIVE].tokens
    config = checkpoint.config.text
    return _summary(
        measured,
        config,
        policy.passes(measured),
        device,
        dtype,
        prompt_length=policy.prompt_length,
        accept_lengths='measured in this run',
        same_tokens=same,
        exactness=asdict(exactness(measured['strict'].tokens, measured[AUTOREGRESSIVE].tokens)),
    )


def _random(args: argparse.Namespace, device: torch.device, trace: Trace, name: str) -> dict:
    case = RANDOM_CASES[name]
    dtype = torch.float32 if device.type == 'cpu' else torch.bfloat16
    if name not in trace.ways:
        raise ValueError(f'the trace has no case {name!r}: record it with --record-trace')
    model = RandomModel(case, device=device, dtype=dtype, draft_window=trace.draft_window)
    ways = trace.ways[name]
    methods = model.methods(
        ways, acceptance_threshold=args.acceptance_threshold, actions=args.actions
    )
    measured = _measure(methods, device, actions=args.actions, repeats=args.repeats)
    length = case.prompt_length
    passes = {AUTOREGRESSIVE: [[Pass(length)] + [Pass(1)] * (DIMENSIONS - 1)]}
    for way, recorded in ways.items():
        chosen = recorded.sample(args.actions)
        passes[way] = [passes_of(recorded, a, prompt_length=length) for a in chosen]
    return _summary(
        measured,
        model.config,
        passes,
        device,
        dtype,
        prompt_length=length,
        accept_lengths='replayed from the trace of the shipped policy; weights are random',
        same_tokens=measured[GENERATE].tokens == measured[AUTOREGRESSIVE].tokens,
        trees={way: as_lists(recorded.shapes) for way, recorded in ways.items()},
        trace_mean_passes={way: recorded.mean_passes for way, recorded in ways.items()},
    )


def _measure(
    methods: dict[str, Method], device: torch.device, *, actions: int, repeats: int
) -> dict[str, Measured]:
    for _ in range(_WARM_UPS):
        # Graphs are recorded action by action; elsewhere one action warms up everything.
        for action in range(actions if device.type == 'cuda' and repeats > 1 else 1):
            for method in methods.values():
                method(action)

    def progress(done: int, total: int) -> None:
        if done == total or done % max(1, total // 10) == 0:
            print(f'  {done} of {total} rounds', flush=True)

    return take_turns(methods, actions=actions, repeats=repeats, device=device, progress=progress)


def _summary(
    measured: dict[str, Measured],
    config: LlamaConfig,
    passes: dict[str, list[list[Pass]]],
    device: torch.device,
    dtype: torch.dtype,
    **about: object,
) -> dict:
    itemsize = torch.bfloat16.itemsize  # as checkpoints store them, and the CPU's panels too
    weights = sum(weight_counts(config)) * itemsize
    hardware = measure_hardware(device, dtype, footprint=weights)
    floors = {
        name: sum(floor_ms(config, p, hardware, itemsize=itemsize) for p in found) / len(found)
        for name, found in passes.items()
    }
    return {
        **about,
        'dtype': str(dtype).removeprefix('torch.'),
        'weight_bytes': weights,
        'process_bytes': psutil.Process().memory_info().rss,
        'bandwidth_gb_s': hardware.bandwidth / 1e9,
        'rate_gflop_s': hardware.rate / 1e9,
        'methods': summarise(measured, floors, baseline=(GENERATE, FIRST_TOKEN, AUTOREGRESSIVE)),
    }


def _ros_overhead(out: Path) -> int:
    """Run the measurement of the ROS layer, a program of its own; returns its exit status."""
    if importlib.util.find_spec('rclpy') is None:
        raise ValueError(
            '--ros needs ROS 2 and the built messages: source the workspace, or '
            '. scripts/activate.sh after `make setup`'
        )
    command = [sys.executable, '-m', 'spec_vla_ros.ros.develop.overhead', '--results', str(out)]
    return subprocess.run(command, check=False).returncode
