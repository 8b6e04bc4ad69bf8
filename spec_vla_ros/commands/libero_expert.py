# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""`spec-vla libero-expert`: measures the success of the scripted expert in LIBERO.

It may be interrupted at any time. Started again with the same options, it resumes.
"""

from __future__ import annotations

import argparse
import functools
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import as_completed
from pathlib import Path
from typing import Any

import numpy as np

from spec_vla_ros.command_line import (
    check_initial_states,
    check_writable,
    chosen_tasks,
    user_path,
)
from spec_vla_ros.evaluation.episode_log import EpisodeLog
from spec_vla_ros.evaluation.measures import mean_squared_jerk, wilson_interval
from spec_vla_ros.programs import worker_processes
from spec_vla_ros.sim.libero.env import LiberoEnv, controller_input
from spec_vla_ros.sim.libero.expert import FULL_SPEED, LiberoExpert
from spec_vla_ros.sim.libero.motion import Disturbance
from spec_vla_ros.sim.libero.suites import INITIAL_STATES, MAX_STEPS, Task, read_tasks

FIRST_SEED = 1_000_000
"""First seed of the layouts; training uses higher ones."""

KEY = ('suite', 'task', 'start', 'number', 'noise')
"""The fields that identify an episode in the log; number: of the seed or the official state."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument('--suite', default='libero_object', choices=list(MAX_STEPS))
    parser.add_argument('--tasks', type=int, nargs='+', help='numbers from 0 (default: all)')
    parser.add_argument('--episodes', type=int, default=20, help='of each task (default: 20)')
    parser.add_argument(
        '--official',
        action='store_true',
        help='begin in the official initial states instead of layouts drawn from seeds',
    )
    parser.add_argument(
        '--noise',
        type=float,
        default=0.0,
        help='disturb actions, as part of full speed: 0.1 is as demonstrations may have it',
    )
    parser.add_argument('--processes', type=int, default=1, help='episodes run side by side')
    parser.add_argument(
        '--out', type=user_path, default=Path('results'), help='folder to write into'
    )


def run(args: argparse.Namespace) -> int:
    """Run the episodes that have not run yet, and print a table of all.

    Raises:
        ValueError: LIBERO is not installed, or an option is out of range.
    """
    tasks = read_tasks(args.suite)
    chosen = chosen_tasks(args.tasks, len(tasks))
    for name in ('episodes', 'processes'):
        if getattr(args, name) < 1:
            raise ValueError(f'--{name} {getattr(args, name)}: give at least one')
    if args.official:
        check_initial_states(args.episodes, INITIAL_STATES)
    if not 0.0 <= args.noise <= 1.0:
        raise ValueError(f'--noise {args.noise} is not in 0 .. 1')
    check_writable(args.out)
    log = EpisodeLog(args.out / 'libero_expert.jsonl', key=KEY)
    start, first = ('official', 0) if args.official else ('seed', FIRST_SEED)
    wanted = [
        (args.suite, task, start, first + episode, args.noise)
        for task in chosen
        for episode in range(args.episodes)
    ]
    done = log.read()
    missing = [key for key in wanted if key not in done]
    if len(missing) < len(wanted):
        print(f'{len(wanted) - len(missing)} of {len(wanted)} episodes have run before')
    began = time.monotonic()
    with worker_processes(args.processes) as pool:
        for count, ended in enumerate(as_completed([pool.submit(_run, k) for k in missing]), 1):
            log.add(ended.result())
            left = (time.monotonic() - began) / count * (len(missing) - count)
            print(f'{count} of {len(missing)} episodes, {left / 60:.0f} min left', flush=True)
    rows = log.read()
    print(table([rows[key] for key in wanted], tasks))
    return 0


def table(rows: Sequence[Mapping[str, Any]], tasks: Sequence[Task]) -> str:
    """Return a Markdown table of success, steps and smoothness for each task and for all.

    rows: the log's rows, one for each episode.
    tasks: of the suite.
    """
    head = '| task | success | 95 % | steps | saturated | jerk, (m/s^3)^2 | grasps that failed |'
    lines = [head, '|---|---|---|---|---|---|---|']
    for task in tasks:
        mine = [row for row in rows if row['task'] == task.number]
        lines += [_line(f'{task.number} {task.instruction}', mine)] if mine else []
    return '\n'.join([*lines, _line('all', rows)])


def _line(name: str, rows: Sequence[Mapping[str, Any]]) -> str:
    successes = [row for row in rows if row['success']]
    low, high = wilson_interval(len(successes), len(rows))
    steps = f'{np.mean([row["steps"] for row in successes]):.0f}' if successes else '-'
    saturated, jerk, failed = (
        float(np.mean([row[field] for row in rows]))
        for field in ('saturated', 'jerk', 'failed_grasps')
    )
    return (
        f'| {name} | {len(successes)}/{len(rows)} | {low:.0%} .. {high:.0%} | {steps} '
        f'| {saturated:.2%} | {jerk:.1f} | {failed:.2f} |'
    )


@functools.cache
def _environment(suite: str) -> LiberoEnv:
    """Return the simulator of this process, in which the last task stays loaded."""
    return LiberoEnv(suite)


def _run(key: tuple[str, int, str, int, float]) -> dict[str, Any]:
    """Run one episode, and return its row for the log.

    key: see `KEY`.
    """
    suite, task, start, number, noise = key
    env = _environment(suite)
    instruction = env.tasks[task].instruction
    if start == 'official':
        env.reset(instruction=instruction, initial_state=number)
    else:
        env.reset(instruction=instruction, seed=number)
    rng = np.random.default_rng((number, task))
    disturbed = Disturbance(rng, level=noise, full=FULL_SPEED)
    expert, outcome = LiberoExpert(), env.outcome()
    actions: list[np.ndarray] = []
    positions: list[np.ndarray] = []
    while not outcome.success and len(actions) < env.max_steps:
        scene = env.scene()
        positions.append(scene.position)
        actions.append(expert.act(scene))
        env.step(disturbed(actions[-1]))
        outcome = env.outcome()
    inputs = np.array([controller_input(action)[:6] for action in actions])
    return {
        **dict(zip(KEY, key, strict=True)),
        'success': outcome.success,
        'steps': len(actions),
        'saturated': float(np.mean(np.abs(inputs) >= 0.99)),
        'jerk': mean_squared_jerk(np.array(positions), interval=env.interval),
        'failed_grasps': expert.failed_grasps,
    }
