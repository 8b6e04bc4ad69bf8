# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Sources of the prompts that a drafter learns from: simulators and recordings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from spec_vla_ros.evaluation.closed_loop import Start
from spec_vla_ros.recordings.prompts import RecordingTopics, recorded_observations
from spec_vla_ros.sim.environment import Environment
from spec_vla_ros.training.drafter.data import Example, Tokens
from spec_vla_ros.types import Decoding, Observation, Policy

_NOISE = (0.0, 0.0, 0.3)
_STEPS_AFTER_SUCCESS = 1


def tabletop_examples(policy: Policy, seeds: Sequence[int]) -> Iterator[Example]:
    """Let a policy drive one episode of the tabletop for each seed, and yield what it sees."""
    from spec_vla_ros.sim.env import TabletopEnv
    from spec_vla_ros.sim.expert import MAX_MOTION

    env = TabletopEnv()

    def step(action: np.ndarray, rng: np.random.Generator) -> None:
        env.step(action, settle=rng.uniform(0.02, 0.10))

    starts = [Start(seed=seed) for seed in seeds]
    yield from _driven(policy, env, starts, step=step, full_speed=MAX_MOTION, max_steps=36)


def libero_starts(suite: str, seeds: Sequence[int]) -> list[Start]:
    """Return an episode for each seed, over all tasks of a suite.

    Episodes of a task follow each other, since loading a task takes seconds. Layouts are drawn
    from the seeds; none is an official initial state.
    """
    from spec_vla_ros.sim.libero.suites import read_tasks

    tasks = read_tasks(suite)
    turns = max(len(seeds), len(tasks))
    return [
        Start(seed=seed, instruction=tasks[number * len(tasks) // turns].instruction)
        for number, seed in enumerate(seeds)
    ]


def libero_examples(
    policy: Policy, starts: Sequence[Start], *, suite: str, image_rotation: int
) -> Iterator[Example]:
    """Let a policy drive episodes of a suite of LIBERO, and yield what it sees.

    Only every second picture is used, since successive ones are nearly the same.

    Args:
        policy: drives the robot.
        starts: the episodes, see `libero_starts`.
        suite: the name of the suite.
        image_rotation: turn of the simulator's picture in degrees, see `libero_rotation`.

    Raises:
        ValueError: there is no such suite, or LIBERO is not installed.
    """
    from spec_vla_ros.sim.libero.env import LiberoEnv
    from spec_vla_ros.sim.libero.expert import FULL_SPEED

    env = LiberoEnv(suite, image_rotation=image_rotation)

    def step(action: np.ndarray, rng: np.random.Generator) -> None:
        env.step(action)

    yield from _driven(policy, env, starts, step=step, full_speed=FULL_SPEED, every=2)


def recorded_examples(
    path: Path,
    topics: RecordingTopics,
    *,
    answer: Callable[[Observation], Tokens],
    episode: int,
    every: int = 1,
    report: Callable[[str], None],
) -> Iterator[Example]:
    """Yield the images of a recording as prompts; see `recorded_observations`.

    Args:
        path: the recording.
        topics: the topics with images and instructions.
        answer: returns the target's tokens for an observation.
        episode: the recording's number as an episode.
        every: use only one image of so many.
        report: called at the end with a line that says how many images were used.

    Raises:
        FileNotFoundError, RecordingError: as `recorded_observations`.
    """
    for seen in recorded_observations(path, topics, every=every, report=report):
        yield Example(seen.image, seen.instruction, episode, answer(seen))


def _driven(
    policy: Policy,
    env: Environment,
    starts: Iterable[Start],
    *,
    step: Callable[[np.ndarray, np.random.Generator], None],
    full_speed: np.ndarray,
    max_steps: int | None = None,
    every: int = 1,
) -> Iterator[Example]:
    """Yield what a policy sees while it drives; about every third episode is disturbed.

    Args:
        policy: drives the robot.
        env: the simulator; it is closed in the end.
        starts: the episodes.
        step: executes an action in the simulator.
        full_speed: (6,), the unit of disturbances.
        max_steps: steps of an episode; None for the simulator's own limit.
        every: yield only one picture of so many.
    """
    try:
        for start in starts:
            rng = np.random.default_rng((start.seed, 2))
            instruction = env.reset(seed=start.seed, instruction=start.instruction)
            noise = rng.choice(_NOISE)
            policy.reset()
            steps_after_success = 0
            for number in range(env.max_steps if max_steps is None else max_steps):
                image = env.render()
                answer = policy.infer(Observation(image, instruction), Decoding())
                if number % every == 0:
                    yield Example(image, instruction, start.seed, answer.tokens)
                action = answer.values.copy()
                action[:6] += noise * rng.standard_normal(6) * full_speed
                step(action, rng)
                steps_after_success += env.outcome().success
                if steps_after_success > _STEPS_AFTER_SUCCESS:
                    break
    finally:
        env.close()
