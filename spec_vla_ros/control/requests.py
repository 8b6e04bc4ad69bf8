# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""When the policy is asked for the next action, and from which image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from spec_vla_ros.control.watches import StampedImage
from spec_vla_ros.inference.worker import Finished, InferenceWorker
from spec_vla_ros.settings.nodes import PolicySettings
from spec_vla_ros.types import NANOSECONDS, Action, Observation, Policy

Image = TypeVar('Image')


@dataclass(frozen=True, slots=True)
class Request(Generic[Image]):
    """What to infer from. Its settings hold for the whole inference.

    task: with each new number, the policy first forgets everything about the task before.
    """

    image: StampedImage[Image]
    instruction: str
    task: int
    settings: PolicySettings


class Inference(Generic[Image]):
    """Converts an image and asks the policy; called in the worker's thread.

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
        image = self._to_rgb(request.image.image)
        observation = Observation(image, request.instruction, request.image.stamp_ns)
        return self._policy.infer(observation, request.settings.decoding)


class Requests(Generic[Image]):
    """Asks for one action at a time, from an image that is new and shows the arm at rest.

    Args:
        infer: see `Inference`; called in the worker's thread only.
        clock: monotonic seconds.
        on_finished: called from the worker's thread when an inference has ended.
    """

    def __init__(
        self,
        infer: Callable[[Request[Image]], Action],
        *,
        clock: Callable[[], float],
        on_finished: Callable[[], None],
    ) -> None:
        self._worker: InferenceWorker[Request[Image], Action] = InferenceWorker(
            infer, clock=clock, on_finished=on_finished
        )
        self._task = 0
        self._used: StampedImage[Image] | None = None
        self._in_motion = False
        self._motion_end_ns = 0

    @property
    def at_rest(self) -> bool:
        """Whether no action is being executed."""
        return not self._in_motion

    @property
    def running_for(self) -> float:
        """For how many seconds an inference has been running, discarded or not; else 0."""
        return self._worker.running_for

    @property
    def discarded(self) -> int:
        """How many results were thrown away."""
        return self._worker.discarded

    def motion_began(self) -> None:
        """Note that an action is being executed."""
        self._in_motion = True

    def motion_ended(self, now_ns: int) -> None:
        """Note that the arm is at rest; may be called repeatedly while it is."""
        if self._in_motion:
            self._in_motion = False
            self._motion_end_ns = now_ns
        self._motion_end_ns = min(self._motion_end_ns, now_ns)  # if the clock was set back

    def ask(
        self, newest: StampedImage[Image] | None, instruction: str, settings: PolicySettings
    ) -> bool:
        """Ask for an action if the image is new and shows the arm at rest; return whether."""
        if newest is None or newest is self._used:
            return False
        if settings.wait_for_motion:
            settled_ns = self._motion_end_ns + round(settings.settle_time * NANOSECONDS)
            # No image is newer than its arrival, whatever the camera's clock says.
            taken_ns = min(newest.stamp_ns, newest.arrival_ns)
            if self._in_motion or taken_ns < settled_ns:
                return False
        submitted = self._worker.submit(Request(newest, instruction, self._task, settings))
        if submitted:
            self._used = newest
        return submitted

    def poll(self) -> Finished[Request[Image], Action] | None:
        """Return the result that has come since the last call; None if there is none."""
        return self._worker.poll()

    def discard(self) -> None:
        """Throw away whatever has been asked for; the next request begins a new task."""
        self._task += 1
        self._worker.discard()
        self._used = None

    def close(self, *, timeout: float) -> bool:
        """End the worker; return whether it ended within `timeout` seconds."""
        return self._worker.close(timeout=timeout)
