# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Closed loop in the simulator: camera image and instruction in, action out, until it is done."""

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
    """Drive the simulated arm until it succeeds, and give each observation after acting on it.

    Args:
        env: the simulator, reset.
        instruction: what it is to do.
        act: observation -> values of the action.
        start_ns: stamp of the first observation.
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
    """Drive the simulated arm and hand out each observation after it was acted on.

    Args:
        env: the simulator.
        seeds: one episode each; its first observation is the one with stamp 0.
        act: observation -> values of the action.
    """
    for seed in seeds:
        yield from drive(env, env.reset(seed=seed), act)


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """How an episode begins; see `Environment.reset`.

    seed: lays the scene out, and chooses the instruction where none is given.
    instruction: what is to be done.
    initial_state: number of a layout that a benchmark publishes.
    """

    seed: int = 0
    instruction: str | None = None
    initial_state: int | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One model step.

    action: what was done. milliseconds: wall time of its inference.
    reference: what autoregressive decoding gives for the same observation, and its time; None
        where that was not compared, as are those that follow.
    position: (3,) of the grasp point after the step, metres.
    own: what autoregressive decoding gives in the policy's own precision, where that was asked.
    generated: tokens of the other implementation, (D,), and its time, where there is one.
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

    wrong_object: whether another object was lifted at any time. interval: from one step to the
    next, seconds.
    """

    start: Start
    instruction: str
    success: bool
    wrong_object: bool
    steps: tuple[Step, ...]
    interval: float


class ClosedLoop:
    """Runs a policy in a simulator, beside the same policy decoding autoregressively.

    All that decode an observation take turns at going first, so that none finds the caches warmer.

    Args:
        policy: decodes as asked for and drives the arm.
        reference: another policy over the same checkpoint; its actions are only compared.
        env: the simulator; whoever made it closes it.
        own: one more, in the precision of `policy`; what it gives autoregressively is compared.
            It may be the reference.
        generate: another implementation, observation -> tokens (D,), that is timed beside them.
        compare_every: the reference and others decode every Nth observation, from the first
            on.
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
            decoding: the policy's.
            watch: is shown each observation and the action for it.
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
        """Return the fields of a step; turn: who begins, None where nothing is compared."""
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
    """Return what each job gives and its milliseconds; it runs them from the first one round."""
    found: dict[int, tuple[Any, float]] = {}
    for place in (*range(first, len(jobs)), *range(first)):
        start = time.perf_counter()
        result = jobs[place]()
        found[place] = result, 1e3 * (time.perf_counter() - start)
    return [found[place] for place in range(len(jobs))]
