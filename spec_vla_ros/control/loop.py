# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The control loop: what the policy node does at each tick, without ROS.

Images and instructions are stored as they come; the tick decides. At every tick the loop either
halts, for a stated reason, or hands out the current action's velocity. Once the action has been
executed and an image shows the result, the worker infers the next action.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

import numpy as np

from spec_vla_ros.control.limits import CommandLimits, refusal
from spec_vla_ros.control.poses import Pose
from spec_vla_ros.control.preconditions import EmergencyStop, Preconditions
from spec_vla_ros.control.requests import Inference, Request, Requests
from spec_vla_ros.control.schedule import DeltaSchedule, ticks_for, zero_twist
from spec_vla_ros.control.tick import RUNNING, Counters, Halt, NewAction, Reason, Tick
from spec_vla_ros.inference.wire import describe
from spec_vla_ros.inference.worker import Finished, Supervisor, Unsupervised
from spec_vla_ros.settings.nodes import PolicySettings
from spec_vla_ros.settings.outputs import MESSAGE
from spec_vla_ros.types import Action, InstructionError, Policy, UnreadableError

Image = TypeVar('Image')

HANG = 3
"""After so many times `inference_timeout`, an inference is ended, where that can be done."""


ENDED_BY_AN_INSTRUCTION = (Reason.TOO_MANY_FAILURES, Reason.FROZEN_IMAGE, Reason.POSE_MISSING)
"""Halts that any instruction ends, even the same again; POSE_MISSING only if the pose froze."""


class ControlLoop(Generic[Image]):
    """Camera images and an instruction in, velocities out. All calls from one thread.

    Args:
        policy: infers the actions; called in the worker's thread only.
        to_rgb: turns a stored image into (H, W, 3) uint8 RGB, in the worker's thread; what it
            raises counts as an inference error.
        settings: see `apply`.
        same_pixels: returns whether two stored images have the same pixels.
        supervisor: watches over the process in which the policy runs, if it has one.
        emergency: the emergency stop, a latch that may outlive this loop; None for a new one.
        clock: returns monotonic seconds, by which inferences are timed.
        on_finished: called from the worker's thread when an inference has ended.
    """

    def __init__(
        self,
        policy: Policy,
        *,
        to_rgb: Callable[[Image], np.ndarray],
        settings: PolicySettings,
        same_pixels: Callable[[Image, Image], bool] = lambda before, now: False,
        supervisor: Supervisor | None = None,
        emergency: EmergencyStop | None = None,
        clock: Callable[[], float] = time.monotonic,
        on_finished: Callable[[], None] = lambda: None,
    ) -> None:
        self._settings = settings
        self._supervisor = supervisor or Unsupervised()
        self._preconditions: Preconditions[Image] = Preconditions(
            same_pixels=same_pixels, emergency=emergency or EmergencyStop()
        )
        self._schedule = DeltaSchedule()
        self._limits = CommandLimits()
        self._requests: Requests[Image] = Requests(
            Inference(policy, to_rgb=to_rgb), clock=clock, on_finished=on_finished
        )
        self._finishing = False  # the action being executed is the last one, see `finish`
        self._ready = False  # no reason to halt at the latest tick, and nothing dropped since
        self._fault = RUNNING
        self._halt = Halt(Reason.NO_INSTRUCTION)
        self._rejected = self._errors = self._timeouts = self._halts = self._sequence = 0

    @property
    def instruction(self) -> str:
        """The instruction in force; empty when there is none."""
        return self._preconditions.instruction

    @property
    def pose(self) -> Pose | None:
        """The newest end-effector pose."""
        return self._preconditions.poses.newest

    @property
    def at_rest(self) -> bool:
        """Whether a new action could begin at any moment."""
        return self._requests.at_rest

    @property
    def counters(self) -> Counters:
        """What has happened so far."""
        return Counters(
            images_received=self._preconditions.images.count,
            actions_published=self._sequence,
            actions_rejected=self._rejected,
            results_discarded=self._requests.discarded,
            inference_errors=self._errors,
            inference_timeouts=self._timeouts,
            halts=self._halts,
            worker_restarts=self._supervisor.restarts,
            **self._limits.counts,
        )

    def known_pose(self, now_ns: int) -> Pose | None:
        """Return the newest end-effector pose, or None if it cannot be relied on."""
        return None if self._preconditions.pose_fault(self._settings, now_ns=now_ns) else self.pose

    def apply(self, settings: PolicySettings) -> None:
        """Use these settings from the next tick and the next inference on.

        When a dry run begins or ends, the current action is dropped: the arm must not execute only
        half of it. It is also dropped when a limit of speed or acceleration becomes tighter, since
        the arm could slow down too late, far behind where the action ends. With command_type
        message it is not dropped: the driver already has the whole action, and executes it.
        """
        slower = settings.motion_limits.slower_than(self._settings.motion_limits)
        if settings.dry_run != self._settings.dry_run:
            self._drop_everything()
            self._limits.forget_gripper()
        elif slower and settings.command_type != MESSAGE:
            self._drop_everything()
        self._settings = settings

    def store_image(
        self, image: Image, *, stamp_ns: int, now_ns: int, source: Hashable = None
    ) -> None:
        """Keep an image that has just arrived, and infer from it if the loop waits for one.

        stamp_ns: when it was taken; 0 if the camera does not say. source: tells publishers apart.
        """
        self._preconditions.store_image(image, stamp_ns=stamp_ns, now_ns=now_ns, source=source)
        if self._ready:
            self._ask(self._settings)

    def store_pose(self, pose: Pose) -> None:
        """Keep an end-effector pose that has just arrived."""
        self._preconditions.store_pose(pose)

    def store_instruction(self, text: str, *, anew: bool = False) -> None:
        """Take an instruction; an empty one cancels, and the one in force changes nothing.

        anew: somebody gives it just now. Then, if the arm waits for an instruction, it counts as a
            new one, even if it has the words of the one in force.
        """
        given_up = self._preconditions.failures.latched is not None
        waits = given_up or self._halt.reason in ENDED_BY_AN_INSTRUCTION
        if self._preconditions.store_instruction(text, again=anew and waits):
            self._finishing = False
            self._drop_everything()

    def refuse_instruction(self, why: str) -> None:
        """Follow no instruction until another one comes; why: the reason, in words."""
        self._preconditions.refuse_instruction(why)
        self._drop_everything()

    def finish(self) -> None:
        """Begin no further action until another instruction; finish the one being executed."""
        self._finishing = True
        self._requests.discard()

    def emergency_stop(self, source: str) -> None:
        """Command nothing but zero until `reset`, and forget the instruction.

        source: who asked for it, in words.
        """
        self._preconditions.emergency.press(source)
        self._preconditions.cancel()
        self._drop_everything()

    def reset(self) -> None:
        """Release the emergency stop, and restart the inference process if it was given up.

        A reset never sets a halted arm in motion: the instruction is forgotten, and only the next
        one makes the policy try again.
        """
        if self._halt is not RUNNING:
            self._preconditions.cancel()  # the next tick drops what was begun for it
        self._preconditions.emergency.release()
        self._supervisor.recover()

    def stop(self, halt: Halt | None = None) -> None:
        """Drop the action, inferences, images and the gripper's opening; keep the instruction.

        halt: the reason to halt for until the next tick, if there is one.
        """
        if halt is not None:
            self._halts += self._halt is RUNNING
            self._halt = halt
        self._drop_everything()
        self._limits.forget_gripper()
        self._preconditions.images.forget()

    def close(self, *, timeout: float) -> bool:
        """End the worker; return whether it ended within `timeout` seconds."""
        self._supervisor.close()
        return self._requests.close(timeout=timeout)

    def tick(self, now_ns: int, *, target: Pose | None = None) -> Tick:
        """Return what to publish now; called at control rate.

        target: where the end effector has been told to be, if it is commanded by target poses.
        """
        settings, period = self._settings, 1.0 / self._settings.control_rate
        halt = self._external_halt(settings, now_ns)
        new_action = None
        if halt is not RUNNING:
            self._drop_everything()
        if not self._schedule.moving:
            if self._limits.can_rest(settings):
                self._requests.motion_ended(now_ns)
            finished = self._requests.poll()
            if finished is not None:
                new_action = self._begin(finished, now_ns)
        wanted = self._schedule.tick()
        if halt is RUNNING:
            self._ask(settings)
            halt = self._fault
        if halt is RUNNING:
            if new_action is not None:  # which starts from where the arm is
                target = None
            twist = self._limits.twist(
                wanted, settings, pose=self.pose, now_ns=now_ns, target=target
            )
        else:
            twist = zero_twist()
            self._limits.halt()
            self._halts += self._halt is RUNNING
        self._halt = halt
        self._ready = halt is RUNNING
        if not settings.dry_run:
            self._preconditions.commanded(twist, seconds=period, now_ns=now_ns)
        return Tick(twist, self._limits.gripper(settings), new_action, halt)

    def _external_halt(self, settings: PolicySettings, now_ns: int) -> Halt:
        """Return why to halt for reasons outside the action itself, or RUNNING."""
        running_for, limit = self._requests.running_for, settings.inference_timeout
        if running_for > HANG * limit:
            self._supervisor.kill()
        halt = self._preconditions.halt(settings, now_ns=now_ns)
        trouble = self._supervisor.trouble
        if trouble is not None and halt.reason is not Reason.EMERGENCY_STOP:
            return Halt(Reason.WORKER_DOWN, trouble, lasting=self._supervisor.given_up)
        if halt is RUNNING and running_for > limit:
            text = f'an inference takes longer than inference_timeout={limit} s'
            if self._halt.reason is not Reason.INFERENCE_TIMEOUT:
                self._timeouts += 1
                self._preconditions.failures.failed(text, limit=settings.max_inference_failures)
            return Halt(Reason.INFERENCE_TIMEOUT, text)
        return halt

    def _ask(self, settings: PolicySettings) -> None:
        if not self.instruction or self._finishing:  # it has just been refused, or is being ended
            return
        self._requests.ask(self._preconditions.images.newest, self.instruction, settings)

    def _begin(self, finished: Finished[Request[Image], Action], now_ns: int) -> NewAction | None:
        """Start executing an inferred action, or note why it must not be executed."""
        request, settings = finished.request, finished.request.settings
        action = finished.outcome
        if isinstance(action, Exception):
            self._errors += 1
            self._note_error(action)
            return None
        refused = refusal(action.values, self._settings.action_limits)
        if refused is not None:
            self._rejected += 1
            self._fail(Reason.ACTION_REJECTED, refused)
            return None
        self._preconditions.failures.succeeded()
        self._fault = RUNNING
        ticks = ticks_for(settings.step_duration, settings.control_rate)
        seconds = ticks / settings.control_rate
        self._limits.open_gripper(float(action.values[6]), self._settings)
        if settings.command_type == MESSAGE:  # nothing but the action itself can be clamped
            values = self._limits.clamp_action(
                action.values, self._settings, seconds=seconds, pose=self.pose, now_ns=now_ns
            )
            action = dataclasses.replace(action, values=values)
        delta = action.values[:6]
        self._schedule.start(delta, ticks=ticks, control_rate=settings.control_rate)
        self._requests.motion_began()
        self._sequence += 1
        return NewAction(
            action=action,
            decoding=settings.decoding,
            instruction=request.instruction,
            observation_stamp_ns=request.image.stamp_ns,
            observation_arrival_ns=request.image.arrival_ns,
            sequence=self._sequence,
            step_duration=seconds,
            inference_seconds=finished.seconds,
        )

    def _note_error(self, error: Exception) -> None:
        """Halt for an error of an inference; one that trying again cannot mend is no failure."""
        if isinstance(error, InstructionError):
            self._preconditions.refuse_instruction(str(error))
            self._fault = Halt(Reason.BAD_INSTRUCTION, str(error), lasting=True)
        elif isinstance(error, UnreadableError):
            self._fault = Halt(Reason.INFERENCE_ERROR, describe(error), lasting=True)
        else:
            self._fail(Reason.INFERENCE_ERROR, describe(error))

    def _fail(self, reason: Reason, text: str) -> None:
        self._fault = Halt(reason, text)
        self._preconditions.failures.failed(text, limit=self._settings.max_inference_failures)

    def _drop_everything(self) -> None:
        self._ready = False
        self._requests.discard()
        self._schedule.halt()
        self._limits.halt()
        self._fault = RUNNING
