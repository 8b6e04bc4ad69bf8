# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Why a robot is made to stand still."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Reason(enum.IntEnum):
    """Why the loop halts; the numbers are those of PolicyStatus.REASON_*."""

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
    """Standing still, and why; with reason NONE it is no halt."""

    reason: Reason
    text: str = ''


RUNNING = Halt(Reason.NONE)
