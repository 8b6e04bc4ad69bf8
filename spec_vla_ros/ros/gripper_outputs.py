# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Commands to the gripper: positions by topic, goals of an action, or none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from rclpy.action import ActionClient
from rclpy.lifecycle import LifecycleNode
from rclpy.task import Future
from std_msgs.msg import Float64

from spec_vla_ros.ros import qos
from spec_vla_ros.settings.nodes import PolicySettings
from spec_vla_ros.settings.outputs import ACTION, POSITION

WORTH_A_GOAL = 0.02
"""Change of the opening, of 1, that is worth a new goal: each one replaces the one before."""


class GripperOutput(Protocol):
    """One way of commanding a gripper."""

    def command(self, opening: float) -> None:
        """Command an opening in [0, 1]."""

    def close(self) -> None:
        """Close the topic or action."""


def make_gripper_output(node: LifecycleNode, settings: PolicySettings) -> GripperOutput:
    """Open what the parameter gripper_type chooses.

    Raises ValueError when control_msgs is needed and not installed.
    """
    kinds: dict[str, Callable[[LifecycleNode, PolicySettings], GripperOutput]] = {
        POSITION: PositionOutput,
        ACTION: ActionOutput,
    }
    return kinds.get(settings.gripper_type, NoGripperOutput)(node, settings)


class PositionOutput:
    """Float64 on `gripper_command`."""

    def __init__(self, node: LifecycleNode, settings: PolicySettings) -> None:
        self._node, self._settings = node, settings
        self._positions = node.create_lifecycle_publisher(Float64, 'gripper_command', qos.COMMAND)

    def command(self, opening: float) -> None:
        """Publish the position."""
        self._positions.publish(Float64(data=self._settings.gripper_position(opening)))

    def close(self) -> None:
        """Close the topic."""
        self._node.destroy_lifecycle_publisher(self._positions)


class ActionOutput:
    """Goals of the action `gripper_cmd`, one whenever the opening changes."""

    def __init__(self, node: LifecycleNode, settings: PolicySettings) -> None:
        try:
            from control_msgs.action import GripperCommand  # not in every installation
        except ImportError as missing:
            raise ValueError(
                "gripper_type: 'action' needs the package control_msgs, which is not installed; "
                "install it, or choose 'position'"
            ) from missing
        self._goal_type = GripperCommand.Goal
        self._logger, self._settings = node.get_logger(), settings
        self._commanded: float | None = None
        client: ActionClient[Any, Any, Any] = ActionClient(node, GripperCommand, 'gripper_cmd')
        self._client = client

    def command(self, opening: float) -> None:
        """Send a goal, if the opening has changed since the last one."""
        if self._commanded is not None and abs(opening - self._commanded) < WORTH_A_GOAL:
            return
        if not self._client.server_is_ready():
            self._logger.warning(
                'the action gripper_cmd has no server: the gripper gets no commands',
                throttle_duration_sec=5.0,
            )
            return
        goal = self._goal_type()
        goal.command.position = self._settings.gripper_position(opening)
        goal.command.max_effort = self._settings.gripper_max_effort
        self._commanded = opening
        self._client.send_goal_async(goal).add_done_callback(self._on_answer)

    def close(self) -> None:
        """Close the action."""
        self._client.destroy()

    def _on_answer(self, future: Future) -> None:
        answer: Any = future.result()
        if not answer.accepted:
            self._logger.warning('the gripper rejected its goal')
            self._commanded = None  # so that it is tried again


class NoGripperOutput:
    """Nothing."""

    def __init__(self, node: LifecycleNode, settings: PolicySettings) -> None:
        """Open nothing."""

    def command(self, opening: float) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""
