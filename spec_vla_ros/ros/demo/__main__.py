# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The demo's supervisor: starts robot and policy as processes, runs episodes, stops everything.

Every episode is run twice, decoded speculatively and autoregressively, switched by a parameter
while the node runs.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from rich.console import Console

from spec_vla_ros.programs import ending_when_asked
from spec_vla_ros.ros.children import ChildFailedError
from spec_vla_ros.ros.demo.animation import middle_episode, write_animation
from spec_vla_ros.ros.demo.comparison import compared, comparison_table
from spec_vla_ros.ros.demo.episodes import EpisodeError, EpisodeRunner
from spec_vla_ros.ros.demo.film_strip import write_film_strip
from spec_vla_ros.ros.demo.gain import sentence
from spec_vla_ros.ros.demo.record import Record
from spec_vla_ros.ros.demo.report import summary, table, write_json
from spec_vla_ros.ros.demo.stage import Stage, StageError, UncleanEndError, stage
from spec_vla_ros.ros.demo.view import View
from spec_vla_ros.sim.scene import HELD_OUT_SEEDS
from spec_vla_ros.types import AUTOREGRESSIVE

REQUIRED_SUCCESS = 0.8
MOST_FILMED = 10
"""Episodes of which the film is kept: one takes some 7 MB of memory, and 16 at most."""

SPECULATIVE = 'speculative'
WAYS = {SPECULATIVE: 'auto', AUTOREGRESSIVE: AUTOREGRESSIVE}
"""What is compared, and the value of the parameter decoding_mode that stands for it."""


def main() -> None:
    """Run the demo from the command line; the exit code says whether all went well."""
    args = _parse()
    console = Console()
    if not console.is_terminal:
        console.width = 110  # a log file has no width of its own
    records: dict[str, list[Record]] = {}
    unclean = None
    with ending_when_asked(console.print) as check:
        try:
            run(args, console, records, check=check)
        except UncleanEndError as error:  # after the last episode: what was measured counts
            unclean = error
        except (ChildFailedError, EpisodeError, StageError, TimeoutError) as error:
            _fail(console, error)
        _report(args, console, records)
        check()
    if unclean is not None:
        _fail(console, unclean)


def _report(args: argparse.Namespace, console: Console, records: dict[str, list[Record]]) -> None:
    """Print and write what was measured; exits where too few episodes succeeded."""
    main_way = SPECULATIVE if SPECULATIVE in records else AUTOREGRESSIVE
    shown = records[main_way]
    modes = compared(records)
    figures = {**summary(shown), **modes}
    write_json(figures, args.results / 'demo.json')
    console.print(table(records))
    console.print(comparison_table(modes))
    latency = figures['latency_ms']
    console.print(
        f'{main_way}: success {figures["success_rate"]:.0%} of {len(shown)} episodes, '
        f'commands {figures["commands_hz"]:.1f} Hz, image to action '
        f'{latency["p50"]} / {latency["p95"]} / {latency["p99"]} ms (p50 / p95 / p99)',
        highlight=False,
        soft_wrap=True,
    )
    written = ['demo.json', *_write_pictures(args, records, main_way)]
    console.print('wrote', ', '.join(f'{args.results}/{n}' for n in written), highlight=False)
    console.print(f'[bold]{sentence(records, modes["modes"])}[/]', highlight=False, soft_wrap=True)
    if figures['success_rate'] < REQUIRED_SUCCESS:
        console.print(f'[red]success is below {REQUIRED_SUCCESS:.0%}[/]')
        sys.exit(1)


def _write_pictures(
    args: argparse.Namespace, records: dict[str, list[Record]], main_way: str
) -> list[str]:
    """Write an episode as film strip and as animation; return the names of the files."""
    filmed = middle_episode(records)
    if filmed is None:  # no camera was heard
        return []
    write_film_strip(filmed[main_way], args.results / 'demo.png')
    write_animation(filmed, args.results / 'demo.webp')
    return ['demo.png', 'demo.webp']


def _fail(console: Console, error: Exception) -> NoReturn:
    console.print(f'[red]demo failed:[/] {error}', highlight=False)
    sys.exit(1)


def run(
    args: argparse.Namespace,
    console: Console,
    records: dict[str, list[Record]],
    *,
    check: Callable[[], None],
) -> None:
    """Run every episode each way and put them into `records`; leaves no process behind.

    check: called a few times a second; raises to end it.
    """
    logs = args.results / 'logs'
    with (
        View(console, episodes=args.episodes) as view,
        stage(checkpoint=args.checkpoint, logs=logs, check=check, say=view.say) as nodes,
    ):
        runner = EpisodeRunner(nodes.remote, on_progress=view.update, check=nodes.check)
        ways = _ways(nodes, view)
        view.expect(args.episodes * len(ways))
        records.update((way, []) for way in ways)
        first = HELD_OUT_SEEDS.start + args.seed
        for seed in range(first, first + args.episodes):
            for way in ways:
                nodes.set_mode(WAYS[way])
                record = runner.run(
                    seed=seed, instruction=args.instruction, time_limit=args.time_limit
                )
                records[way].append(record)
                if len(records[way]) > MOST_FILMED:
                    record.frames.clear()
                view.finished(record)
            ways.reverse()  # neither always comes first
        runner.stop()


def _ways(nodes: Stage, view: View) -> list[str]:
    """Return which ways the policy can decode."""
    refused = nodes.set_mode('relaxed')
    if refused is None:
        return [SPECULATIVE, AUTOREGRESSIVE]
    view.say(f'autoregressive only, there is nothing to compare it with: {refused}')
    return [AUTOREGRESSIVE]


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog='demo', description=__doc__)
    parser.add_argument(
        '--episodes', type=int, default=10, help='how many, each decoded both ways'
    )
    parser.add_argument(
        '--seed', type=int, default=0, help='first episode, counted among the held-out ones'
    )
    parser.add_argument(
        '--instruction', default='', help='the same for every episode; empty: the seed chooses'
    )
    parser.add_argument('--checkpoint', default='', help='folder; empty: the shipped policy')
    parser.add_argument('--results', type=Path, default=Path('results'), help='output folder')
    parser.add_argument('--time-limit', type=float, default=20.0, help='seconds per episode')
    args = parser.parse_args()
    if args.episodes < 1:
        parser.error(f'--episodes must be at least 1, got {args.episodes}')
    if not 0 <= args.seed <= len(HELD_OUT_SEEDS) - args.episodes:
        parser.error(f'--seed must be in [0, {len(HELD_OUT_SEEDS) - args.episodes}]')
    return args


if __name__ == '__main__':
    main()
