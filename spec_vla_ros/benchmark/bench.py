# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""`spec-vla bench`: measures the speed of every way of decoding and of transformers' `generate`.

All run in turns in one process. `make bench` runs it, too.
"""

from __future__ import annotations

import argparse
import importlib.util
import subprocess
import sys
from datetime import date
from pathlib import Path

import torch

from spec_vla_ros.benchmark import history
from spec_vla_ros.benchmark.cases import measure_random, measure_shipped
from spec_vla_ros.benchmark.random_case import CUDA_ONLY, RANDOM_CASES
from spec_vla_ros.benchmark.report import around_tables, measured_on, write_docs, write_results
from spec_vla_ros.benchmark.trace import Trace, load_trace
from spec_vla_ros.command_line import at_least, check_writable, user_path
from spec_vla_ros.models.checkpoint import resolve_device
from spec_vla_ros.types import PRECISIONS

SHIPPED = 'shipped policy'


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
    """Measure and write bench.json, bench.md and bench.png, or do what an "instead" option says.

    Raises:
        ValueError: a case or device is unknown, the trace cannot be used, a file cannot be
            written, or the simulator or ROS is needed and not installed.
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
    # Files that cannot be extended are refused now, before minutes of measuring.
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
        report['cases'][name] = _measure_case(args, device, trace, name)
    table = write_results(report, args.out)
    print(table)
    print(f'written: {args.out}/bench.json, bench.md, bench.png')
    if args.docs is not None:
        write_docs(report, args.docs)
        print(f'written: {args.docs}/bench.md (between its markers), bench.png')
    if args.history is not None:
        print(f'appended to {args.history}: {history.append(report, args.history)} entries')
    return 0


def _measure_case(args: argparse.Namespace, device: torch.device, trace: Trace, name: str) -> dict:
    if name == SHIPPED:
        return measure_shipped(
            device,
            dtype=args.dtype,
            frames=args.frames,
            acceptance_threshold=args.acceptance_threshold,
        )
    return measure_random(
        name,
        RANDOM_CASES[name],
        device,
        trace,
        acceptance_threshold=args.acceptance_threshold,
        actions=args.actions,
        repeats=args.repeats,
    )


def _check_threshold(args: argparse.Namespace, trace: Trace, replayed: list[str]) -> None:
    """Refuse another acceptance threshold than that of the trace, for cases that replay it."""
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


def _ros_overhead(out: Path) -> int:
    """Run the program that measures the ROS layer; return its exit status."""
    if importlib.util.find_spec('rclpy') is None:
        raise ValueError(
            '--ros needs ROS 2 and the built messages: source the workspace, or '
            '. scripts/activate.sh after `make setup`'
        )
    command = [sys.executable, '-m', 'spec_vla_ros.ros.develop.overhead', '--results', str(out)]
    return subprocess.run(command, check=False).returncode
