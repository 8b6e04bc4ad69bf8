# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""What may be commanded: actions that are refused, and limits that clamp and count.

An action that is too large to be believed is refused. All other actions are clamped to the limits
of velocity, acceleration, workspace and gripper.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from spec_vla_ros.control.poses import Pose
from spec_vla_ros.control.schedule import Twist
from spec_vla_ros.settings.nodes import PolicySettings
from spec_vla_ros.settings.outputs import MESSAGE
from spec_vla_ros.settings.safety import ActionLimits, GripperLimits, MotionLimits
from spec_vla_ros.types import DIMENSIONS, NANOSECONDS


def refusal(values: np.ndarray, limits: ActionLimits) -> str | None:
    """Return why an action must not be executed, or None if it may.

    An action beyond the limits is refused rather than clipped: it means that the policy, its norm
    stats or its image is wrong, and a clipped wrong action is still wrong.

    values: (7,) dx dy dz in metres, rotation vector in radians, gripper opening.
    """
    values = np.asarray(values, dtype=float)
    if values.shape != (DIMENSIONS,):
        return f'the action has shape {values.shape}, expected ({DIMENSIONS},)'
    if not np.isfinite(values).all():
        return f'the action is not finite: {np.array2string(values, precision=4)}'
    translation = math.hypot(*values[:3])
    if translation > limits.translation:
        return f'a step of {translation:.4f} m is above max_step_translation={limits.translation}'
    rotation = math.hypot(*values[3:6])
    if rotation > limits.rotation:
        return f'a step of {rotation:.4f} rad is above max_step_rotation={limits.rotation}'
    gripper, margin = float(values[6]), limits.gripper_margin
    if not -margin <= gripper <= 1 + margin:
        return f'a gripper opening of {gripper:.4f} is outside [0, 1]'
    return None


class MotionClamp:
    """Clamps one velocity after the other, on each axis by itself."""

    def __init__(self) -> None:
        self._last = np.zeros(6)
        self.velocity_clamps = 0
        self.acceleration_clamps = 0
        self.workspace_clamps = 0

    def halt(self) -> None:
        """Note that zero is commanded at once: limits of acceleration do not delay a halt."""
        self._last = np.zeros(6)

    def can_rest(self, limits: MotionLimits, *, period: float) -> bool:
        """Whether the velocity can be zero at the next tick within the acceleration limits."""
        return bool((np.abs(self._last) <= limits.acceleration * period).all())

    def clamp(
        self,
        wanted: Twist,
        limits: MotionLimits,
        *,
        period: float,
        position: np.ndarray | None = None,
        horizon: float = 0.0,
        target: np.ndarray | None = None,
    ) -> Twist:
        """Return the velocity to command until the next tick.

        period: seconds from one tick to the next.
        position: (3,) metres, where the end effector was when it was measured; needed with a box.
        horizon: seconds from that measurement until the next command takes effect. The velocity is
            limited to what keeps the end effector inside the box until then. It is never reversed,
            so from outside the box it leads back in only if the policy wants so.
        target: (3,) metres, the target pose's position, if the arm is commanded by target poses.
            It is kept inside, too, since the pose of an arm that lags behind shows too late where
            the arm is being sent.
        """
        asked = np.concatenate((wanted.linear, wanted.angular))
        given = np.clip(asked, -limits.velocity, limits.velocity)
        self.velocity_clamps += bool((given != asked).any())
        step = limits.acceleration * period
        slewed = np.clip(given, self._last - step, self._last + step)
        self.acceleration_clamps += bool((slewed != given).any())
        if limits.box is not None:
            inside, places = slewed[:3], [(position, horizon)]
            if target is not None:
                places.append((target, period))
            for place, seconds in places:
                reach = (limits.box - place) / seconds
                inside = np.clip(inside, np.minimum(reach[0], 0), np.maximum(reach[1], 0))
            self.workspace_clamps += bool((inside != slewed[:3]).any())
            slewed[:3] = inside
        self._last = slewed
        return Twist(slewed[:3], slewed[3:])


class GripperClamp:
    """Hands out gripper openings on the way to the one that an action asked for.

    At first it is not known where the gripper is, so the first opening is commanded as it is.
    """

    def __init__(self) -> None:
        self._commanded: float | None = None
        self._goal: float | None = None
        self.clamps = 0

    def go_to(self, opening: float, limits: GripperLimits) -> None:
        """Head for an opening; what lies a little outside [0, 1] is not counted as clamped."""
        wanted = min(max(opening, 0.0), 1.0)
        self._goal = min(max(wanted, limits.low), limits.high)
        self.clamps += self._goal != wanted

    def stop(self) -> None:
        """Stay at the opening commanded last."""
        self._goal = None

    def forget(self) -> None:
        """Forget what was commanded, since others may move the gripper, or it was a dry run."""
        self._commanded = self._goal = None

    def ahead(self, limits: GripperLimits, *, seconds: float) -> float | None:
        """Return the opening that the rate allows after so many seconds; None without a goal."""
        if self._goal is None or self._commanded is None:
            return self._goal
        step = limits.rate * seconds
        return min(max(self._goal, self._commanded - step), self._commanded + step)

    def tick(self, limits: GripperLimits, *, period: float) -> float | None:
        """Return the opening to command now, or None if there is nothing new to command."""
        if self._goal is not None:  # the range may have become narrower on the way
            self._goal = min(max(self._goal, limits.low), limits.high)
        opening = self.ahead(limits, seconds=period)
        if opening is None:
            return None
        self.clamps += opening != self._goal
        self._commanded = opening
        if opening == self._goal:
            self._goal = None
        return opening


class CommandLimits:
    """Clamps what arm and gripper are commanded at one tick after the other."""

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
        """Note that zero is commanded, and leave the gripper at its last command."""
        self._motion.halt()
        self._gripper.stop()

    def forget_gripper(self) -> None:
        """Note that the gripper may be anywhere."""
        self._gripper.forget()

    def can_rest(self, settings: PolicySettings) -> bool:
        """Whether the velocity can be zero at the next tick."""
        return self._motion.can_rest(settings.motion_limits, period=1.0 / settings.control_rate)

    def twist(
        self,
        wanted: Twist,
        settings: PolicySettings,
        *,
        pose: Pose | None,
        now_ns: int,
        target: Pose | None = None,
    ) -> Twist:
        """Return the velocity to command.

        pose: where the end effector is. target: the target pose that the velocity moves, if the
        arm is commanded by target poses.
        Raises ValueError: there is a workspace box, and no pose.
        """
        if settings.command_type == MESSAGE:
            return wanted  # the action was clamped as a whole, see `clamp_action`
        period = 1.0 / settings.control_rate
        return self._clamp(
            wanted, settings.motion_limits, period=period, pose=pose, now_ns=now_ns, target=target
        )

    def clamp_action(
        self,
        values: np.ndarray,
        settings: PolicySettings,
        *,
        seconds: float,
        pose: Pose | None,
        now_ns: int,
    ) -> np.ndarray:
        """Clamp a whole action (7,), for a driver that executes it by itself in so many seconds.

        `open_gripper` must have been called with the action's opening before. max_acceleration has
        no effect: how fast the arm speeds up is not a part of an action.
        Raises ValueError: there is a workspace box, and no pose.
        """
        limits = dataclasses.replace(settings.motion_limits, acceleration=np.full(6, np.inf))
        wanted = Twist(values[:3] / seconds, values[3:6] / seconds)
        given = self._clamp(wanted, limits, period=seconds, pose=pose, now_ns=now_ns)
        self._motion.halt()
        opening = self._gripper.ahead(settings.gripper_limits, seconds=seconds)
        return np.array([*(given.linear * seconds), *(given.angular * seconds), opening])

    def _clamp(
        self,
        wanted: Twist,
        limits: MotionLimits,
        *,
        period: float,
        pose: Pose | None,
        now_ns: int,
        target: Pose | None = None,
    ) -> Twist:
        if limits.box is None:
            return self._motion.clamp(wanted, limits, period=period)
        if pose is None:
            raise ValueError('a workspace box needs a pose')
        age = max(0, now_ns - pose.stamp_ns) / NANOSECONDS
        return self._motion.clamp(
            wanted,
            limits,
            period=period,
            position=pose.position,
            horizon=age + period,
            target=None if target is None else target.position,
        )

    def open_gripper(self, opening: float, settings: PolicySettings) -> None:
        """Head for an opening, 0 closed to 1 open."""
        self._gripper.go_to(opening, settings.gripper_limits)

    def gripper(self, settings: PolicySettings) -> float | None:
        """Return the opening to command, or None if there is nothing new to command."""
        return self._gripper.tick(settings.gripper_limits, period=1.0 / settings.control_rate)
