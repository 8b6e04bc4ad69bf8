# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""What the policy node publishes at a tick."""

from __future__ import annotations

from geometry_msgs.msg import TwistStamped
from rclpy.lifecycle import LifecycleNode
from std_msgs.msg import Float64

from spec_vla_ros.msg import DecodeStatistics, VlaAction
from spec_vla_ros.ros import qos
from spec_vla_ros.ros.messages import action_message, statistics_message, twist_message
from spec_vla_ros.runtime.delta_schedule import Twist, zero_twist
from spec_vla_ros.runtime.settings import PolicySettings
from spec_vla_ros.runtime.tick import Tick


class Outputs:
    """Actions, their statistics, and the commands; open from configure to cleanup.

    Args:
        node: publishes them while it is active.
    """

    def __init__(self, node: LifecycleNode) -> None:
        self._node = node
        self._commanding = False

        def publisher(kind: type, topic: str) -> object:
            return node.create_lifecycle_publisher(kind, topic, qos.COMMAND)

        self._twists = publisher(TwistStamped, 'delta_twist_cmds')
        self._grippers = publisher(Float64, 'gripper_command')
        self._actions = publisher(VlaAction, 'action')
        self._statistics = publisher(DecodeStatistics, 'statistics')

    def publish(self, tick: Tick, *, settings: PolicySettings, now_ns: int) -> None:
        """Publish what a tick says; in a dry run everything but commands."""
        if not settings.dry_run:
            self._command(tick.twist, settings=settings, now_ns=now_ns)
            self._commanding = True
            if tick.gripper is not None:
                self._grippers.publish(Float64(data=tick.gripper))
        else:  # a dry run begins with the arm at rest
            self.stand_still(settings=settings, now_ns=now_ns)
        if tick.new_action is not None:
            frame_id = settings.command_frame
            self._actions.publish(
                action_message(tick.new_action, now_ns=now_ns, frame_id=frame_id)
            )
            self._statistics.publish(statistics_message(tick.new_action, now_ns=now_ns))

    def stand_still(self, *, settings: PolicySettings, now_ns: int) -> None:
        """Make zero the last command; does nothing when it has been."""
        if self._commanding:
            self._command(zero_twist(), settings=settings, now_ns=now_ns)
            self._commanding = False

    def close(self) -> None:
        """Close the topics."""
        for publisher in (self._twists, self._grippers, self._actions, self._statistics):
            self._node.destroy_lifecycle_publisher(publisher)

    def _command(self, twist: Twist, *, settings: PolicySettings, now_ns: int) -> None:
        self._twists.publish(twist_message(twist, now_ns=now_ns, frame_id=settings.command_frame))
