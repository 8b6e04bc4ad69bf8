# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""All limits on what is commanded, as the settings in force say."""

from __future__ import annotations

from spec_vla_ros.control.gripper_clamp import GripperClamp
from spec_vla_ros.control.image_watch import NANOSECONDS
from spec_vla_ros.control.motion_limits import MotionClamp
from spec_vla_ros.control.pose_watch import Pose
from spec_vla_ros.control.schedule import Twist
from spec_vla_ros.settings.nodes import PolicySettings


class CommandLimits:
    """Clamps what arm and gripper are told at one tick after the other."""

    def __init__(self) -> None:
        self._motion = MotionClamp()
        self._gripper = GripperClamp()

    @property
    def counts(self) -> dict[str, int]:
        """How often each kind of limit took effect, by the names of Counters."""
        return {
            'velocity_clamps': self._motion.velocity_clamps,
            'acceleration_clamps': self._motion.acceleration_clamps,
            'workspace_clamps': self._motion.workspace_clamps,
            'gripper_clamps': self._gripper.clamps,
        }

    def halt(self) -> None:
        """Note that zero is commanded, and leave the gripper where it is told to be."""
        self._motion.halt()
        self._gripper.hold()

    def can_rest(self, settings: PolicySettings) -> bool:
        """Whether the velocity can be zero at the next tick."""
        return self._motion.can_rest(settings.motion_limits, period=1.0 / settings.control_rate)

    def twist(
        self, wanted: Twist, settings: PolicySettings, *, pose: Pose | None, now_ns: int
    ) -> Twist:
        """Return the velocity to command; a pose is needed with a workspace box."""
        limits, period = settings.motion_limits, 1.0 / settings.control_rate
        if limits.box is None:
            return self._motion.clamp(wanted, limits, period=period)
        age = max(0, now_ns - pose.stamp_ns) / NANOSECONDS
        return self._motion.clamp(
            wanted, limits, period=period, position=pose.position, horizon=age + period
        )

    def open_gripper(self, opening: float, settings: PolicySettings) -> None:
        """Head for an opening, 0 closed to 1 open."""
        self._gripper.go_to(opening, settings.gripper_limits)

    def gripper(self, settings: PolicySettings) -> float | None:
        """Return the opening to command, or None when there is nothing new to say."""
        return self._gripper.tick(settings.gripper_limits, period=1.0 / settings.control_rate)
