# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The demo's supervisor: starts robot and policy as processes, runs episodes, stops everything."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path
from typing import NoReturn

from ament_index_python.packages import get_package_share_directory
from rich.console import Console

from spec_vla_ros.evaluation.closed_loop import HELD_OUT_SEEDS
from spec_vla_ros.ros.demo.episodes import EpisodeError, EpisodeRunner, Record
from spec_vla_ros.ros.demo.film_strip import write_film_strip
from spec_vla_ros.ros.demo.report import summary, table, write_json
from spec_vla_ros.ros.demo.view import View
from spec_vla_ros.ros.remote import RemoteNode
from spec_vla_ros.runtime.children import ChildFailedError, Children
from spec_vla_ros.runtime.free_domain import free_domain

REQUIRED_SUCCESS = 0.8
INTERRUPTED = 130  # as shells have it for Ctrl-C
POLICY, ROBOT = '/spec_vla', '/sim_robot'


class DemoError(RuntimeError):
    """The demo cannot go on; says why."""


def main() -> None:
    """Run the demo from the command line; the exit code says whether all went well."""
    args = _parse()
    for number in (signal.SIGINT, signal.SIGTERM):  # a shell may start us with SIGINT ignored
        signal.signal(number, _interrupt)
    console = Console()
    if not console.is_terminal:
        console.width = 110  # a log file has no width of its own
    try:
        records = run(args, console)
    except KeyboardInterrupt:
        console.print('interrupted; everything is stopped')
        sys.exit(INTERRUPTED)
    except (ChildFailedError, DemoError, EpisodeError, TimeoutError) as error:
        console.print(f'[red]demo failed:[/] {error}', highlight=False)
        sys.exit(1)
    figures = summary(records)
    write_json(figures, args.results / 'demo.json')
    shown = next((r for r in records if r.success), records[0])
    write_film_strip(shown, args.results / 'demo.png')
    console.print(table(records))
    latency = figures['latency_ms']
    console.print(
        f'success {figures["success_rate"]:.0%} of {len(records)} episodes, '
        f'commands {figures["commands_hz"]:.1f} Hz, image to action '
        f'{latency["p50"]} / {latency["p95"]} / {latency["p99"]} ms (p50 / p95 / p99)',
        highlight=False,
        soft_wrap=True,
    )
    console.print(f'wrote {args.results}/demo.json and {args.results}/demo.png', highlight=False)
    if figures['success_rate'] < REQUIRED_SUCCESS:
        console.print(f'[red]success is below {REQUIRED_SUCCESS:.0%}[/]')
        sys.exit(1)


def run(args: argparse.Namespace, console: Console) -> list[Record]:
    """Run the episodes in a ROS domain of our own and return them; leaves no process behind."""
    config = Path(get_package_share_directory('spec_vla_ros')) / 'config'
    logs = args.results / 'logs'
    with (
        free_domain() as domain_id,
        Children() as children,
        View(console, episodes=args.episodes) as view,
    ):
        view.say(f'ROS domain {domain_id}, on this machine only; logs in {logs}')
        nodes = {
            'sim_robot': ['spec_vla_ros.ros.sim_node', config / 'sim_robot.yaml'],
            'policy_node': ['spec_vla_ros.ros.policy_node', config / 'spec_vla.yaml'],
        }
        overrides = {'policy_node': ['-p', f'checkpoint:={args.checkpoint}']}
        for name, (module, parameters) in nodes.items():
            command = [sys.executable, '-m', module, '--ros-args', '--params-file', parameters]
            command += overrides.get(name, []) if args.checkpoint else []
            children.start(
                name,
                list(map(str, command)),
                log=logs / f'{name}.log',
                env={'ROS_DOMAIN_ID': str(domain_id)},
            )
        remote = RemoteNode('demo', domain_id=domain_id, while_waiting=children.check)
        with remote:
            view.say('loading the policy')
            if not (remote.configure(POLICY) and remote.activate(POLICY)):
                raise DemoError(f'the policy node does not start, see {logs}/policy_node.log')
            runner = EpisodeRunner(remote, on_progress=view.update, check=children.check)
            records = []
            first = HELD_OUT_SEEDS.start + args.seed
            for seed in range(first, first + args.episodes):
                record = runner.run(
                    seed=seed, instruction=args.instruction, time_limit=args.time_limit
                )
                records.append(record)
                view.finished(record)
            runner.stop()
            remote.deactivate(POLICY)
        for name, code in children.stop().items():
            if code != 0:
                raise DemoError(f'{name} did not end cleanly: exit code {code}, see {logs}')
    return records


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog='demo', description=__doc__)
    parser.add_argument('--episodes', type=int, default=10)
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


def _interrupt(_signal: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == '__main__':
    main()
