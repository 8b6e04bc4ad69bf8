# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Where the prompts that a drafter learns from come from: the simulator."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from spec_vla_ros.sim.env import TabletopEnv
from spec_vla_ros.sim.expert import MAX_MOTION
from spec_vla_ros.training.drafter_data import Example
from spec_vla_ros.types import Decoding, Observation, Policy

_MAX_STEPS = 36
_SETTLE = (0.02, 0.10)
_NOISE = (0.0, 0.0, 0.3)
_STEPS_AFTER_SUCCESS = 1


def simulated_examples(policy: Policy, seeds: range) -> Iterator[Example]:
    """Let the policy drive one episode a seed, some of them disturbed, and give what it sees."""
    env = TabletopEnv()
    try:
        for seed in seeds:
            rng = np.random.default_rng((seed, 2))
            instruction, noise = env.reset(seed=seed), rng.choice(_NOISE)
            policy.reset()
            steps_after_success = 0
            for _ in range(_MAX_STEPS):
                image = env.render()
                yield Example(image=image, instruction=instruction, episode=seed)
                action = policy.infer(Observation(image, instruction), Decoding()).values.copy()
                action[:6] += noise * rng.standard_normal(6) * MAX_MOTION
                env.step(action, settle=rng.uniform(*_SETTLE))
                steps_after_success += env.outcome().success
                if steps_after_success > _STEPS_AFTER_SUCCESS:
                    break
    finally:
        env.close()
