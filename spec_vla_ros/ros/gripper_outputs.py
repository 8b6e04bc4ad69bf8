# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Commands to the gripper: positions by topic, goals of an action, or none."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from typing import Any, Protocol

from action_msgs.msg import GoalStatus
from rclpy.action import ActionClient, get_action_names_and_types
from rclpy.lifecycle import LifecycleNode
from rclpy.publisher import Publisher
from rclpy.task import Future
from std_msgs.msg import Float64

from spec_vla_ros.ros import qos
from spec_vla_ros.settings.nodes import PolicySettings
from spec_vla_ros.settings.outputs import ACTION, NONE, PARALLEL, POSITION

_ACTIONS = {ACTION: 'GripperCommand', PARALLEL: 'ParallelGripperCommand'}
"""Kind of gripper -> the action of control_msgs."""
_UNSAID = (PolicySettings.gripper_closed, PolicySettings.gripper_open)  # the defaults
WORTH_A_GOAL = 0.02
"""Change of the opening, of 1, that is worth a new goal: each one replaces the one before."""
TRIES = 3
"""How often in a row a goal is sent that is given up. Some hands give up where they hold
something, and may let it go for the next one."""


class GripperOutput(Protocol):
    """One way of commanding a gripper."""

    publishers: tuple[Publisher[Any], ...]
    """Of the commands."""

    def in_words(self) -> str:
        """Return what is commanded, and where."""

    def command(self, opening: float) -> None:
        """Command an opening in [0, 1]."""

    def hold(self, *, at_once: bool) -> None:
        """Have commanded nothing, since others may move it now; called at each tick of a halt.

        at_once: also end what is under way, where that can be ended.
        """

    def close(self) -> None:
        """Close the topic or action."""


def make_gripper_output(node: LifecycleNode, settings: PolicySettings) -> GripperOutput:
    """Open what the parameter gripper_type chooses.

    Raises ValueError when control_msgs is needed and not installed. Warns of goals where nobody
    said at which positions the gripper is closed and open: they are a joint's; and of goals of
    GripperCommand without an effort, which not every controller takes for no limit.
    """
    ends = (settings.gripper_closed, settings.gripper_open)
    if settings.gripper_type in _ACTIONS and ends == _UNSAID:
        node.get_logger().warning(
            'gripper_closed 0 and gripper_open 1 are the defaults, and a goal of the gripper is '
            'in m or rad of a joint: set both as its controller takes them (a Robotiq 2F-85 is '
            'closed at 0.8 and open at 0), or it may close where it should open'
        )
    if settings.gripper_type == ACTION and not settings.gripper_max_effort:
        node.get_logger().warning(
            'gripper_max_effort 0 is sent in every goal: a controller of efforts '
            '(effort_controllers/GripperActionController) never moves the gripper with it, and '
            "Franka's hand moves without grasping, and may hang for minutes at what it holds; set "
            'it, in N, unless the controller commands positions and does not look at it'
        )
    kinds: dict[str, Callable[[LifecycleNode, PolicySettings], GripperOutput]] = {
        POSITION: PositionOutput,
        ACTION: ActionOutput,
        PARALLEL: ActionOutput,
        NONE: NoGripperOutput,
    }
    return kinds[settings.gripper_type](node, settings)


def require_gripper(settings: PolicySettings) -> None:
    """Raise the ValueError of `make_gripper_output`, before what takes longer."""
    if settings.gripper_type in _ACTIONS:
        _kind_of_action(settings)


def _kind_of_action(settings: PolicySettings) -> Any:
    name = _ACTIONS[settings.gripper_type]
    try:
        return getattr(importlib.import_module('control_msgs.action'), name)
    except (ImportError, AttributeError) as missing:
        raise ValueError(
            f'gripper_type: {settings.gripper_type!r} needs {name} of the package '
            "control_msgs, which is not installed or too old; install it, or choose 'position'"
        ) from missing


class PositionOutput:
    """Float64 on `gripper_command`."""

    def __init__(self, node: LifecycleNode, settings: PolicySettings) -> None:
        self._node, self._settings = node, settings
        self._positions = node.create_lifecycle_publisher(Float64, 'gripper_command', qos.COMMAND)
        self.publishers: tuple[Publisher[Any], ...] = (self._positions,)

    def in_words(self) -> str:
        """Return the topic, and the positions that close and open the gripper."""
        return f'positions on {self._positions.topic_name}, {_ends(self._settings)}'

    def command(self, opening: float) -> None:
        """Publish the position."""
        self._positions.publish(Float64(data=self._settings.gripper_position(opening)))

    def hold(self, *, at_once: bool) -> None:
        """Do nothing: a position that was published cannot be taken back."""

    def close(self) -> None:
        """Close the topic."""
        self._node.destroy_lifecycle_publisher(self._positions)


class ActionOutput:
    """Goals of the action `gripper_cmd`, one whenever the opening changes, and after each halt.

    GripperCommand, or ParallelGripperCommand, which took its place in ros2_controllers.

    Raises:
        ValueError: control_msgs is not installed, or is too old to have the action.
    """

    publishers: tuple[Publisher[Any], ...] = ()

    def __init__(self, node: LifecycleNode, settings: PolicySettings) -> None:
        parallel, kind = settings.gripper_type == PARALLEL, _kind_of_action(settings)
        self._goal: Callable[[float], Any] = functools.partial(
            _parallel_goal if parallel else _goal, kind, settings.gripper_max_effort
        )
        self._type = f'control_msgs/action/{_ACTIONS[settings.gripper_type]}'
        self._node, self._logger, self._settings = node, node.get_logger(), settings
        self._commanded: float | None = None
        self._running: Any = None  # the goal that was accepted last, until it ends
        self._cancels = False  # what is accepted from now on, until the next command
        self._sent, self._given_up = 0.0, 0  # the last opening, and how often it was given up
        client: ActionClient[Any, Any, Any] = ActionClient(node, kind, 'gripper_cmd')
        self._client = client

    def in_words(self) -> str:
        """Return the action, and the positions that close and open the gripper."""
        name = self._node.resolve_service_name('gripper_cmd')
        return f'goals of the action {name} ({self._type}), {_ends(self._settings)}'

    def command(self, opening: float) -> None:
        """Send a goal, if the opening has changed since the last one.

        After its server was gone, the same opening is sent again: one that was started anew knows
        nothing of the last goal.
        """
        if not self._client.server_is_ready():
            self._commanded, self._given_up = None, 0
            self._logger.warning(
                f'the gripper gets no commands: {self._why_no_server()}',
                throttle_duration_sec=5.0,
            )
            return
        if self._commanded is not None and abs(opening - self._commanded) < WORTH_A_GOAL:
            return
        if abs(opening - self._sent) >= WORTH_A_GOAL:
            self._given_up = 0
        goal = self._goal(self._settings.gripper_position(opening))
        self._commanded, self._sent, self._cancels = opening, opening, False
        answered = functools.partial(self._on_answer, opening)
        self._client.send_goal_async(goal).add_done_callback(answered)

    def hold(self, *, at_once: bool) -> None:
        """Make the next opening a new goal; at once: cancel one that runs, or is just being taken.

        A grip that is cancelled may come loose, so that no halt but an emergency does so.
        """
        self._commanded, self._given_up = None, 0
        self._cancels |= at_once  # a halt that follows does not take it back
        if at_once and self._running is not None:
            self._running.cancel_goal_async()
            self._running = None

    def close(self) -> None:
        """Close the action."""
        self._client.destroy()

    def _why_no_server(self) -> str:
        name = self._node.resolve_service_name('gripper_cmd')
        offered = dict(get_action_names_and_types(self._node)).get(name, [])
        others = [kind for kind in offered if kind != self._type]
        if others:
            return (
                f'{name} is an action {", ".join(others)}, not {self._type}; '
                'the parameter gripper_type chooses'
            )
        return f'the action {name} ({self._type}) has no server'

    def _on_answer(self, opening: float, future: Future) -> None:
        answer: Any = future.result()
        if not answer.accepted:
            self._try_again(opening, 'the gripper rejected its goal')
            return
        self._running = answer
        ended = functools.partial(self._on_end, opening, answer)
        answer.get_result_async().add_done_callback(ended)
        if self._cancels:  # that came before the answer
            self.hold(at_once=True)

    def _on_end(self, opening: float, goal: Any, future: Future) -> None:
        """Try a goal again that was given up, but not for ever: it may end at what is held."""
        if self._running is goal:
            self._running = None
        ended: Any = future.result()
        holds = getattr(ended.result, 'stalled', False)
        if ended.status != GoalStatus.STATUS_ABORTED or holds:
            return
        self._given_up += self._commanded == opening
        if self._given_up < TRIES:
            self._try_again(opening, 'the gripper gave its goal up')
        elif self._commanded == opening:
            self._logger.error(
                f'the gripper gave its goal up {TRIES} times: it is not sent again before the '
                'opening changes, or after a halt; this is right if it holds something, at which '
                'some grippers end in this way'
            )

    def _try_again(self, opening: float, why: str) -> None:
        """Have a goal sent again, unless another or a halt has taken its place."""
        if self._commanded == opening:
            self._logger.warning(f'{why}: it is sent again', throttle_duration_sec=5.0)
            self._commanded = None


def _ends(settings: PolicySettings) -> str:
    return f'{settings.gripper_closed:g} closed to {settings.gripper_open:g} open'


def _goal(kind: Any, max_effort: float, position: float) -> Any:
    goal = kind.Goal()
    goal.command.position, goal.command.max_effort = position, max_effort
    return goal


def _parallel_goal(kind: Any, max_effort: float, position: float) -> Any:
    goal = kind.Goal()
    goal.command.position = [position]
    if max_effort:  # left out, the controller's own limit holds
        goal.command.effort = [max_effort]
    return goal


class NoGripperOutput:
    """Nothing."""

    publishers: tuple[Publisher[Any], ...] = ()

    def __init__(self, node: LifecycleNode, settings: PolicySettings) -> None:
        """Open nothing."""

    def in_words(self) -> str:
        """Return that nothing is commanded."""
        return 'not commanded'

    def command(self, opening: float) -> None:
        """Do nothing."""

    def hold(self, *, at_once: bool) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""
