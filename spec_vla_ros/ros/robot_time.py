# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""How a simulated robot's time passes: with the computer's clock, or step by step on /clock."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

from rclpy.clock import Clock as NodeClock
from rclpy.clock import ClockType
from rclpy.node import Node
from rosgraph_msgs.msg import Clock

from spec_vla_ros.ros import qos
from spec_vla_ros.ros.converters import to_time
from spec_vla_ros.types import NANOSECONDS

BREATH = 0.005
"""Seconds after each frame that belong to whatever else has come, however late the frame is."""

PATIENCE = 1.0
"""Seconds since the latest stamped order for which time waits for the next one, by default."""

NO_STAMP_OF_OURS = 1.0  # seconds; what is stamped so far from now was stamped by another clock
PACE_OVER = 40  # frames


class Order(Protocol):
    """Something that is commanded."""

    def __call__(self, *, now: float) -> None:
        """Obey; now: the robot's time, seconds."""


class RobotTime(Protocol):
    """A robot's time, in which frames follow one another and commands come in between."""

    @property
    def seconds(self) -> float:
        """What the arm goes by; begins anywhere and never goes back."""

    @property
    def now_ns(self) -> int:
        """What messages are stamped with."""

    def call_at_each_frame(self, callback: Callable[[], None]) -> None:
        """Call back at each frame from now on."""

    def obey(self, order: Order, *, stamp_ns: int) -> None:
        """Take an order that has just come; stamp_ns: when it was given, 0: just now."""

    def next_frame(self, catch_up: Order) -> int:
        """Let time pass until the next frame, have the arm catch up, and return the stamp."""

    def forget(self) -> None:
        """Drop what was ordered and not yet obeyed."""


class RealTime:
    """The computer's own time; what is ordered is obeyed at once.

    Args:
        node: whose clock stamps.
        rate: frames a second.
    """

    def __init__(self, node: Node, *, rate: float) -> None:
        self._node, self._rate = node, rate

    @property
    def seconds(self) -> float:
        """What the arm goes by."""
        return time.monotonic()

    @property
    def now_ns(self) -> int:
        """What messages are stamped with."""
        nanoseconds: int = self._node.get_clock().now().nanoseconds
        return nanoseconds

    def call_at_each_frame(self, callback: Callable[[], None]) -> None:
        """Call back at each frame from now on."""
        self._node.create_timer(1.0 / self._rate, callback)

    def obey(self, order: Order, *, stamp_ns: int) -> None:
        """Obey an order that has just come."""
        order(now=self.seconds)

    def next_frame(self, catch_up: Order) -> int:
        """Have the arm follow until now, and return the stamp."""
        catch_up(now=self.seconds)
        return self.now_ns

    def forget(self) -> None:
        """Nothing waits."""


class SteppedTime:
    """Time that passes frame by frame, as fast as the computer's or slower where that is too fast.

    It begins at zero and is published on /clock, after the step and before the picture is drawn.
    So that nothing depends on how long drawing takes, an order is obeyed one frame after its
    stamp, and for as many frames as it was in force by the stamps. Time also waits for a
    commander that this computer holds up: the next order is expected as long after the last one as
    that came after the one before, by their stamps.

    Args:
        node: publishes the clock, and says in its log how fast time passes where it lags behind.
        interval: between two frames, seconds.
        patience: seconds since the latest stamped order for which time waits for the next one.
    """

    def __init__(self, node: Node, *, interval: float, patience: float = PATIENCE) -> None:
        self._node, self._interval, self._patience = node, interval, patience
        self._interval_ns = round(interval * NANOSECONDS)
        self._now_ns = 0
        self._waiting: list[tuple[int, Order]] = []  # when each is due, in the order of arrival
        self._ordered_ns, self._ordered_at = 0, 0.0  # the latest stamp, and when it came
        self._expected_ns = 0  # the next one
        self._began: deque[float] = deque(maxlen=PACE_OVER + 1)  # the latest frames
        self._clock = node.create_publisher(Clock, '/clock', qos.COMMAND)

    @property
    def seconds(self) -> float:
        """What the arm goes by."""
        return self._now_ns / NANOSECONDS

    @property
    def now_ns(self) -> int:
        """What messages are stamped with."""
        return self._now_ns

    def call_at_each_frame(self, callback: Callable[[], None]) -> None:
        """Call back at each frame from now on, the next one not before all else that has come."""
        steady = NodeClock(clock_type=ClockType.STEADY_TIME)
        due = time.monotonic() + self._interval

        def frame() -> None:
            nonlocal due
            if self._commander_lags:
                timer.timer_period_ns = round(BREATH * NANOSECONDS)
                timer.reset()
                return
            self._note_pace()
            callback()
            now = time.monotonic()
            due = max(due + self._interval, now + BREATH)
            timer.timer_period_ns = round((due - now) * NANOSECONDS)
            timer.reset()

        timer = self._node.create_timer(self._interval, frame, clock=steady)

    def obey(self, order: Order, *, stamp_ns: int) -> None:
        """Have an order obeyed one frame after its stamp."""
        off = abs(stamp_ns - self._now_ns) / NANOSECONDS
        if stamp_ns and off > NO_STAMP_OF_OURS:
            self._node.get_logger().warning(
                f'a command is stamped {off:.0f} s away from the time on /clock, and taken as of '
                'now: set use_sim_time where it comes from',
                throttle_duration_sec=10.0,
            )
            stamp_ns = 0
        self._waiting.append(((stamp_ns or self._now_ns) + self._interval_ns, order))
        if stamp_ns:
            if stamp_ns > self._ordered_ns:
                self._expected_ns = 2 * stamp_ns - self._ordered_ns
            self._ordered_ns, self._ordered_at = stamp_ns, time.monotonic()

    def next_frame(self, catch_up: Order) -> int:
        """Obey what is due, let a frame's time pass, and say on /clock that it has."""
        due = [order for when, order in self._waiting if when <= self._now_ns]
        self._waiting = [(when, order) for when, order in self._waiting if when > self._now_ns]
        for order in due:
            order(now=self.seconds)
        self._now_ns += self._interval_ns
        catch_up(now=self.seconds)
        self._clock.publish(Clock(clock=to_time(self._now_ns)))
        return self._now_ns

    def forget(self) -> None:
        """Drop what was ordered and not yet obeyed."""
        self._waiting.clear()
        self._ordered_at = 0.0
        self._began.clear()  # a reset takes as long as it takes

    @property
    def _commander_lags(self) -> bool:
        """Whether what is expected by now may still be on its way."""
        late = self._ordered_ns < self._expected_ns <= self._now_ns
        return late and time.monotonic() < self._ordered_at + self._patience

    def _note_pace(self) -> None:
        self._began.append(time.monotonic())
        if len(self._began) <= PACE_OVER:
            return
        pace = PACE_OVER * self._interval / (self._began[-1] - self._began[0])
        if pace < 0.9:
            self._node.get_logger().info(
                f'simulated time passes at {pace:.2f} of real time: this machine simulates and '
                'draws no faster',
                throttle_duration_sec=60.0,
            )
