# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Commands to the arm: velocities, target poses, or none."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from geometry_msgs.msg import PoseStamped, TwistStamped
from rclpy.lifecycle import LifecycleNode
from rclpy.publisher import Publisher

from spec_vla_ros.control.poses import Pose
from spec_vla_ros.control.schedule import Twist, zero_twist
from spec_vla_ros.control.tick import Reason, Tick
from spec_vla_ros.quaternions import from_rotation_vector, normalised, product
from spec_vla_ros.ros import qos
from spec_vla_ros.ros.last_word import wait_until_heard
from spec_vla_ros.ros.messages import pose_message, twist_message
from spec_vla_ros.settings.nodes import PolicySettings
from spec_vla_ros.settings.outputs import MESSAGE, POSE, TWIST, UNITLESS

_AWAY = 0.05  # metres from where it was told to stay, that no arm sags
_TURNED = 0.3  # radians, likewise


class ArmOutput(Protocol):
    """One way of commanding an arm."""

    publishers: tuple[Publisher[Any], ...]
    """Of the commands."""

    @property
    def target(self) -> Pose | None:
        """Where the end effector has been told to be, if it is commanded by target poses."""

    def command(self, tick: Tick, *, measured: Pose | None, now_ns: int) -> None:
        """Command what a tick says.

        measured: where the end effector is; None where that is not known, or not to be relied on.
        """

    def stand_still(self, *, measured: Pose | None, now_ns: int) -> None:
        """Command the arm to stay where it is."""

    def close(self) -> None:
        """Close the topics."""


def make_arm_output(node: LifecycleNode, settings: PolicySettings) -> ArmOutput:
    """Open what the parameter command_type chooses."""
    kinds: dict[str, Callable[[LifecycleNode, PolicySettings], ArmOutput]] = {
        TWIST: TwistOutput,
        POSE: PoseOutput,
        MESSAGE: NoArmOutput,
    }
    return kinds[settings.command_type](node, settings)


class TwistOutput:
    """TwistStamped on `delta_twist_cmds`, in speed units or unitless."""

    target: Pose | None = None

    def __init__(self, node: LifecycleNode, settings: PolicySettings) -> None:
        self._node, self._frame = node, settings.command_frame
        unitless = settings.twist_units == UNITLESS
        self._linear = settings.twist_linear_scale if unitless else 1.0
        self._angular = settings.twist_angular_scale if unitless else 1.0
        self._twists = node.create_lifecycle_publisher(
            TwistStamped, 'delta_twist_cmds', qos.COMMAND
        )
        self.publishers: tuple[Publisher[Any], ...] = (self._twists,)

    def command(self, tick: Tick, *, measured: Pose | None, now_ns: int) -> None:
        """Publish the velocity until the next tick."""
        self._publish(tick.twist, now_ns=now_ns)

    def stand_still(self, *, measured: Pose | None, now_ns: int) -> None:
        """Publish zero."""
        self._publish(zero_twist(), now_ns=now_ns)

    def close(self) -> None:
        """Close the topic."""
        wait_until_heard(self._node, self._twists)
        self._node.destroy_lifecycle_publisher(self._twists)

    def _publish(self, twist: Twist, *, now_ns: int) -> None:
        scaled = Twist(twist.linear / self._linear, twist.angular / self._angular)
        self._twists.publish(twist_message(scaled, now_ns=now_ns, frame_id=self._frame))


class PoseOutput:
    """PoseStamped on `pose_target`: from the first action on, at control rate.

    After a pause it begins again where the end effector is then. So it does after a halt in which
    somebody else has moved the arm away: to be told to go back would come as a surprise.
    """

    def __init__(self, node: LifecycleNode, settings: PolicySettings) -> None:
        self._node, self._period = node, 1.0 / settings.control_rate
        self._target = PoseTarget()
        self._halted = True
        self._targets = node.create_lifecycle_publisher(PoseStamped, 'pose_target', qos.COMMAND)
        self.publishers: tuple[Publisher[Any], ...] = (self._targets,)

    @property
    def target(self) -> Pose | None:
        """The target published last; None before the first action, or after a pause."""
        return self._target.pose

    def command(self, tick: Tick, *, measured: Pose | None, now_ns: int) -> None:
        """Publish where the end effector is to be at the next tick."""
        halted = tick.halt.reason is not Reason.NONE
        if tick.new_action is not None or (halted and not self._halted):
            self._target.anchor(measured)
        elif halted and self._target.is_left(measured):
            self._target = PoseTarget()
            self._node.get_logger().warning(
                f'the end effector is more than {_AWAY:g} m or {_TURNED:g} rad away from where it '
                'was told to stay, as where others move it: no target is commanded until the '
                'next action, which begins where it is then'
            )
        self._halted = halted
        self._target.move(tick.twist, seconds=self._period)
        self._publish(now_ns=now_ns)

    def stand_still(self, *, measured: Pose | None, now_ns: int) -> None:
        """Publish where the end effector is; others may move it then, so the target is void."""
        self._target.anchor(measured)
        self._publish(now_ns=now_ns)
        self._target, self._halted = PoseTarget(), True

    def close(self) -> None:
        """Close the topic."""
        wait_until_heard(self._node, self._targets)
        self._node.destroy_lifecycle_publisher(self._targets)

    def _publish(self, *, now_ns: int) -> None:
        if self._target.pose is not None:
            self._targets.publish(pose_message(self._target.pose, now_ns=now_ns))


class NoArmOutput:
    """Nothing: who follows the topic `action` does the rest."""

    publishers: tuple[Publisher[Any], ...] = ()
    target: Pose | None = None

    def __init__(self, node: LifecycleNode, settings: PolicySettings) -> None:
        """Open nothing."""

    def command(self, tick: Tick, *, measured: Pose | None, now_ns: int) -> None:
        """Do nothing."""

    def stand_still(self, *, measured: Pose | None, now_ns: int) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


class PoseTarget:
    """Integrates velocities into a target that starts where the end effector is.

    While the arm stands still the target stays where it is, so that a controller which is sent
    targets keeps its position, or finishes the way it has left. A halt sets it to where the arm
    is, for which it need not go on, and leaves it where that is not known.
    """

    def __init__(self) -> None:
        self._target: Pose | None = None

    @property
    def pose(self) -> Pose | None:
        """The target; None before the first pose."""
        return self._target

    def anchor(self, measured: Pose | None) -> None:
        """Set the target to where the end effector was measured, if that was a whole pose."""
        if measured is not None and measured.has_position and measured.has_orientation:
            self._target = measured

    def is_left(self, measured: Pose | None) -> bool:
        """Whether the end effector was measured further away than an arm sags."""
        if self._target is None or measured is None or not measured.has_orientation:
            return False
        away = np.linalg.norm(measured.position - self._target.position)
        alike = abs(normalised(measured.quaternion) @ normalised(self._target.quaternion))
        return bool(away > _AWAY or alike < np.cos(_TURNED / 2))

    def move(self, twist: Twist, *, seconds: float) -> None:
        """Move the target on by a velocity about the axes of its frame, held for some seconds."""
        if self._target is None:
            return
        turn = from_rotation_vector(twist.angular * seconds)
        self._target = dataclasses.replace(
            self._target,
            position=self._target.position + twist.linear * seconds,
            quaternion=normalised(product(turn, self._target.quaternion)),
        )
