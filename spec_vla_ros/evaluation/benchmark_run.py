# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""`spec-vla evaluate --benchmark SUITE`: every way of decoding in LIBERO's official episodes.

It may be interrupted at any time. Started again with the same options, it resumes.
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
    parallelism_from,
    setup_from,
    states_from,
    tasks_from,
)
from spec_vla_ros.evaluation.benchmark_report import FinishedEpisode, write_report
from spec_vla_ros.evaluation.episode_log import EpisodeLog
from spec_vla_ros.evaluation.suite_worker import Job, Result, Setup, SuiteWorker
from spec_vla_ros.evaluation.summary import EpisodeFigures
from spec_vla_ros.evaluation.workers import Parallelism, run_jobs
from spec_vla_ros.files import contents, digest, files_in, written_whole
from spec_vla_ros.models.checkpoint import resolve_device
from spec_vla_ros.sim.libero.suites import read_tasks
from spec_vla_ros.types import Decoding

KEY = ('suite', 'task', 'state', 'mode', 'settings')
"""The fields that identify an episode in the log; settings: see `_digest`."""

_FIGURES = [field.name for field in dataclasses.fields(EpisodeFigures)]


def run_benchmark(args: argparse.Namespace, modes: Mapping[str, Decoding]) -> int:
    """Run the episodes that have not run yet, and write tables, plot and films.

    Args:
        args: the command line.
        modes: the ways of decoding to compare, by name.

    Raises:
        ValueError: LIBERO is not installed, or an option cannot be used, see `setup_from`.
        CheckpointError: the checkpoint cannot be used.
    """
    tasks = read_tasks(args.benchmark)
    chosen, states = tasks_from(args, tasks), states_from(args)
    setup, parallelism = setup_from(args, modes), parallelism_from(args)
    settings = _digest(setup)
    jobs = [
        Job(task=task, state=state, mode=mode)
        for task in chosen  # the outermost loop, since a task takes seconds to load
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
        films.forget()  # those that are there show another policy
    for result in _run(setup, missing, parallelism, films=films):
        key = dict(zip(KEY, keys[dataclasses.replace(result.job, films=frozenset())], strict=True))
        log.add({**key, 'ran_on': result.ran_on, **dataclasses.asdict(result.figures)})
    rows = log.read()
    finished: dict[str, list[FinishedEpisode]] = defaultdict(list)
    for job in jobs:
        row = rows[keys[job]]
        figures = EpisodeFigures(**{name: row[name] for name in _FIGURES})
        finished[job.mode].append(FinishedEpisode(job.task, figures, ran_on=row['ran_on']))
    write_report(args.out, finished, tasks=tasks, settings=_in_json(setup))
    return 0


class _Films:
    """Two films of a suite: a success in the last mode, and a failure in any mode."""

    def __init__(self, out: Path, suite: str, modes: Sequence[str]) -> None:
        self._out, self._suite, self._last = out, suite, modes[-1]

    def path(self, outcome: str) -> Path:
        """Return the file of the film of an outcome, 'success' or 'failure'."""
        return self._out / f'{self._suite}_{outcome}.webp'

    def forget(self) -> None:
        """Remove both films."""
        for outcome in ('success', 'failure'):
            self.path(outcome).unlink(missing_ok=True)

    def wanted(self, job: Job) -> Job:
        """Return the same job with a request for the films that are missing."""
        outcomes = ('success', 'failure') if job.mode == self._last else ('failure',)
        missing = frozenset(o for o in outcomes if not self.path(o).exists())
        return dataclasses.replace(job, films=missing)

    def keep(self, result: Result) -> None:
        """Write a result's film, if it has one that is still missing."""
        path = self.path('success' if result.figures.success else 'failure')
        if result.film is not None and not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            with written_whole(path) as partial:
                partial.write_bytes(result.film)


def _run(
    setup: Setup, jobs: Sequence[Job], parallelism: Parallelism, *, films: _Films
) -> Iterator[Result]:
    """Run episodes, keep their films and print the progress; yield results as they come."""
    began = time.monotonic()
    found = run_jobs(SuiteWorker, setup, jobs, parallelism=parallelism, prepare=films.wanted)
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
    """Return a digest of all that the results depend on, the mode excepted.

    Episodes logged with another digest count as not run. A mode has its own field in the log.
    """
    compared = [version('transformers')] if setup.generate else []
    inputs = {
        **_in_json(setup),
        'checkpoint': contents(files_in(setup.checkpoint)),
        'drafter': None if setup.drafter is None else contents(files_in(setup.drafter)),
        'versions': [torch.__version__, mujoco.__version__, *compared],
        'figures': _FIGURES,
    }
    return digest(inputs)


def _in_json(setup: Setup) -> dict[str, Any]:
    """Return a setup without its modes, ready for JSON."""
    return {
        'suite': setup.suite,
        'checkpoint': setup.checkpoint.name,
        'drafter': None if setup.drafter is None else setup.drafter.name,
        'recipe': dataclasses.asdict(setup.recipe),
        'unnorm_key': setup.unnorm_key,
        'device': _device_type(setup.device),
        'dtype': setup.dtype,
        'stored_as': setup.stored_as,
        'tree': dataclasses.astuple(setup.tree),
        'compare_every': setup.compare_every,
        'generate': setup.generate,
        'max_steps': setup.max_steps,
    }


def _device_type(device: str) -> str:
    return resolve_device(device).type if device == 'auto' else device.partition(':')[0]
