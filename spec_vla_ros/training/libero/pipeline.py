# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""From a seed to the checkpoint of a small LIBERO policy: every stage in order, resumable."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

from spec_vla_ros.sim.libero.env import LiberoEnv
from spec_vla_ros.sim.libero.suites import read_tasks
from spec_vla_ros.training.libero.collect import collect_libero, named_things

EPISODES_PER_FILE = 12
FIRST_SEED = 2_000_000
"""Of the layouts trained on; the expert is measured with those before."""

Report = Callable[[str], None]


def collect_files(
    suite: str, work: Path, *, rounds: int, processes: int, report: Report
) -> list[Path]:
    """Collect the files of frames that are missing, and return all: one a task and round.

    Raises:
        ValueError: LIBERO is not installed, or the suite's tasks are more than placing a thing.
    """
    tasks = read_tasks(suite)
    named_things(tasks)
    jobs = [
        (suite, task.number, turn, work / f'{suite}_{turn:03d}_{task.number}.npz')
        for turn in range(rounds)
        for task in tasks
    ]
    missing = [job for job in jobs if not job[3].exists()]
    # spawn: the renderer's threads do not survive a fork
    with ProcessPoolExecutor(processes, mp_context=get_context('spawn')) as pool:
        for count, ended in enumerate(
            as_completed([pool.submit(_collect, j) for j in missing]), 1
        ):
            report(f'{ended.result()}: {count} of {len(missing)} files')
    return [job[3] for job in jobs]


def _collect(job: tuple[str, int, int, Path]) -> str:
    suite, task, turn, path = job
    first = FIRST_SEED + turn * EPISODES_PER_FILE
    env = LiberoEnv(suite)
    try:
        seeds = range(first, first + EPISODES_PER_FILE)
        collect_libero(env, task, seeds, named=named_things(env.tasks)).save(path)
    finally:
        env.close()
    return path.name
