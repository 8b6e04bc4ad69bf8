# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Closed loop in the simulator: camera image and instruction in, action out, until it is done."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass

import numpy as np

from spec_vla_ros.protocols import Observation, Policy
from spec_vla_ros.sim.env import STEP_DURATION, TabletopEnv

HELD_OUT_SEEDS = range(9_000_000, 9_100_000)
"""Seeds that no training data is ever drawn from."""

MAX_STEPS = 60

_SETTLE = 0.06
"""Time between the end of one motion and the next one in the running system, seconds."""


@dataclass(frozen=True, slots=True)
class Episode:
    """One episode's result.

    steps: model steps until success, or all there were. wrong_object: another block was lifted
    at any time. latency_ms: median time of one inference.
    """

    seed: int
    instruction: str
    success: bool
    wrong_object: bool
    steps: int
    latency_ms: float


def run_episode(env: TabletopEnv, policy: Policy, *, seed: int) -> Episode:
    """Run one episode with the instruction that its seed chooses."""
    instruction = env.reset(seed=seed)
    policy.reset()
    latencies, wrong, success = [], False, False
    for _ in range(MAX_STEPS):
        observation = Observation(image=env.render(), instruction=instruction)
        start = time.perf_counter()
        action = policy.infer(observation)
        latencies.append(1e3 * (time.perf_counter() - start))
        env.step(action.values, settle=_SETTLE)
        outcome = env.outcome()
        wrong |= outcome.wrong_object
        success = outcome.success
        if success:
            break
    return Episode(
        seed=seed,
        instruction=instruction,
        success=success,
        wrong_object=wrong,
        steps=len(latencies),
        latency_ms=float(np.median(latencies)),
    )


def run_episodes(
    policy: Policy,
    seeds: Iterable[int],
    *,
    image_size: int = 192,
    report: Callable[[Episode], None] = lambda episode: None,
) -> list[Episode]:
    """Run one episode a seed; `report` hears of each as it ends."""
    env = TabletopEnv(image_size=image_size)
    episodes = []
    try:
        for seed in seeds:
            episodes.append(run_episode(env, policy, seed=seed))
            report(episodes[-1])
    finally:
        env.close()
    return episodes


def wilson_interval(successes: int, trials: int, *, z: float = 1.96) -> tuple[float, float]:
    """Return Wilson's score interval of a rate; z = 1.96 gives 95 %.

    Raises ValueError when there were no trials.
    """
    if trials < 1:
        raise ValueError('an interval needs at least one trial')
    rate, square = successes / trials, z * z
    middle = (rate + square / (2 * trials)) / (1 + square / trials)
    spread = (rate * (1 - rate) / trials + square / (4 * trials**2)) ** 0.5
    half = z * spread / (1 + square / trials)
    return middle - half, middle + half


def summarise(episodes: list[Episode]) -> dict:
    """Return the figures of a run, ready for JSON."""
    by_instruction: dict[str, list[Episode]] = {}
    for episode in episodes:
        by_instruction.setdefault(episode.instruction, []).append(episode)
    successes = sum(e.success for e in episodes)
    return {
        'episodes': len(episodes),
        'success_rate': successes / len(episodes),
        'success_interval_95': wilson_interval(successes, len(episodes)),
        'wrong_object': sum(e.wrong_object for e in episodes),
        'median_steps': float(np.median([e.steps for e in episodes if e.success] or [np.nan])),
        'step_duration_s': STEP_DURATION,
        'median_latency_ms': float(np.median([e.latency_ms for e in episodes])),
        'by_instruction': {
            instruction: {'episodes': len(rows), 'successes': sum(e.success for e in rows)}
            for instruction, rows in sorted(by_instruction.items())
        },
        'failed_seeds': [e.seed for e in episodes if not e.success],
        'rows': [asdict(e) for e in episodes],
    }
