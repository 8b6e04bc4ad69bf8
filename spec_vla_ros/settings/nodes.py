# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The only place where the nodes' parameters are declared: name, default, unit, range, meaning.

A settings object is frozen, so that its users always see a consistent set. The ROS layer declares
parameters from these classes, and replaces the whole object if some of them change.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from spec_vla_ros.settings.conventions import ConventionSettings
from spec_vla_ros.settings.model import ModelSettings
from spec_vla_ros.settings.outputs import NONE, POSE, TWIST, UNITLESS, OutputSettings
from spec_vla_ros.settings.parameter import parameter
from spec_vla_ros.settings.safety import SafetySettings


@dataclass(frozen=True, kw_only=True)
class InterfaceSettings:
    """Topics, frames and the timing of commands."""

    image_transport: str = parameter(
        "'raw' subscribes to image, 'compressed' to image/compressed",
        default='raw',
        choices=('raw', 'compressed'),
    )
    command_frame: str = parameter(
        'Frame the actions are expressed in, put into the header of every command; nothing is '
        'rotated',
        default='base_link',
        frame=True,
    )
    control_rate: float = parameter(
        'Rate at which commands are published', default=30.0, unit='Hz', low=1.0, high=500.0
    )
    step_duration: float = parameter(
        'Over how long one action is executed, rounded to whole control ticks, at least one',
        default=0.1,
        unit='s',
        low=0.01,
        high=5.0,
        live=True,
    )
    wait_for_motion: bool = parameter(
        'Infer only from images taken after the previous action was executed; false: infer while '
        'the arm moves, which is faster and less exact',
        default=True,
        live=True,
    )
    settle_time: float = parameter(
        'How long after a motion the arm still moves; images from that time are not used',
        default=0.0,
        unit='s',
        low=0.0,
        high=5.0,
        live=True,
        only={'wait_for_motion': (True,)},
    )


@dataclass(frozen=True, kw_only=True)
class PolicySettings(
    SafetySettings, OutputSettings, InterfaceSettings, ConventionSettings, ModelSettings
):
    """Parameters of the policy node: those of the model first, those of safety last."""

    def __post_init__(self) -> None:
        super().__post_init__()
        scales = (self.twist_linear_scale,) * 3 + (self.twist_angular_scale,) * 3
        unitless = self.command_type == TWIST and self.twist_units == UNITLESS
        if unitless and any(v > s for v, s in zip(self.max_velocity, scales, strict=True)):
            raise ValueError(
                f'max_velocity: {self.max_velocity} is above {scales}, the speeds that unitless '
                'twists can say with twist_linear_scale and twist_angular_scale; lower it'
            )

        if self.gripper_range[0] == self.gripper_range[1] != 0:
            raise ValueError(
                f'gripper_range: {self.gripper_range} are both the same; set what the policy says '
                'at the two ends, the lower one first, or both to 0 for what the recipe says'
            )
        if self.gripper_type != NONE and self.gripper_open == self.gripper_closed:
            raise ValueError(
                f'gripper_open: {self.gripper_open} is also gripper_closed, so the gripper would '
                "never move; set both as the gripper's driver takes them, or gripper_type 'none'"
            )
        if self.gripper_type != NONE:
            self._refuse_positions_for_openings()

    def _refuse_positions_for_openings(self) -> None:
        """Refuse limits of the opening that were given in the units of the gripper's driver.

        gripper_max: 0.04 for a gripper of 0.04 m would let it open by 4 %.
        """
        least, most = self.gripper_min, self.gripper_max
        for name, limit, in_use, end in (
            ('gripper_max', most, most < 1, 'gripper_open'),
            ('gripper_min', least, least > 0, 'gripper_closed'),
        ):
            if in_use and limit == getattr(self, end):
                raise ValueError(
                    f'{name}: {limit} is also {end}, which is a position; {name} is an opening '
                    'from 0 (closed) to 1 (open), whatever the positions are'
                )

    @cached_property
    def needs_pose(self) -> bool:
        """Whether the arm may only move while its pose is known."""
        return self.motion_limits.box is not None or self.command_type == POSE


@dataclass(frozen=True, kw_only=True)
class RobotSettings:
    """Parameters that every simulated robot has."""

    image_size: int = parameter(
        'Width and height of the camera image', default=192, unit='px', low=32, high=480
    )
    image_transport: str = parameter(
        "'raw' publishes image, 'compressed' image/compressed as JPEG, 'both' both",
        default='raw',
        choices=('raw', 'compressed', 'both'),
    )
    command_timeout: float = parameter(
        'Stop when no velocity command came for this long',
        default=0.1,
        unit='s',
        low=0.01,
        high=5.0,
    )
    base_frame: str = parameter(
        'Frame of poses and velocity commands', default='base_link', frame=True
    )
    camera_frame: str = parameter(
        'Frame of the images', default='camera_optical_frame', frame=True
    )
    seed: int = parameter(
        'Seed of the scene before the first reset', default=0, low=0, high=2**32 - 1
    )


@dataclass(frozen=True, kw_only=True)
class SimSettings(RobotSettings):
    """Parameters of the simulated robot at its table."""

    frame_rate: float = parameter(
        'Rate of image, camera info and pose', default=30.0, unit='Hz', low=1.0, high=120.0
    )


@dataclass(frozen=True, kw_only=True)
class LiberoRobotSettings(RobotSettings):
    """Parameters of LIBERO's robot."""

    suite: str = parameter(
        'Whose ten tasks there are',
        default='libero_object',
        choices=('libero_goal', 'libero_object', 'libero_spatial', 'libero_10'),
    )
    image_size: int = parameter(
        'Width and height of the camera image', default=256, unit='px', low=32, high=480
    )
    image_rotation: int = parameter(
        "Turn of the simulator's picture: 180; or 0 for a policy whose recipe turns it itself, as "
        "'libero' does",
        default=180,
        unit='deg',
        low=0,
        high=180,
    )
    base_frame: str = parameter(
        'Frame of poses and velocity commands', default='world', frame=True
    )
    command_timeout: float = parameter(
        'Stop when no velocity command came for this long, of simulated time; between two and '
        'three control periods of 50 ms',
        default=0.125,
        unit='s',
        low=0.01,
        high=5.0,
    )


LIBERO_POLICY: dict[str, Any] = {
    'command_frame': LiberoRobotSettings.base_frame,
    'control_rate': 20.0,
    'step_duration': 0.05,
    'settle_time': 0.05,  # the robot obeys one period late
    'max_step_translation': 0.09,  # 0.05 m along each axis, the most that the controller takes
    'max_step_rotation': 0.9,
    'max_velocity': (1.0, 1.0, 1.0, 10.0, 10.0, 10.0),
    'clock_timeout': 5.0,  # while it stands still, so does the arm
    'detect_frozen_image': False,  # simulated cameras don't hang, and an arm may push for long
}
"""Parameters of the policy node that differ from their defaults with LIBERO's robot."""
