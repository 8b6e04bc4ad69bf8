# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Changes the acceptance threshold while the simulated robot moves, and plots its effect.

The threshold is set like with `ros2 param set /spec_vla acceptance_threshold 9`; the effect is
read from the topic `spec_vla/statistics`.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import math
import sys
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from spec_vla_ros.command_line import user_path
from spec_vla_ros.msg import DecodeStatistics
from spec_vla_ros.programs import ending_when_asked
from spec_vla_ros.ros import qos
from spec_vla_ros.ros.children import ChildFailedError
from spec_vla_ros.ros.demo.episodes import EpisodeError, EpisodeRunner
from spec_vla_ros.ros.demo.record import Record
from spec_vla_ros.ros.demo.simulators import tabletop
from spec_vla_ros.ros.demo.stage import POLICY, Stage, StageError, stage
from spec_vla_ros.ros.demo.tuning_plot import ActionSample, EpisodeEnd, write_plot
from spec_vla_ros.ros.remote import NoRosError
from spec_vla_ros.settings.nodes import PolicySettings
from spec_vla_ros.settings.parameter import changed
from spec_vla_ros.types import RELAXED


class Tuner:
    """Sets one threshold after the other, each for the same time, and records every action.

    Args:
        nodes: robot and policy.
        thresholds: acceptance thresholds, in bins.
        seconds: how long each threshold is in force.

    Raises:
        EpisodeError: the policy refuses a threshold.
    """

    def __init__(self, nodes: Stage, *, thresholds: list[int], seconds: float) -> None:
        self._nodes, self._left, self._seconds = nodes, list(thresholds), seconds
        self.samples: list[ActionSample] = []
        self.ended: list[EpisodeEnd] = []
        self._set_next()
        self._began = time.monotonic()
        nodes.remote.subscribe(
            DecodeStatistics, 'spec_vla/statistics', self._on_statistics, qos.COMMAND
        )

    @property
    def finished(self) -> bool:
        """Whether every threshold has had its time."""
        return not self._left and time.monotonic() >= self._due

    def progress(self, record: Record, command_rate: float) -> None:
        """Set the next threshold if it is time; see `EpisodeRunner`, on_progress."""
        if self._left and time.monotonic() >= self._due:
            self._set_next()

    def note(self, record: Record) -> None:
        """Record how an episode ended."""
        self.ended.append(EpisodeEnd(time.monotonic() - self._began, record.success))

    def _set_next(self) -> None:
        threshold = {'acceptance_threshold': self._left.pop(0)}
        result = self._nodes.remote.set_parameters(POLICY, threshold)
        if not result.successful:
            raise EpisodeError(result.reason)
        self._due = time.monotonic() + self._seconds

    def _on_statistics(self, message: DecodeStatistics) -> None:
        length = message.accept_length
        self.samples.append(
            ActionSample(
                seconds=time.monotonic() - self._began,
                threshold=message.acceptance_thresholds[0],
                accept_length=None if math.isnan(length) else length,
                target_passes=message.target_passes,
                inference_ms=message.inference_ms,
            )
        )


def main() -> None:
    """Run from the command line."""
    args = _parse()
    console = Console()
    try:
        with ending_when_asked(console.print) as check:
            tuner = run(args, console, check=check)
    except (ChildFailedError, EpisodeError, NoRosError, StageError, TimeoutError) as error:
        sys.exit(f'live tuning failed: {error}')
    args.results.mkdir(parents=True, exist_ok=True)
    path = args.results / 'live_tuning.json'
    path.write_text(
        json.dumps(
            {
                'samples': [dataclasses.asdict(s) for s in tuner.samples],
                'episodes': [dataclasses.asdict(e) for e in tuner.ended],
            }
        )
        + '\n'
    )
    write_plot(tuner.samples, tuner.ended, args.results / 'live_tuning.png')
    wins = sum(end.success for end in tuner.ended)
    console.print(f'{len(tuner.samples)} actions, {wins} of {len(tuner.ended)} episodes succeeded')
    console.print(f'wrote {path} and {args.results}/live_tuning.png', highlight=False)


def run(args: argparse.Namespace, console: Console, *, check: Callable[[], None]) -> Tuner:
    """Run episodes until every threshold has had its time.

    check: called a few times a second; may raise to end the run.
    """
    logs, say = args.results / 'logs', console.print
    simulator = tabletop(checkpoint=args.checkpoint)
    with stage(simulator, logs=logs, check=check, say=say) as nodes:
        refused = nodes.set_mode(RELAXED)
        if refused is not None:
            raise StageError(refused)
        tuner = Tuner(nodes, thresholds=args.thresholds, seconds=args.seconds)
        runner = EpisodeRunner(
            nodes.remote, simulator, on_progress=tuner.progress, check=nodes.check
        )
        numbers = itertools.count()
        while not tuner.finished:
            tuner.note(runner.run(simulator.start(next(numbers))))
        runner.stop()
    return tuner


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog='live_tuning', description=__doc__.partition('\n')[0])
    parser.add_argument(
        '--thresholds', type=int, nargs='+', default=[0, 3, 9, 20, 40], help='bins, one by one'
    )
    parser.add_argument('--seconds', type=float, default=12.0, help='of each threshold')
    parser.add_argument('--checkpoint', default='', help='folder; empty: the shipped policy')
    parser.add_argument('--results', type=user_path, default=Path('results'), help='output folder')
    args = parser.parse_args()
    if args.seconds <= 0:
        parser.error(f'--seconds must be above 0, got {args.seconds}')
    try:  # before nodes are started that would refuse one
        for threshold in args.thresholds:
            changed(PolicySettings(), {'acceptance_threshold': threshold}, running=True)
    except ValueError as error:
        parser.error(f'--thresholds: {error}')
    return args


if __name__ == '__main__':
    main()
