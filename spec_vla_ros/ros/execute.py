# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The action `execute_instruction`: an instruction with limits, feedback, cancel and a result."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.action.server import ServerGoalHandle
from rclpy.node import Node

from spec_vla_ros.action import ExecuteInstruction
from spec_vla_ros.control.tick import RUNNING, Halt, Reason, Tick
from spec_vla_ros.ros.messages import accept_length_of

Result = ExecuteInstruction.Result

ENDS_BY_HALT = {
    Reason.EMERGENCY_STOP: Result.OUTCOME_STOPPED,
    Reason.TOO_MANY_FAILURES: Result.OUTCOME_GAVE_UP,
}
"""Reasons for a halt that end a goal, and its outcome then. A lasting halt ends it whatever its
reason; during all other halts it waits."""


@dataclass(slots=True)
class _Running:
    handle: ServerGoalHandle
    since: float
    steps: int = 0
    halt: Halt = RUNNING
    latest: dict[str, Any] = field(default_factory=dict)  # the latest action's part of feedback

    @property
    def instruction(self) -> str:
        return self.handle.request.instruction.strip()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.since


class ExecuteServer:
    """Accepts one goal at a time. Call everything from the executor's thread.

    Args:
        node: serves the action.
        refusal: returns why an instruction cannot be accepted now; None if it can.
        begin: called with the instruction of a goal that is accepted.
        finish: called when the last action of a goal has begun.
        at_rest: returns whether no action is being executed.
        end: called when the instruction of a goal is no longer to be followed.
    """

    def __init__(
        self,
        node: Node,
        *,
        refusal: Callable[[str], str | None],
        begin: Callable[[str], None],
        finish: Callable[[], None],
        at_rest: Callable[[], bool],
        end: Callable[[], None],
    ) -> None:
        self._node = node
        self._refusal, self._begin, self._end = refusal, begin, end
        self._begin_no_more, self._at_rest = finish, at_rest
        self._running: _Running | None = None
        self._server = _DeferredServer(
            node,
            ExecuteInstruction,
            'execute_instruction',
            execute_callback=lambda handle: Result(),  # never called, see `_DeferredServer`
            goal_callback=self._on_goal,
            handle_accepted_callback=self._on_accepted,
            cancel_callback=self._on_cancel,
        )

    def ticked(self, tick: Tick, *, latency_ms: float | None) -> None:
        """Count a tick's new action, send feedback, and end the goal if it is over.

        latency_ms: from the new action's image to its publication; None without a new action.
        """
        running, new = self._running, tick.new_action
        if running is None:
            return
        running.steps += new is not None
        if new is not None or tick.halt.reason is not running.halt.reason:
            running.halt = tick.halt
            self._tell(running, tick, latency_ms=latency_ms)
        if tick.halt.lasting or tick.halt.reason in ENDS_BY_HALT:
            outcome = ENDS_BY_HALT.get(tick.halt.reason, Result.OUTCOME_GAVE_UP)
            self._finish(running, outcome, tick.halt.text)
        elif 0 < running.handle.request.step_limit <= running.steps:
            if new is not None:
                self._begin_no_more()
            elif self._at_rest():
                text, cut = f'{running.steps} actions were executed', tick.halt.text
                text += f', the last of them until it halted: {cut}' if cut else ''
                self._finish(running, Result.OUTCOME_STEP_LIMIT, text)

    def look_at_the_clock(self) -> None:
        """End the goal if it is cancelled or its time is over, whether the node ticks or not.

        Call it before a tick, so that none of the goal's actions begins at that tick.
        """
        running = self._running
        if running is None:
            return
        seconds, limit = running.seconds, running.handle.request.time_limit
        if running.handle.is_cancel_requested:
            self._finish(running, Result.OUTCOME_CANCELED, 'canceled')
        elif 0 < limit <= seconds:
            self._finish(running, Result.OUTCOME_TIME_LIMIT, f'{seconds:.2f} s have passed')

    def preempt(self, instruction: str) -> None:
        """End the goal because of another instruction; the same one again changes nothing."""
        running = self._running
        if running is not None and instruction.strip() != running.instruction:
            said = instruction.strip()
            text = f'gave another one: {said!r}' if said else 'cancelled it, being empty'
            text = f'the topic instruction {text}'
            self._finish(running, Result.OUTCOME_PREEMPTED, text)

    def abort(self, outcome: int, text: str) -> None:
        """End the goal, if there is one; outcome: one of Result.OUTCOME_*."""
        if self._running is not None:
            self._finish(self._running, outcome, text)

    def close(self) -> None:
        """Accept no more goals."""
        self._server.destroy()

    def _on_goal(self, goal: ExecuteInstruction.Goal) -> GoalResponse:
        reason = self._refusal(goal.instruction)
        if self._running is not None:
            reason = f'{self._running.instruction!r} is being executed; cancel it first'
        elif not 0 <= goal.time_limit < float('inf'):
            reason = f'time_limit is {goal.time_limit}, expected seconds, or 0 for no limit'
        if reason is None:
            return GoalResponse.ACCEPT
        self._node.get_logger().warning(f'goal {goal.instruction[:80]!r} is rejected: {reason}')
        return GoalResponse.REJECT

    def _on_accepted(self, handle: ServerGoalHandle) -> None:
        self._running = _Running(handle, since=time.monotonic())
        handle.execute()
        self._begin(handle.request.instruction)
        self._node.get_logger().info(f'goal: {handle.request.instruction!r}')

    def _on_cancel(self, handle: ServerGoalHandle) -> CancelResponse:
        ours = self._running is not None and handle.goal_id == self._running.handle.goal_id
        return CancelResponse.ACCEPT if ours else CancelResponse.REJECT

    def _tell(self, running: _Running, tick: Tick, *, latency_ms: float | None) -> None:
        if tick.new_action is not None:
            action = tick.new_action.action
            running.latest = {
                'accept_length': accept_length_of(action),
                'target_passes': action.stats.target_passes,
                'latency_ms': latency_ms,
            }
        feedback: Any = ExecuteInstruction.Feedback(  # rclpy annotates the message around it
            step=running.steps, elapsed=running.seconds, halt=tick.halt.text, **running.latest
        )
        running.handle.publish_feedback(feedback)

    def _finish(self, running: _Running, outcome: int, text: str) -> None:
        self._running = None
        result = Result(
            outcome=outcome,
            text=text,
            steps=running.steps,
            seconds=running.seconds,
        )
        if outcome in (Result.OUTCOME_TIME_LIMIT, Result.OUTCOME_STEP_LIMIT):
            running.handle.succeed()
        elif outcome == Result.OUTCOME_CANCELED:
            running.handle.canceled()
        else:
            running.handle.abort()
        self._server.answer(running.handle, result)
        if outcome != Result.OUTCOME_PREEMPTED:
            self._end()
        self._node.get_logger().info(f'goal {running.instruction!r} ended: {text}')


class _DeferredServer(ActionServer):
    """An action server that runs nothing by itself; `answer` gives a goal its result.

    rclpy would run a callback for as long as the goal lasts. That would block the executor, and
    an `async` callback would keep it busy, since it asks all the time whether that has finished.
    """

    def notify_execute(self, goal_handle: ServerGoalHandle, execute_callback: object) -> None:
        """Do nothing: the ticks of the node execute the goal."""

    def answer(self, goal_handle: ServerGoalHandle, result: object) -> None:
        """Send the result of a goal that has ended."""
        super().notify_execute(goal_handle, lambda handle: result)
