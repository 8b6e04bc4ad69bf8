# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""When the policy node ticks, and by which clock."""

from __future__ import annotations

import time
from collections.abc import Callable

from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.parameter import Parameter

USE_SIM_TIME = 'use_sim_time'


class Ticker:
    """Ticks at control rate, and also whenever an action begins.

    An action that begins between two ticks gets ticks of its own, at whole periods from its
    beginning, so that its velocity holds for as long as it should. Meanwhile the regular beat goes
    on in the background. It takes over again when the arm rests, at least a whole period after the
    last tick. One beat is skipped for the extra tick, so the mean rate is the control rate.

    Args:
        node: creates the timers.
        rate: ticks per second.
        clock: by which they tick.
        tick: called at each tick.
        at_rest: returns whether an action could begin at any moment.
    """

    def __init__(
        self,
        node: Node,
        *,
        rate: float,
        clock: Clock,
        tick: Callable[[], None],
        at_rest: Callable[[], bool],
    ) -> None:
        self._node, self._tick_now, self._at_rest = node, tick, at_rest
        self._clock, self._nearly_a_period = clock, Duration(seconds=0.99 / rate)
        self._one_too_many = False
        self._ticked, self._ticked_at = clock.now(), time.monotonic()
        self._motion = node.create_timer(1.0 / rate, self._tick, clock=clock)
        self._motion.cancel()
        self._beat = node.create_timer(1.0 / rate, self._on_beat, clock=clock)

    @property
    def silent_for(self) -> float:
        """Seconds since the last tick, by the computer's own clock."""
        return time.monotonic() - self._ticked_at

    def begin(self) -> None:
        """Tick now, if the arm rests: an action may begin."""
        if not self._at_rest():
            return
        self._one_too_many = True
        self._motion.reset()  # the first command gets a whole period
        self._tick()

    def close(self) -> None:
        """Tick no more."""
        for timer in (self._motion, self._beat):
            self._node.destroy_timer(timer)

    def _on_beat(self) -> None:
        if not self._motion.is_canceled():
            return
        too_early = self._clock.now() - self._ticked < self._nearly_a_period
        skipped, self._one_too_many = self._one_too_many and too_early, False
        if not skipped:
            self._tick()

    def _tick(self) -> None:
        self._ticked, self._ticked_at = self._clock.now(), time.monotonic()
        self._tick_now()
        if self._at_rest():
            self._motion.cancel()


def keep_clock_while(node: Node, active: Callable[[], bool]) -> None:
    """Refuse a change of `use_sim_time` while `active` says so.

    rclpy would change the clock at once. But a simulated clock that nobody publishes stays at
    zero, so that no image would ever become stale, and the watch for a clock that stands still
    only starts when the node is activated.
    """

    def check(parameters: list[Parameter]) -> SetParametersResult:
        now = node.get_parameter(USE_SIM_TIME).value
        if any(p.name == USE_SIM_TIME and p.value != now for p in parameters) and active():
            return SetParametersResult(
                successful=False,
                reason=f'{USE_SIM_TIME}: read when the node is activated; deactivate it first '
                f'(`ros2 lifecycle set {node.get_fully_qualified_name()} deactivate`)',
            )
        return SetParametersResult(successful=True)

    node.add_on_set_parameters_callback(check)  # comes before rclpy's own, which is older
