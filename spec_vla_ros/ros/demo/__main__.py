# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Runs the demo: starts robot and policy as processes, runs episodes, and stops everything.

Every episode is run twice, with speculative and with autoregressive decoding; a parameter switches
between them while the node runs. With --suite the robot is LIBERO's, otherwise the tabletop's.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from rich.console import Console

from spec_vla_ros.command_line import user_path
from spec_vla_ros.programs import ending_when_asked
from spec_vla_ros.ros.children import ChildFailedError
from spec_vla_ros.ros.demo.animation import middle_episode, write_animation
from spec_vla_ros.ros.demo.comparison import compare_ways, comparison_table
from spec_vla_ros.ros.demo.episodes import EpisodeError, EpisodeRunner
from spec_vla_ros.ros.demo.film_strip import write_film_strip
from spec_vla_ros.ros.demo.gain import sentence
from spec_vla_ros.ros.demo.record import SPECULATIVE, Record
from spec_vla_ros.ros.demo.report import summary, table, write_json
from spec_vla_ros.ros.demo.simulators import Simulator, libero, tabletop
from spec_vla_ros.ros.demo.stage import Stage, StageError, UncleanEndError, stage
from spec_vla_ros.ros.demo.view import View
from spec_vla_ros.ros.free_domain import keep_to_this_machine
from spec_vla_ros.ros.remote import NoRosError
from spec_vla_ros.sim.libero.suites import MAX_STEPS
from spec_vla_ros.types import AUTOREGRESSIVE, RELAXED

MAX_FILMED = 10
"""Episodes whose images are kept; those of one take up to 16 MB, or 29 MB in LIBERO."""

WAYS = {SPECULATIVE: 'auto', AUTOREGRESSIVE: AUTOREGRESSIVE}
"""The ways of decoding to compare -> value of the parameter decoding_mode."""


def main() -> None:
    """Run the demo from the command line; the exit code says whether all went well."""
    args, simulator = _parse()
    keep_to_this_machine()
    console = Console()
    if not console.is_terminal:
        console.width = 110  # a log file has no width
    records: dict[str, list[Record]] = {}
    unclean = None
    with ending_when_asked(console.print) as check:
        try:
            run(args, simulator, console, records, check=check)
        except UncleanEndError as error:  # after the last episode, so the results are complete
            unclean = error
        except (ChildFailedError, EpisodeError, NoRosError, StageError, TimeoutError) as error:
            _fail(console, error)
        _report(args, simulator, console, records)
        check()
    if unclean is not None:
        _fail(console, unclean)


def _report(
    args: argparse.Namespace,
    simulator: Simulator,
    console: Console,
    records: dict[str, list[Record]],
) -> None:
    """Print and write the results; exit with 1 if too few episodes succeeded."""
    main_way = SPECULATIVE if SPECULATIVE in records else AUTOREGRESSIVE
    shown = records[main_way]
    modes = compare_ways(records)
    figures = {**summary(shown), **modes}
    name = simulator.results
    write_json(figures, args.results / f'{name}.json')
    console.print(table(records))
    console.print(comparison_table(modes))
    latency = figures['latency_ms']
    console.print(
        f'{figures["mode"] or main_way}: success {figures["success_rate"]:.0%} '
        f'of {len(shown)} episodes, commands {figures["commands_hz"]:.1f} Hz, image to action '
        f'{latency["p50"]} / {latency["p95"]} / {latency["p99"]} ms (p50 / p95 / p99)',
        highlight=False,
        soft_wrap=True,
    )
    if simulator.simulated_time:
        console.print(
            'seconds, rates and image to action are in simulated time, which passed at '
            f'{figures["real_time_factor"]:.2f} of real time; inference is in real time',
            highlight=False,
            soft_wrap=True,
        )
    written = [f'{name}.json', *_write_pictures(args.results / name, records, main_way)]
    console.print('wrote', ', '.join(f'{args.results}/{n}' for n in written), highlight=False)
    console.print(f'[bold]{sentence(records, modes["modes"])}[/]', highlight=False, soft_wrap=True)
    if figures['success_rate'] < simulator.required_success:
        console.print(f'[red]success is below {simulator.required_success:.0%}[/]')
        sys.exit(1)


def _write_pictures(path: Path, records: dict[str, list[Record]], main_way: str) -> list[str]:
    """Write an episode as film strip and as animation; return the names of the files.

    path: of the files, without suffix.
    """
    filmed = middle_episode(records)
    if filmed is None:  # no images came
        return []
    strip, animation = path.with_suffix('.png'), path.with_suffix('.webp')
    write_film_strip(filmed[main_way], strip)
    write_animation(filmed, animation)
    return [strip.name, animation.name]


def _fail(console: Console, error: Exception) -> NoReturn:
    console.print(f'[red]demo failed:[/] {error}', highlight=False)
    sys.exit(1)


def run(
    args: argparse.Namespace,
    simulator: Simulator,
    console: Console,
    records: dict[str, list[Record]],
    *,
    check: Callable[[], None],
) -> None:
    """Run every episode in each way of decoding, and end all processes.

    records: filled with way of decoding -> its episodes, also if an error ends the demo early.
    check: called a few times a second; may raise to end the demo.
    """
    logs = args.results / 'logs'
    with (
        View(console, episodes=args.episodes) as view,
        stage(simulator, logs=logs, check=check, say=view.say) as nodes,
    ):
        runner = EpisodeRunner(nodes.remote, simulator, on_progress=view.update, check=nodes.check)
        ways = _ways(nodes, view)
        view.expect(args.episodes * len(ways))
        records.update((way, []) for way in ways)
        for number in range(args.seed, args.seed + args.episodes):
            for way in ways:
                nodes.set_mode(WAYS[way])
                record = runner.run(simulator.start(number), time_limit=args.time_limit)
                records[way].append(record)
                if len(records[way]) > MAX_FILMED:
                    record.frames.clear()
                view.finished(record)
            ways.reverse()  # take turns at being first
        runner.stop()


def _ways(nodes: Stage, view: View) -> list[str]:
    """Return the ways of decoding that the policy offers."""
    refused = nodes.set_mode(RELAXED)
    if refused is None:
        return [SPECULATIVE, AUTOREGRESSIVE]
    view.say(f'autoregressive only, there is nothing to compare it with: {refused}')
    return [AUTOREGRESSIVE]


def _simulator(args: argparse.Namespace) -> Simulator:
    """Return the simulator that the options ask for.

    Raises:
        ValueError: it cannot be used, or does not have so many episodes.
    """
    given = {name: getattr(args, name) for name in ('checkpoint', 'recipe', 'instruction')}
    simulator = libero(args.suite, **given) if args.suite else tabletop(**given)
    if not 0 <= args.seed <= simulator.starts - args.episodes:
        raise ValueError(f'--seed must be in [0, {simulator.starts - args.episodes}]')
    return simulator


def _parse() -> tuple[argparse.Namespace, Simulator]:
    parser = argparse.ArgumentParser(prog='demo', description=__doc__)
    parser.add_argument(
        '--episodes', type=int, default=10, help='how many, each decoded both ways'
    )
    parser.add_argument(
        '--seed',
        type=int,
        default=0,
        help='first episode, counted among the held-out ones; of LIBERO among the official '
        'initial states, each of every task before the next',
    )
    parser.add_argument(
        '--instruction', default='', help='the same for every episode; empty: the seed chooses'
    )
    parser.add_argument(
        '--suite',
        default='',
        choices=('', *MAX_STEPS),
        help="tasks of LIBERO, which then must be installed; empty: the simulated table's",
    )
    parser.add_argument(
        '--checkpoint', default='', help='folder; empty: the policy shipped for these tasks'
    )
    parser.add_argument(
        '--recipe',
        default='',
        help="what the checkpoint was trained on, as the node's parameter observation_recipe has "
        "it; 'libero' for OpenVLA's fine-tunes",
    )
    parser.add_argument('--results', type=user_path, default=Path('results'), help='output folder')
    parser.add_argument(
        '--time-limit', type=float, help="seconds per episode, by the robot's time (20, LIBERO 42)"
    )
    args = parser.parse_args()
    if args.episodes < 1:
        parser.error(f'--episodes must be at least 1, got {args.episodes}')
    try:
        return args, _simulator(args)
    except ValueError as error:
        parser.error(str(error))


if __name__ == '__main__':
    main()
