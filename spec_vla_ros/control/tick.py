# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""What the control loop hands out at one tick."""

from __future__ import annotations

from dataclasses import dataclass

from spec_vla_ros.control.halt import Halt
from spec_vla_ros.control.schedule import Twist
from spec_vla_ros.types import Action, Decoding


@dataclass(frozen=True, slots=True)
class NewAction:
    """An action whose execution begins at this tick.

    decoding: how it was asked to be decoded.
    observation_stamp_ns, observation_arrival_ns: when its image was taken, and when it came.
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

    twist: the velocity to hold until the next tick, within every limit.
    gripper: the opening in [0, 1] to command now; None: nothing new.
    """

    twist: Twist
    gripper: float | None
    new_action: NewAction | None
    halt: Halt
