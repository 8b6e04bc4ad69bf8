# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Parameters of the policy node about when it halts, and the limits that it never exceeds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from spec_vla_ros.settings.outputs import GRIPPERS, MESSAGE, POSE, TWIST
from spec_vla_ros.settings.parameter import parameter


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionLimits:
    """The largest action that is executed; a larger one is refused.

    translation: metres per model step.
    rotation: radians per model step.
    gripper_margin: how far outside [0, 1] a gripper opening may lie and still be clipped.
    """

    translation: float
    rotation: float
    gripper_margin: float = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class MotionLimits:
    """The limits of commanded velocities.

    velocity: (6,) m/s along x, y, z and rad/s about them.
    acceleration: (6,) m/s2 and rad/s2; infinite where there is no limit.
    box: (2, 3) least and greatest position in metres; None for no box.
    """

    velocity: np.ndarray
    acceleration: np.ndarray
    box: np.ndarray | None = None

    def slower_than(self, other: MotionLimits) -> bool:
        """Whether a velocity or an acceleration is limited more than in the other limits."""
        return bool(
            (self.velocity < other.velocity).any()
            or (self.acceleration < other.acceleration).any()
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class GripperLimits:
    """The limits of commanded gripper openings.

    low, high: openings in [0, 1]; rate: change in 1/s, infinite for no limit.
    """

    low: float = 0.0
    high: float = 1.0
    rate: float = math.inf


@dataclass(frozen=True, kw_only=True)
class SafetySettings:
    """Time limits, motion limits, and what happens after failures."""

    image_timeout: float = parameter(
        'Halt when the newest image is older than this',
        default=0.5,
        unit='s',
        low=0.05,
        high=10.0,
        live=True,
    )
    inference_timeout: float = parameter(
        'Halt when an inference takes longer than this',
        default=2.0,
        unit='s',
        low=0.05,
        high=120.0,
        live=True,
    )
    max_step_translation: float = parameter(
        'Refuse actions that move further', default=0.05, unit='m', low=0.0, high=1.0, live=True
    )
    max_step_rotation: float = parameter(
        'Refuse actions that turn further',
        default=0.5,
        unit='rad',
        low=0.0,
        high=math.pi,
        live=True,
    )
    detect_frozen_image: bool = parameter(
        'Halt when the arm is commanded to move and the pixels, or the pose where one is needed, '
        'stay the same for longer than image_timeout',
        default=True,
        live=True,
    )
    max_inference_failures: int = parameter(
        'Failed inferences and rejected actions in a row, after which it gives up until reset or '
        'a new instruction',
        default=30,
        low=1,
        high=1000,
        live=True,
    )
    inference_worker: str = parameter(
        "Where inference runs: in a 'process' of its own, which can be killed, or in a 'thread'",
        default='process',
        choices=('process', 'thread'),
    )
    configure_timeout: float = parameter(
        'How long the inference process may take to load the checkpoint',
        default=600.0,
        unit='s',
        low=1.0,
        high=3600.0,
        only={'inference_worker': ('process',)},
    )
    max_worker_restarts: int = parameter(
        'How often in a row a dead inference process is started again, until reset',
        default=3,
        low=0,
        high=100,
        only={'inference_worker': ('process',)},
    )
    max_velocity: tuple[float, ...] = parameter(
        'Clamp the commanded velocity along and about x, y, z',
        default=(0.5, 0.5, 0.5, 2.5, 2.5, 2.5),
        unit='m/s, rad/s',
        low=0.0,
        high=10.0,
        live=True,
    )
    max_acceleration: tuple[float, ...] = parameter(
        'Clamp the change of the commanded velocity along and about x, y, z; 0: no limit. A halt '
        'is at once. Without effect on command_type message',
        default=(0.0, 0.0, 0.0, 0.0, 0.0, 0.0),
        unit='m/s2, rad/s2',
        low=0.0,
        high=1000.0,
        live=True,
        only={'command_type': (TWIST, POSE)},
    )
    workspace_min: tuple[float, ...] = parameter(
        'Least x, y, z of the end effector in command_frame; both corners 0: no box',
        default=(0.0, 0.0, 0.0),
        unit='m',
        low=-10.0,
        high=10.0,
        live=True,
    )
    workspace_max: tuple[float, ...] = parameter(
        'Greatest x, y, z of the end effector in command_frame; needs end_effector_pose',
        default=(0.0, 0.0, 0.0),
        unit='m',
        low=-10.0,
        high=10.0,
        live=True,
    )
    pose_timeout: float = parameter(
        'Halt when a pose is needed and the newest is older than this',
        default=0.2,
        unit='s',
        low=0.02,
        high=10.0,
        live=True,
    )
    clock_timeout: float = parameter(
        'With use_sim_time: halt when the simulated clock stands still for longer than this, by '
        "the computer's own clock",
        default=0.5,
        unit='s',
        low=0.05,
        high=60.0,
        live=True,
    )
    gripper_min: float = parameter(
        'Least gripper opening that is commanded',
        default=0.0,
        low=0.0,
        high=1.0,
        live=True,
        only={'gripper_type': GRIPPERS, 'command_type': (MESSAGE,)},
    )
    gripper_max: float = parameter(
        'Greatest gripper opening that is commanded',
        default=1.0,
        low=0.0,
        high=1.0,
        live=True,
        only={'gripper_type': GRIPPERS, 'command_type': (MESSAGE,)},
    )
    max_gripper_rate: float = parameter(
        'Clamp the change of the commanded gripper opening; 0: no limit',
        default=0.0,
        unit='1/s',
        low=0.0,
        high=100.0,
        live=True,
        only={'gripper_type': GRIPPERS, 'command_type': (MESSAGE,)},
    )
    dry_run: bool = parameter(
        'Publish everything but commands to arm and gripper; with command_type message these are '
        'the topic action',
        default=False,
        live=True,
    )
    accept_unknown_parameters: bool = parameter(
        'Activate even if parameters or remaps were given at start that have no effect: of no '
        "such name, or under another node's",
        default=False,
        live=True,
    )

    def __post_init__(self) -> None:
        if self.gripper_min > self.gripper_max:
            raise ValueError(
                f'gripper_min: {self.gripper_min} is above gripper_max={self.gripper_max}'
            )
        low, high = self.workspace_min, self.workspace_max
        if low == high and any(low):
            raise ValueError(
                f'workspace_min: {low} is also workspace_max, which is no box; set the two '
                'opposite corners, or both to 0 for no box'
            )
        if any(low) != any(high):  # one corner after the other would be another box for a while
            raise ValueError(
                f'workspace_min: {low} with workspace_max={high} is half a box, as both corners '
                'are 0 without one; set both at once, in the parameter file at start or by the '
                'service set_parameters_atomically; for a corner at the origin, 0.001 in place of '
                'a 0'
            )
        if low != high and not all(a < b for a, b in zip(low, high, strict=True)):
            raise ValueError(
                f'workspace_min: {low} is not below workspace_max={high} on every axis; set both '
                'together, or both to 0 for no box'
            )

    @cached_property
    def action_limits(self) -> ActionLimits:
        """The largest action that is executed."""
        return ActionLimits(translation=self.max_step_translation, rotation=self.max_step_rotation)

    @cached_property
    def motion_limits(self) -> MotionLimits:
        """The limits of commanded velocities."""
        acceleration = np.array(self.max_acceleration)
        has_box = self.workspace_min != self.workspace_max
        return MotionLimits(
            velocity=np.array(self.max_velocity),
            acceleration=np.where(acceleration > 0, acceleration, np.inf),
            box=np.array([self.workspace_min, self.workspace_max]) if has_box else None,
        )

    @cached_property
    def gripper_limits(self) -> GripperLimits:
        """The limits of commanded gripper openings."""
        return GripperLimits(
            low=self.gripper_min, high=self.gripper_max, rate=self.max_gripper_rate or math.inf
        )
