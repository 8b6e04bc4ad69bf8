# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""`spec-vla evaluate --benchmark SUITE`: every way of decoding in LIBERO's official episodes.

Ended at any time and started again with the same options, it goes on where it was.
"""

from __future__ import annotations

import argparse
import dataclasses
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import mujoco
import torch

from spec_vla_ros.command_line import check_writable
from spec_vla_ros.evaluation.benchmark_options import (
    crew_from,
    setup_from,
    states_from,
    tasks_from,
)
from spec_vla_ros.evaluation.benchmark_report import Outcome, write_report
from spec_vla_ros.evaluation.episode_log import EpisodeLog
from spec_vla_ros.evaluation.suite_worker import Job, Result, Setup, SuiteWorker
from spec_vla_ros.evaluation.summary import EpisodeFigures
from spec_vla_ros.evaluation.workers import Crew, run_jobs
from spec_vla_ros.files import contents, digest, files_in, written_whole
from spec_vla_ros.models.checkpoint import resolve_device
from spec_vla_ros.sim.libero.suites import read_tasks
from spec_vla_ros.types import Decoding

KEY = ('suite', 'task', 'state', 'mode', 'settings')
"""Which episode a line of the log is of; settings: see `_digest`."""

_FIGURES = [field.name for field in dataclasses.fields(EpisodeFigures)]


def run_benchmark(args: argparse.Namespace, modes: Mapping[str, Decoding]) -> int:
    """Run what has not run yet, and write table, plot and films.

    Args:
        args: the command line.
        modes: ways of decoding to compare, by name.

    Raises:
        ValueError: LIBERO is not installed, or an option is out of range.
    """
    tasks = read_tasks(args.benchmark)
    chosen, states = tasks_from(args, tasks), states_from(args)
    setup, crew = setup_from(args, modes), crew_from(args)
    settings = _digest(setup)
    jobs = [
        Job(task=task, state=state, mode=mode)
        for task in chosen  # a task takes seconds to load
        for state in states
        for mode in modes
    ]
    keys = {job: (args.benchmark, job.task, job.state, job.mode, settings) for job in jobs}
    check_writable(args.out)
    log = EpisodeLog(args.out / f'{args.benchmark}.jsonl', key=KEY)
    done = log.read()
    missing = [job for job in jobs if keys[job] not in done]
    films = _Films(args.out, args.benchmark, [*modes])
    if len(missing) < len(jobs):
        print(f'{len(jobs) - len(missing)} of {len(jobs)} episodes have run before', flush=True)
    else:
        films.forget()  # those of another policy
    for result in _run(setup, missing, crew, films=films):
        key = dict(zip(KEY, keys[dataclasses.replace(result.job, films=frozenset())], strict=True))
        log.add({**key, 'ran_on': result.ran_on, **dataclasses.asdict(result.figures)})
    rows = log.read()
    outcomes: dict[str, list[Outcome]] = defaultdict(list)
    for job in jobs:
        row = rows[keys[job]]
        kept = EpisodeFigures(**{name: row[name] for name in _FIGURES})
        outcomes[job.mode].append(Outcome(job.task, kept, ran_on=row['ran_on']))
    write_report(args.out, outcomes, tasks=tasks, settings=_in_json(setup))
    return 0


class _Films:
    """Films of one success, in the last mode, and of one failure, in any: what is still wanted."""

    def __init__(self, out: Path, suite: str, modes: Sequence[str]) -> None:
        self._out, self._suite, self._last = out, suite, modes[-1]

    def path(self, outcome: str) -> Path:
        return self._out / f'{self._suite}_{outcome}.webp'

    def forget(self) -> None:
        for outcome in ('success', 'failure'):
            self.path(outcome).unlink(missing_ok=True)

    def wanted(self, job: Job) -> Job:
        outcomes = ('success', 'failure') if job.mode == self._last else ('failure',)
        lacking = frozenset(o for o in outcomes if not self.path(o).exists())
        return dataclasses.replace(job, films=lacking)

    def keep(self, result: Result) -> None:
        path = self.path('success' if result.figures.success else 'failure')
        if result.film is not None and not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            with written_whole(path) as partial:
                partial.write_bytes(result.film)


def _run(setup: Setup, jobs: Sequence[Job], crew: Crew, *, films: _Films) -> Iterator[Result]:
    """Run episodes, and say how far they are."""
    began = time.monotonic()
    found = run_jobs(SuiteWorker, setup, jobs, crew=crew, prepare=films.wanted)
    for count, result in enumerate(found, 1):
        films.keep(result)
        yield result
        left = (time.monotonic() - began) / count * (len(jobs) - count)
        job, figures = result.job, result.figures
        print(
            f'{count} of {len(jobs)} episodes, {_duration(left)} left: task {job.task}, state '
            f'{job.state}, {job.mode}: {"success" if figures.success else "failure"} after '
            f'{figures.steps} steps',
            flush=True,
        )


def _duration(seconds: float) -> str:
    return f'{seconds / 60:.0f} min' if seconds < 5400 else f'{seconds / 3600:.1f} h'


def _digest(setup: Setup) -> str:
    """Return twelve digits that are others wherever the setup could lead to other results.

    Modes are told apart by their names.
    """
    compared = [version('transformers')] if setup.generate else []
    said = {
        **_in_json(setup),
        'checkpoint': contents(files_in(setup.checkpoint)),
        'drafter': None if setup.drafter is None else contents(files_in(setup.drafter)),
        'versions': [torch.__version__, mujoco.__version__, *compared],
        'figures': _FIGURES,
    }
    return digest(said)


def _in_json(setup: Setup) -> dict[str, Any]:
    """Return what of a setup is worth writing down, ready for JSON; not which modes."""
    return {
        'suite': setup.suite,
        'checkpoint': setup.checkpoint.name,
        'drafter': None if setup.drafter is None else setup.drafter.name,
        'recipe': dataclasses.asdict(setup.recipe),
        'unnorm_key': setup.unnorm_key,
        'device': _kind(setup.device),
        'dtype': setup.dtype,
        'stored_as': setup.stored_as,
        'tree': dataclasses.astuple(setup.tree),
        'compare_every': setup.compare_every,
        'generate': setup.generate,
        'max_steps': setup.max_steps,
    }


def _kind(device: str) -> str:
    return resolve_device(device).type if device == 'auto' else device.partition(':')[0]
