# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The control loop: what the policy node does at each tick, free of ROS.

Images and instructions are stored as they come; a tick decides. At every tick the loop either
halts, for a stated reason, or plays the current action's velocity; when the action has been
executed and an image shows the result, the worker infers the next one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from spec_vla_ros.protocols import Action, Decoding, Observation, Policy
from spec_vla_ros.runtime.counters import Counters
from spec_vla_ros.runtime.delta_schedule import DeltaSchedule, Twist, ticks_for, zero_twist
from spec_vla_ros.runtime.guards import refusal
from spec_vla_ros.runtime.halt import RUNNING, Halt, Reason
from spec_vla_ros.runtime.image_watch import NANOSECONDS, ImageWatch, Seen
from spec_vla_ros.runtime.settings import PolicySettings
from spec_vla_ros.runtime.worker import Finished, InferenceWorker

Image = TypeVar('Image')

MAX_INSTRUCTION = 500
"""Characters; beyond it an instruction is a mistake, not a wish."""


@dataclass(frozen=True, slots=True)
class NewAction:
    """An action whose execution begins at this tick.

    decoding: how it was asked to be decoded.
    """

    action: Action
    decoding: Decoding
    instruction: str
    observation_stamp_ns: int
    sequence: int
    step_duration: float
    inference_seconds: float


@dataclass(frozen=True, slots=True)
class Tick:
    """What to publish at one tick."""

    twist: Twist
    new_action: NewAction | None
    halt: Halt


@dataclass(frozen=True, slots=True)
class _Request(Generic[Image]):
    seen: Seen[Image]
    instruction: str
    task: int  # a new number is a new task: the policy forgets the one before
    settings: PolicySettings


class ControlLoop(Generic[Image]):
    """Camera images and an instruction in, velocities out. All calls from one thread.

    Args:
        policy: infers the actions; called in the worker's thread only.
        to_rgb: turns a stored image into (H, W, 3) uint8 RGB, in the worker's thread; what it
            raises counts as an inference error.
        settings: see `apply`.
    """

    def __init__(
        self, policy: Policy, *, to_rgb: Callable[[Image], np.ndarray], settings: PolicySettings
    ) -> None:
        self._policy = policy
        self._to_rgb = to_rgb
        self._settings = settings
        self._watch: ImageWatch[Image] = ImageWatch()
        self._schedule = DeltaSchedule()
        self._worker: InferenceWorker[_Request[Image], Action] = InferenceWorker(self._infer)
        self._instruction = ''
        self._bad_instruction: str | None = None
        self._task = 0
        self._last_task = -1  # the worker's: the task of its latest inference
        self._used: Seen[Image] | None = None
        self._in_motion = False
        self._motion_end_ns = 0
        self._fault = RUNNING
        self._halt = Halt(Reason.NO_INSTRUCTION)
        self._rejected = self._errors = self._timeouts = self._halts = self._sequence = 0

    @property
    def instruction(self) -> str:
        """The instruction in force; empty when there is none."""
        return self._instruction

    @property
    def counters(self) -> Counters:
        """What has happened so far."""
        return Counters(
            images_received=self._watch.count,
            actions_published=self._sequence,
            actions_rejected=self._rejected,
            results_discarded=self._worker.discarded,
            inference_errors=self._errors,
            inference_timeouts=self._timeouts,
            halts=self._halts,
        )

    def apply(self, settings: PolicySettings) -> None:
        """Use these settings from the next tick and the next inference on."""
        self._settings = settings

    def store_image(self, image: Image, *, stamp_ns: int, now_ns: int) -> None:
        """Keep an image that has just arrived; a zero stamp means the camera gives none."""
        self._watch.store(image, stamp_ns=stamp_ns, now_ns=now_ns)

    def store_instruction(self, text: str) -> None:
        """Take an instruction; an empty one cancels, the one in force again changes nothing."""
        text = text.strip()
        bad = None
        if len(text) > MAX_INSTRUCTION:
            bad = f'the instruction has {len(text)} characters, at most {MAX_INSTRUCTION} are read'
        if bad is None and text == self._instruction and self._bad_instruction is None:
            return
        self._bad_instruction = bad
        self._instruction = '' if bad else text
        self._drop_everything()

    def stop(self) -> None:
        """Forget images and inferences; the instruction stays."""
        self._drop_everything()
        self._watch.forget()

    def close(self, *, timeout: float) -> bool:
        """End the worker; return whether it ended within `timeout` seconds."""
        return self._worker.close(timeout=timeout)

    def tick(self, now_ns: int) -> Tick:
        """Return what to publish now; called at control rate."""
        settings = self._settings
        halt = self._external_halt(settings, now_ns)
        new_action = None
        if halt is not RUNNING:
            self._drop_everything()
        if not self._schedule.moving:
            self._note_end_of_motion(now_ns)
            finished = self._worker.poll()
            if finished is not None:
                new_action = self._begin(finished)
        twist = self._schedule.tick()
        if halt is RUNNING:
            self._ask(settings)
            halt = self._fault
        if halt is not RUNNING:
            twist = zero_twist()
            self._halts += self._halt is RUNNING
        self._halt = halt
        return Tick(twist, new_action, halt)

    def _external_halt(self, settings: PolicySettings, now_ns: int) -> Halt:
        """Return why to halt whatever the policy says, or RUNNING."""
        if self._bad_instruction is not None:
            return Halt(Reason.BAD_INSTRUCTION, self._bad_instruction)
        if not self._instruction:
            return Halt(
                Reason.NO_INSTRUCTION, 'no instruction has been given, or it was cancelled'
            )
        if self._watch.newest is None:
            return Halt(Reason.NO_IMAGE, 'no image has arrived since activation')
        stale = self._watch.staleness(now_ns=now_ns, timeout=settings.image_timeout)
        if stale is not None:
            return Halt(Reason.STALE_IMAGE, stale)
        running_for = self._worker.running_for
        if running_for > settings.inference_timeout:
            self._timeouts += self._halt.reason is not Reason.INFERENCE_TIMEOUT
            return Halt(
                Reason.INFERENCE_TIMEOUT,
                f'an inference takes longer than inference_timeout={settings.inference_timeout} s',
            )
        return RUNNING

    def _ask(self, settings: PolicySettings) -> None:
        """Infer from the newest image, if it is new and shows the arm at rest."""
        newest = self._watch.newest
        if newest is None or newest is self._used:
            return
        if settings.wait_for_motion:
            settled_ns = self._motion_end_ns + round(settings.settle_time * NANOSECONDS)
            if self._in_motion or newest.stamp_ns < settled_ns:
                return
        if self._worker.submit(_Request(newest, self._instruction, self._task, settings)):
            self._used = newest

    def _infer(self, request: _Request[Image]) -> Action:
        """Run in the worker's thread."""
        if request.task != self._last_task:
            self._policy.reset()
            self._last_task = request.task
        image = self._to_rgb(request.seen.image)
        observation = Observation(image, request.instruction, request.seen.stamp_ns)
        return self._policy.infer(observation, request.settings.decoding)

    def _begin(self, finished: Finished[_Request[Image], Action]) -> NewAction | None:
        """Start executing an inferred action, unless it may not be."""
        request, settings = finished.request, finished.request.settings
        if finished.result is None:
            self._errors += 1
            kind = type(finished.error).__name__
            self._fault = Halt(Reason.INFERENCE_ERROR, f'{kind}: {finished.error}')
            return None
        refused = refusal(finished.result.values, settings.limits)
        if refused is not None:
            self._rejected += 1
            self._fault = Halt(Reason.ACTION_REJECTED, refused)
            return None
        self._fault = RUNNING
        ticks = ticks_for(settings.step_duration, settings.control_rate)
        delta = finished.result.values[:6]
        self._schedule.start(delta, ticks=ticks, control_rate=settings.control_rate)
        self._in_motion = True
        self._sequence += 1
        return NewAction(
            action=finished.result,
            decoding=settings.decoding,
            instruction=request.instruction,
            observation_stamp_ns=request.seen.stamp_ns,
            sequence=self._sequence,
            step_duration=ticks / settings.control_rate,
            inference_seconds=finished.seconds,
        )

    def _note_end_of_motion(self, now_ns: int) -> None:
        if self._in_motion:
            self._in_motion = False
            self._motion_end_ns = now_ns
        self._motion_end_ns = min(self._motion_end_ns, now_ns)  # the clock was set back

    def _drop_everything(self) -> None:
        self._task += 1
        self._worker.discard()
        self._schedule.halt()
        self._fault = RUNNING
        self._used = None
