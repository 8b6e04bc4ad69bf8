# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""What the policy node publishes at a tick: actions, statistics, commands to arm and gripper."""

from __future__ import annotations

import time

from rclpy.lifecycle import LifecycleNode
from rclpy.publisher import Publisher

from spec_vla_ros.control.poses import Pose
from spec_vla_ros.control.tick import NewAction, Reason, Tick
from spec_vla_ros.msg import DecodeStatistics, VlaAction
from spec_vla_ros.ros import qos
from spec_vla_ros.ros.arm_outputs import make_arm_output
from spec_vla_ros.ros.endpoints import (
    also_publishing,
    listeners,
    listening_elsewhere,
    not_hearing,
)
from spec_vla_ros.ros.gripper_outputs import make_gripper_output
from spec_vla_ros.ros.messages import action_message, statistics_message
from spec_vla_ros.settings.nodes import PolicySettings
from spec_vla_ros.settings.outputs import MESSAGE

_LOOK_EVERY = 1.0
"""Seconds between two checks who hears the commands; not at every action, as they take a while."""
_SAID_EVERY = 10.0
"""Seconds between two warnings that nobody hears the commands."""
_SHOWN = 4  # of those that listen on other topics


def in_words(settings: PolicySettings, *, topic: str, gripper: str) -> str:
    """Return what will be commanded, where, and within which limits.

    topic: of the commands to the arm. gripper: what it is told and where, in words.
    """
    box = settings.motion_limits.box
    limits = {
        'max_velocity': list(settings.max_velocity),
        'max_acceleration': list(settings.max_acceleration)
        if any(settings.max_acceleration)
        else None,
        'max_step_translation': settings.max_step_translation,
        'max_step_rotation': settings.max_step_rotation,
        'workspace': None if box is None else box.tolist(),
    }
    if settings.command_type == MESSAGE:  # it has no effect then
        del limits['max_acceleration']
    limited = ', '.join(f'{n} {"none" if v is None else v}' for n, v in limits.items())
    return (
        f'commands at {settings.control_rate:g} Hz on {topic} in frame '
        f'{settings.command_frame!r}, dry_run {str(settings.dry_run).lower()}; {limited}; '
        f'gripper: {gripper}'
    )


class Outputs:
    """Actions, their statistics, and the commands; open from configure to cleanup.

    Args:
        node: publishes them while it is active.
        settings: say which commands, in which units and frame.

    Raises:
        ValueError: what is asked for is not available here; says what to do.
    """

    def __init__(self, node: LifecycleNode, settings: PolicySettings) -> None:
        self._node, self._frame = node, settings.command_frame
        self._commanding = False
        self._look_again = 0.0  # when to check next who hears them, monotonic seconds
        self._gripper = make_gripper_output(node, settings)
        self._arm = make_arm_output(node, settings)
        self._actions = node.create_lifecycle_publisher(VlaAction, 'action', qos.COMMAND)
        self._acted_upon = settings.command_type == MESSAGE
        self._statistics = node.create_lifecycle_publisher(
            DecodeStatistics, '~/statistics', qos.COMMAND
        )

    @property
    def topic(self) -> str:
        """The topic of the commands to the arm, as it is remapped."""
        return str(self._commands[0].topic_name)

    @property
    def _commands(self) -> tuple[Publisher, ...]:
        """The publishers of commands; that of actions, if the arm has no other."""
        return (*(self._arm.publishers or (self._actions,)), *self._gripper.publishers)

    @property
    def gripper(self) -> str:
        """What the gripper is told and where, in words."""
        return self._gripper.in_words()

    @property
    def target(self) -> Pose | None:
        """Where the end effector has been told to be, if it is commanded by target poses."""
        return self._arm.target

    def troubles(self) -> tuple[str, ...]:
        """Return in words who cannot hear the commands, and who else commands arm or gripper."""
        return tuple(
            text
            for publisher in self._commands
            for look in (not_hearing, also_publishing)
            for text in look(self._node, publisher)
        )

    def command(self, tick: Tick, *, dry_run: bool, measured: Pose | None, now_ns: int) -> None:
        """Command what a tick says; nothing in a dry run."""
        if not dry_run:
            self._arm.command(tick, measured=measured, now_ns=now_ns)
            self._commanding = True
            if tick.halt.reason is not Reason.NONE:
                self._gripper.hold(at_once=tick.halt.reason is Reason.EMERGENCY_STOP)
            elif tick.gripper is not None:
                self._gripper.command(tick.gripper)
        else:  # a dry run begins with the arm at rest
            self.stand_still(measured=measured, now_ns=now_ns)

    def publish_action(self, new: NewAction, *, dry_run: bool, now_ns: int) -> None:
        """Publish an action and how it was decoded, see `statistics_message`.

        In a dry run, too, unless actions are what the arm is commanded by.
        """
        if not (dry_run and self._acted_upon):
            self._actions.publish(action_message(new, now_ns=now_ns, frame_id=self._frame))
        self._statistics.publish(statistics_message(new, now_ns=now_ns))
        if not dry_run:
            self._look_who_hears()

    def stand_still(self, *, measured: Pose | None, now_ns: int) -> None:
        """Command the arm to stand still; does nothing if that was the last command."""
        if self._commanding:
            self._arm.stand_still(measured=measured, now_ns=now_ns)
            self._gripper.hold(at_once=False)
            self._commanding = False

    def emergency_stop(self) -> None:
        """Cancel the gripper's goal now.

        In a dry run, while inactive, or while the clock stands still, no tick would cancel it.
        """
        self._gripper.hold(at_once=True)

    def close(self) -> None:
        """Close the topics."""
        self._gripper.close()
        self._arm.close()
        for publisher in (self._actions, self._statistics):
            self._node.destroy_lifecycle_publisher(publisher)

    def _look_who_hears(self) -> None:
        """Warn about commands that have no subscriber, and name who listens on other topics."""
        now = time.monotonic()
        if now < self._look_again:
            return
        lost = [
            publisher
            for publisher in self._commands
            if not publisher.get_subscription_count()
            or not listeners(self._node, publisher.topic_name)
        ]
        self._look_again = now + (_SAID_EVERY if lost else _LOOK_EVERY)
        if not lost:
            return
        there = [who for publisher in lost for who in listening_elsewhere(self._node, publisher)]
        elsewhere = f' ({"; ".join(there[:_SHOWN])})' if there else ''
        self._node.get_logger().warning(
            f'nobody subscribes to {" and ".join(p.topic_name for p in lost)}, so these commands '
            f'go nowhere{elsewhere}: rename the topic (command_topic:=, target_topic:=, '
            "gripper_topic:= of the launch file), or set gripper_type to 'none' where there is no "
            'gripper'
        )
