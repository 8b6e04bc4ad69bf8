# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Measure what ROS and the node add to the model's time, with inference in a thread or a process.

A camera (640x480, 30 Hz), the policy node and this observer are three processes that communicate
by DDS. The model is the shipped policy, repeated for 50 ms in each inference. Transport: from the
publication of the image to its arrival in the node. Overhead: from there to the publication of the
command, minus the model's time. Jitter: how far from its due time a command comes while the model
computes without a pause.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from spec_vla_ros.command_line import user_path
from spec_vla_ros.programs import all_of, ending_when_asked
from spec_vla_ros.ros.children import ChildFailedError, Children, node_command
from spec_vla_ros.ros.develop.overhead.figures import Jitter, Overhead, table
from spec_vla_ros.ros.develop.overhead.observer import NODE, Observer
from spec_vla_ros.ros.free_domain import free_domain, keep_to_this_machine
from spec_vla_ros.ros.remote import NoRosError, RemoteNode

WORKERS = ('thread', 'process')
HERE = 'spec_vla_ros.ros.develop.overhead'


def main() -> None:
    """Measure all workers in turn, and write a table of medians and the figures of every round."""
    parser = argparse.ArgumentParser(
        prog='overhead', description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument('--seconds', type=float, default=20.0, help='of each measurement')
    parser.add_argument('--rounds', type=int, default=3, help='of all workers in turn')
    parser.add_argument(
        '--workers', nargs='+', choices=WORKERS, default=WORKERS, help='where to infer'
    )
    parser.add_argument('--results', type=user_path, default=Path('results'), help='output folder')
    args = parser.parse_args()
    if args.seconds < 1 or args.rounds < 1:
        parser.error('--seconds and --rounds must be at least 1')
    keep_to_this_machine()
    rounds: dict[str, list[tuple[Overhead, Jitter]]] = {worker: [] for worker in args.workers}
    try:
        with ending_when_asked() as check:
            for number in range(1, args.rounds + 1):
                for worker, measured in rounds.items():
                    print(f'round {number} of {args.rounds}: {worker}', flush=True)
                    measured.append(measure(worker, args, check=check))
    except (ChildFailedError, NoRosError, TimeoutError) as error:
        sys.exit(f'error: {error}')
    medians = {worker: _median(measured) for worker, measured in rounds.items()}
    args.results.mkdir(parents=True, exist_ok=True)
    text = table(medians)
    (args.results / 'ros_overhead.md').write_text(text)
    (args.results / 'ros_overhead.json').write_text(
        json.dumps(
            {
                worker: [{**_plain(overhead), **_plain(jitter)} for overhead, jitter in measured]
                for worker, measured in rounds.items()
            },
            indent=1,
        )
    )
    print(text)
    print(f'wrote {args.results}/ros_overhead.md and {args.results}/ros_overhead.json')


def measure(
    worker: str, args: argparse.Namespace, *, check: Callable[[], None]
) -> tuple[Overhead, Jitter]:
    """Start the nodes in a ROS domain of their own, measure once, and stop them.

    worker: value of the parameter inference_worker.
    args: the command line.
    check: called a few times a second; may raise to end the measurement.
    """
    logs = args.results / 'logs'
    commands = {
        'camera': node_command(f'{HERE}.camera'),
        'policy_node': node_command(
            f'{HERE}.policy_node', parameters=[f'inference_worker:={worker}']
        ),
    }
    with free_domain() as domain_id, Children() as children:
        check_all = all_of(check, children.check)
        for name, command in commands.items():
            children.start(
                name,
                command,
                log=logs / f'overhead_{name}.log',
                env={'ROS_DOMAIN_ID': str(domain_id)},
            )
        with RemoteNode('observer', domain_id=domain_id, while_waiting=check_all) as remote:
            if not (remote.configure(NODE) and remote.activate(NODE)):
                raise ChildFailedError(f'the policy node does not start, see {logs}')
            observer = Observer(remote, check=check_all)
            figures = observer.overhead(args.seconds), observer.jitter(args.seconds)
            remote.deactivate(NODE)
    return figures


def _median(measured: list[tuple[Overhead, Jitter]]) -> tuple[Overhead, Jitter]:
    """Return the median of each figure over the rounds; numbers of actions are added up."""
    overheads, jitters = zip(*measured, strict=True)
    return (
        Overhead(
            actions=sum(o.actions for o in overheads),
            transport_ms=tuple(np.median([o.transport_ms for o in overheads], axis=0)),
            overhead_ms=tuple(np.median([o.overhead_ms for o in overheads], axis=0)),
        ),
        Jitter(
            commands_hz=float(np.median([j.commands_hz for j in jitters])),
            busy=float(np.median([j.busy for j in jitters])),
            jitter_ms=tuple(np.median([j.jitter_ms for j in jitters], axis=0)),
        ),
    )


def _plain(figures: Overhead | Jitter) -> dict[str, object]:
    return dataclasses.asdict(figures)


if __name__ == '__main__':
    main()
