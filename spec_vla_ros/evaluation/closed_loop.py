# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Closed loop in the simulator: camera image and instruction in, action out, until it is done."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from spec_vla_ros.policy import SpecVlaPolicy
from spec_vla_ros.sim.environment import Environment
from spec_vla_ros.types import Action, Decoding, Observation


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


@dataclass(frozen=True, slots=True)
class Step:
    """One model step.

    action, reference: what was done, and what autoregressive decoding gives for the same
    observation. milliseconds, reference_milliseconds: wall time of the two inferences.
    position: (3,) of the grasp point after the step, metres.
    own: what autoregressive decoding gives in the policy's own precision, where that was asked.
    """

    action: Action
    reference: Action
    milliseconds: float
    reference_milliseconds: float
    position: np.ndarray
    own: Action | None = None


@dataclass(frozen=True, slots=True)
class Episode:
    """One episode.

    wrong_object: whether another object was lifted at any time. interval: from one step to the
    next, seconds.
    """

    seed: int
    instruction: str
    success: bool
    wrong_object: bool
    steps: tuple[Step, ...]
    interval: float


class ClosedLoop:
    """Runs a policy in the simulator, beside the same policy decoding autoregressively.

    The two take turns at going first, so that neither finds the caches warmer.

    Args:
        policy: decodes as asked for and drives the arm.
        reference: another policy over the same checkpoint; its actions are only compared.
        env: the simulator; whoever made it closes it.
        own: one more, in the precision of `policy`; what it gives autoregressively is compared.
    """

    def __init__(
        self,
        policy: SpecVlaPolicy,
        reference: SpecVlaPolicy,
        env: Environment,
        *,
        own: SpecVlaPolicy | None = None,
    ) -> None:
        self._policy, self._reference, self._own = policy, reference, own
        self._env = env

    def run_all(self, seeds: Iterable[int], decoding: Decoding) -> Iterator[Episode]:
        """Run one episode a seed."""
        for seed in seeds:
            yield self.run(seed, decoding)

    def run(self, seed: int, decoding: Decoding) -> Episode:
        """Run one episode with the instruction that its seed chooses."""
        env = self._env
        instruction = env.reset(seed=seed)
        self._policy.reset()
        self._reference.reset()
        steps: list[Step] = []
        wrong = success = False
        while not success and len(steps) < env.max_steps:
            stamp_ns = len(steps) * interval_ns(env)
            observation = Observation(env.render(), instruction, stamp_ns)
            jobs = [(self._policy, decoding), (self._reference, Decoding())]
            if len(steps) % 2:
                timed = [_timed(*job, observation) for job in reversed(jobs)][::-1]
            else:
                timed = [_timed(*job, observation) for job in jobs]
            (action, milliseconds), (reference, reference_milliseconds) = timed
            own = None if self._own is None else self._own.infer(observation, Decoding())
            env.step(action.values)
            position, _ = env.end_effector_pose()
            step = Step(action, reference, milliseconds, reference_milliseconds, position, own)
            steps.append(step)
            outcome = env.outcome()
            wrong |= outcome.wrong_object
            success = outcome.success
        return Episode(seed, instruction, success, wrong, tuple(steps), env.interval)


def _timed(
    policy: SpecVlaPolicy, decoding: Decoding, observation: Observation
) -> tuple[Action, float]:
    start = time.perf_counter()
    action = policy.infer(observation, decoding)
    return action, 1e3 * (time.perf_counter() - start)
