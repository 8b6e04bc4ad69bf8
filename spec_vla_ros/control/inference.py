# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""One inference, as the worker's thread carries it out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from spec_vla_ros.control.image_watch import Seen
from spec_vla_ros.settings.nodes import PolicySettings
from spec_vla_ros.types import Action, Observation, Policy

Image = TypeVar('Image')


@dataclass(frozen=True, slots=True)
class Request(Generic[Image]):
    """What to infer from; what holds when it is asked holds for all of it.

    task: a new number is a new task, for which the policy forgets the one before.
    """

    seen: Seen[Image]
    instruction: str
    task: int
    settings: PolicySettings


class Inference(Generic[Image]):
    """Converts an image and asks the policy.

    Args:
        policy: infers the actions.
        to_rgb: turns a stored image into (H, W, 3) uint8 RGB.
    """

    def __init__(self, policy: Policy, *, to_rgb: Callable[[Image], np.ndarray]) -> None:
        self._policy = policy
        self._to_rgb = to_rgb
        self._last_task: int | None = None

    def __call__(self, request: Request[Image]) -> Action:
        """Return the action; raises what the conversion or the policy raises."""
        if request.task != self._last_task:
            self._policy.reset()
            self._last_task = request.task
        image = self._to_rgb(request.seen.image)
        observation = Observation(image, request.instruction, request.seen.stamp_ns)
        return self._policy.infer(observation, request.settings.decoding)
