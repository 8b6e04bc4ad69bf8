# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Runs episodes in a simulator: each image is decoded to an action, until the task is done."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from spec_vla_ros.sim.environment import Environment
from spec_vla_ros.types import Action, Decoding, Observation, Policy


def interval_ns(env: Environment) -> int:
    """Return the time between the images of two steps, nanoseconds."""
    return round(1e9 * env.interval)


def drive(
    env: Environment,
    instruction: str,
    act: Callable[[Observation], np.ndarray],
    *,
    start_ns: int = 0,
) -> Iterator[Observation]:
    """Run one episode, and yield each observation after acting on it.

    It ends with success or after `env.max_steps` actions.

    Args:
        env: the simulator; it must have been reset.
        instruction: goes into the observations.
        act: observation -> values of the action, (7,).
        start_ns: stamp of the first observation, nanoseconds.
    """
    for step in range(env.max_steps):
        stamp_ns = start_ns + step * interval_ns(env)
        observation = Observation(env.render(), instruction, stamp_ns)
        env.step(act(observation))
        yield observation
        if env.outcome().success:
            return


def episodes(
    env: Environment, seeds: Iterable[int], act: Callable[[Observation], np.ndarray]
) -> Iterator[Observation]:
    """Run an episode for each seed, and yield each observation after acting on it.

    Args:
        env: the simulator.
        seeds: see `Environment.reset`. Each episode's first observation has stamp 0.
        act: observation -> values of the action, (7,).
    """
    for seed in seeds:
        yield from drive(env, env.reset(seed=seed), act)


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """How an episode begins: the arguments of `Environment.reset`."""

    seed: int = 0
    instruction: str | None = None
    initial_state: int | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One model step: the action that was executed, and others decoded only to compare.

    What was not decoded in this step is None.

    action, milliseconds: the action executed, and the wall time of its inference.
    reference, reference_milliseconds: the reference's autoregressive action, and its time.
    position: (3,), the grasp point after the step, metres.
    own: the autoregressive action in the policy's own precision.
    generated, generate_milliseconds: tokens (D,) of the other implementation, and its time.
    """

    action: Action
    reference: Action | None
    milliseconds: float
    reference_milliseconds: float | None
    position: np.ndarray
    own: Action | None = None
    generated: np.ndarray | None = None
    generate_milliseconds: float | None = None


@dataclass(frozen=True, slots=True)
class Episode:
    """One episode.

    wrong_object: whether an object other than the instruction's was lifted at any time.
    interval: time from one step to the next, seconds.
    """

    start: Start
    instruction: str
    success: bool
    wrong_object: bool
    steps: tuple[Step, ...]
    interval: float


class ClosedLoop:
    """Runs a policy in a simulator, and decodes some observations in other ways to compare.

    Whatever is timed takes turns at decoding first, since the first finds colder caches.

    Args:
        policy: drives the arm, in the way of decoding that is asked for.
        reference: a policy over the same checkpoint, which decodes autoregressively.
        env: the simulator; the caller closes it.
        own: a policy in the precision of `policy`, which decodes autoregressively and is not
            timed. It may be the reference itself. None if this need not be compared.
        generate: another implementation, observation -> tokens (D,).
        compare_every: the others decode every Nth observation only, beginning with the first.
        max_steps: ends episodes earlier than the simulator does.
    """

    def __init__(
        self,
        policy: Policy,
        reference: Policy,
        env: Environment,
        *,
        own: Policy | None = None,
        generate: Callable[[Observation], np.ndarray] | None = None,
        compare_every: int = 1,
        max_steps: int | None = None,
    ) -> None:
        self._policy, self._reference, self._own = policy, reference, own
        self._env, self._generate = env, generate
        self._compare_every, self._max_steps = compare_every, max_steps

    def run(
        self,
        start: Start,
        decoding: Decoding,
        *,
        watch: Callable[[Observation, Action], None] | None = None,
    ) -> Episode:
        """Run one episode.

        Args:
            start: how it begins.
            decoding: how the policy decodes.
            watch: called with each observation and its action.
        """
        env = self._env
        instruction = env.reset(
            seed=start.seed, instruction=start.instruction, initial_state=start.initial_state
        )
        most = min(env.max_steps, self._max_steps or env.max_steps)
        self._policy.reset()
        self._reference.reset()
        steps: list[Step] = []
        wrong = success = False
        while not success and len(steps) < most:
            stamp_ns = len(steps) * interval_ns(env)
            observation = Observation(env.render(), instruction, stamp_ns)
            compared, rest = divmod(len(steps), self._compare_every)
            decoded = self._decode(observation, decoding, turn=None if rest else compared)
            if watch is not None:
                watch(observation, decoded['action'])
            env.step(decoded['action'].values)
            position, _ = env.end_effector_pose()
            steps.append(Step(position=position, **decoded))
            outcome = env.outcome()
            wrong |= outcome.wrong_object
            success = outcome.success
        return Episode(start, instruction, success, wrong, tuple(steps), env.interval)

    def _decode(
        self, observation: Observation, decoding: Decoding, *, turn: int | None
    ) -> dict[str, Any]:
        """Decode an observation; return the fields of `Step` without `position`.

        turn: how many observations were compared before, which decides who decodes first; None
        if this one is not compared.
        """
        jobs: list[Callable[[], Any]] = [lambda: self._policy.infer(observation, decoding)]
        if turn is None:
            ((action, milliseconds),) = _timed(jobs, first=0)
            return {
                'action': action,
                'milliseconds': milliseconds,
                'reference': None,
                'reference_milliseconds': None,
            }
        jobs.append(lambda: self._reference.infer(observation, Decoding()))
        generate = self._generate
        if generate is not None:
            jobs.append(lambda: generate(observation))
        timed = _timed(jobs, first=turn % len(jobs))
        (action, milliseconds), (reference, reference_milliseconds) = timed[:2]
        found = {
            'action': action,
            'milliseconds': milliseconds,
            'reference': reference,
            'reference_milliseconds': reference_milliseconds,
        }
        if generate is not None:
            found['generated'], found['generate_milliseconds'] = timed[2]
        if self._own is self._reference:
            found['own'] = reference
        elif self._own is not None:
            found['own'] = self._own.infer(observation, Decoding())
        return found


def _timed(jobs: list[Callable[[], Any]], *, first: int) -> list[tuple[Any, float]]:
    """Run the jobs in cyclic order from the index `first`; return their results and milliseconds.

    The results are in the order of the jobs.
    """
    found: dict[int, tuple[Any, float]] = {}
    for place in (*range(first, len(jobs)), *range(first)):
        start = time.perf_counter()
        result = jobs[place]()
        found[place] = result, 1e3 * (time.perf_counter() - start)
    return [found[place] for place in range(len(jobs))]
