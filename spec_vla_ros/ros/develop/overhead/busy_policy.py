# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""A policy that computes for a given time, and reports for how long it did."""

from __future__ import annotations

import dataclasses
import time

from spec_vla_ros.inference.process_policy import ProcessPolicy
from spec_vla_ros.ros.load import policy_from_settings
from spec_vla_ros.settings.nodes import PolicySettings
from spec_vla_ros.types import Action, Decoding, Observation, Policy, PolicyInfo

MODEL_SECONDS = 0.05
"""About what a policy of 7 billion parameters takes on a fast GPU."""

PHASE = 'model'


class BusyPolicy:
    """Repeats another policy's inference until a time is up.

    The time that this took is the only phase in the action's statistics.

    Args:
        policy: the other policy.
        seconds: how long an inference takes at least.
    """

    def __init__(self, policy: Policy, *, seconds: float = MODEL_SECONDS) -> None:
        self._policy = policy
        self._seconds = seconds

    @property
    def info(self) -> PolicyInfo:
        """See `Policy.info`; that of the other policy."""
        return self._policy.info

    def infer(self, observation: Observation, decoding: Decoding) -> Action:
        """Return the other policy's last action."""
        start = time.perf_counter()
        while True:
            action = self._policy.infer(observation, decoding)
            elapsed = time.perf_counter() - start
            if elapsed >= self._seconds:
                break
        stats = dataclasses.replace(action.stats, phases_ms={PHASE: elapsed * 1e3})
        return dataclasses.replace(action, stats=stats)

    def reset(self) -> None:
        """Forget everything kept from earlier observations."""
        self._policy.reset()


def load_busy_policy(settings: PolicySettings) -> Policy:
    """Return a busy policy in this process, over the one that the settings name."""
    return BusyPolicy(policy_from_settings(settings))


def make_busy_policy(settings: PolicySettings) -> Policy:
    """Return a busy policy in this process or in one of its own, as `inference_worker` says."""
    if settings.inference_worker == 'process':
        return ProcessPolicy(f'{__name__}:{load_busy_policy.__name__}', settings)
    return load_busy_policy(settings)
