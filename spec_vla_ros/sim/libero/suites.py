# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""LIBERO's suites: their tasks, step limits and official initial states."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from spec_vla_ros.sim.libero.installed import check_installed, quiet_import

MAX_STEPS = {
    'libero_goal': 300,
    'libero_object': 280,
    'libero_spatial': 220,
    'libero_10': 520,
}
"""Suite -> how many actions an episode may take, as in OpenVLA's evaluation."""

INITIAL_STATES = 50
"""How many official initial states each task has."""

SETTLING_STEPS = 10
"""Steps before an episode, in which the arm does nothing and objects come to rest."""


@dataclass(frozen=True, slots=True)
class Task:
    """One task of a suite.

    suite, name: LIBERO's names of the suite and the task.
    number: index of the task in the suite, from 0.
    instruction: in lower case, as policies get it.
    """

    suite: str
    number: int
    name: str
    instruction: str


def check_suite(suite: str) -> None:
    """Raise ValueError if there is no such suite; the message lists those there are."""
    if suite not in MAX_STEPS:
        raise ValueError(f'suite {suite!r} is none of {", ".join(MAX_STEPS)}')


def read_tasks(suite: str) -> tuple[Task, ...]:
    """Return the tasks of a suite, in the order that results are published in.

    Raises:
        ValueError: there is no such suite, or LIBERO is not installed.
    """
    check_suite(suite)
    check_installed()
    with quiet_import():
        from libero.libero.benchmark import task_maps
    listed = task_maps[suite].values()
    return tuple(Task(suite, n, t.name, t.language.lower()) for n, t in enumerate(listed))


def find_task(tasks: tuple[Task, ...], instruction: str) -> Task:
    """Return the task with this instruction.

    Raises:
        ValueError: there is none; the message lists them.
    """
    wanted = ' '.join(instruction.lower().split())
    for task in tasks:
        if task.instruction == wanted:
            return task
    known = '; '.join(task.instruction for task in tasks)
    raise ValueError(f'instruction {instruction!r} is none of {tasks[0].suite}: {known}')


def problem_file(task: Task) -> Path:
    """Return the BDDL file that describes the task's scene and goal."""
    return _folder('bddl_files') / task.suite / f'{task.name}.bddl'


def read_goals(task: Task) -> tuple[tuple[str, ...], ...]:
    """Return the conditions of success: (relation, thing), and the place if it is to be placed."""
    with quiet_import():
        from libero.libero.envs.bddl_utils import robosuite_parse_problem
    parsed = robosuite_parse_problem(str(problem_file(task)))
    return tuple(tuple(condition) for condition in parsed['goal_state'])


def read_initial_states(task: Task) -> np.ndarray:
    """Return the official initial states (N, S): MuJoCo's time, positions and velocities."""
    with np.load(_folder('init_states') / task.suite / f'{task.name}.pruned_init.npz') as file:
        return file['states']


def _folder(kind: str) -> Path:
    check_installed()
    with quiet_import():
        from libero.libero import get_libero_path
    return Path(get_libero_path(kind))
