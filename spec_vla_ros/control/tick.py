# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""What the control loop returns at a tick: commands, or the reason why the arm stands still."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from spec_vla_ros.control.schedule import Twist
from spec_vla_ros.types import Action, Decoding


class Reason(enum.IntEnum):
    """Why the loop halts; the numbers equal PolicyStatus.REASON_*."""

    NONE = 0
    NO_INSTRUCTION = 1
    BAD_INSTRUCTION = 2
    NO_IMAGE = 3
    STALE_IMAGE = 4
    INFERENCE_ERROR = 5
    INFERENCE_TIMEOUT = 6
    ACTION_REJECTED = 7
    FROZEN_IMAGE = 8
    TWO_CAMERAS = 9
    POSE_MISSING = 10
    WORKER_DOWN = 11
    TOO_MANY_FAILURES = 12
    EMERGENCY_STOP = 13
    CLOCK_STOPPED = 14


@dataclass(frozen=True, slots=True)
class Halt:
    """Why the arm stands still; with the reason NONE it does not halt.

    lasting: whether waiting and trying again are of no use.
    """

    reason: Reason
    text: str = ''
    lasting: bool = False


RUNNING = Halt(Reason.NONE)


@dataclass(frozen=True, slots=True)
class Counters:
    """How often things have happened since the loop was made; see PolicyStatus.

    The clamps count the control ticks at which a limit took effect.
    """

    images_received: int = 0
    actions_published: int = 0
    actions_rejected: int = 0
    results_discarded: int = 0
    inference_errors: int = 0
    inference_timeouts: int = 0
    halts: int = 0
    worker_restarts: int = 0
    velocity_clamps: int = 0
    acceleration_clamps: int = 0
    workspace_clamps: int = 0
    gripper_clamps: int = 0


@dataclass(frozen=True, slots=True)
class NewAction:
    """An action whose execution begins at this tick.

    decoding: how it was to be decoded.
    observation_stamp_ns, observation_arrival_ns: when its image was taken, and when it arrived.
    sequence: its number.
    step_duration: seconds for which it is executed.
    inference_seconds: time for converting the image and inferring.
    """

    action: Action
    decoding: Decoding
    instruction: str
    observation_stamp_ns: int
    observation_arrival_ns: int
    sequence: int
    step_duration: float
    inference_seconds: float


@dataclass(frozen=True, slots=True)
class Tick:
    """What to publish at one tick.

    twist: the velocity until the next tick, within every limit.
    gripper: the opening in [0, 1] to command now; None if there is nothing new.
    new_action: the action that begins at this tick, if any.
    halt: why the arm stands still; `RUNNING` if it does not halt.
    """

    twist: Twist
    gripper: float | None
    new_action: NewAction | None
    halt: Halt
