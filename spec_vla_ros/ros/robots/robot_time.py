# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""How time passes for a simulated robot: by the computer's clock, or step by step on /clock."""

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
"""Seconds after each frame in which the node handles its messages, however late the frame is."""

PATIENCE = 1.0
"""Seconds since the latest stamped order for which time waits for the next one, by default."""

NO_STAMP_OF_OURS = 1.0  # seconds; stamps that are further off come from another clock
PACE_OVER = 40  # frames over which the pace of time is measured


class Order(Protocol):
    """A command to the robot, to be obeyed when its time has come."""

    def __call__(self, *, now: float) -> None:
        """Obey the command; now: the robot's time in seconds."""


class RobotTime(Protocol):
    """A robot's time, in which frames follow one another and commands arrive between them."""

    @property
    def seconds(self) -> float:
        """The time by which the arm moves; it begins anywhere and never goes back."""

    @property
    def now_ns(self) -> int:
        """The time with which messages are stamped."""

    def call_at_each_frame(self, callback: Callable[[], None]) -> None:
        """Call back at each frame from now on."""

    def obey(self, order: Order, *, stamp_ns: int) -> None:
        """Have an order obeyed that has just arrived; stamp_ns: when it was given, 0 for now."""

    def next_frame(self, catch_up: Order) -> int:
        """Let time pass until the next frame, let the arm catch up, and return the stamp."""

    def forget(self) -> None:
        """Drop the orders that have not been obeyed yet."""


class RealTime:
    """The computer's own time; orders are obeyed at once.

    Args:
        node: its clock gives the stamps.
        rate: frames per second.
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
        """Obey an order at once."""
        order(now=self.seconds)

    def next_frame(self, catch_up: Order) -> int:
        """Let the arm catch up with the present, and return the stamp."""
        catch_up(now=self.seconds)
        return self.now_ns

    def forget(self) -> None:
        """Do nothing: no order ever waits."""


class SteppedTime:
    """Time that passes frame by frame, in real time or slower if the computer cannot keep up.

    It begins at zero and is published on /clock, after the step and before the picture is drawn.
    An order is obeyed one frame after its stamp, and for as many frames as it was in force by the
    stamps, so that nothing depends on how long drawing takes. Time also waits for a commander
    that is late because the computer is busy. The next order is expected as long after the last
    one, by the stamps, as the last came after the one before.

    Args:
        node: publishes the clock, and logs how fast time passes if that is slower than real time.
        interval: seconds between two frames.
        patience: seconds since the latest stamped order for which time waits for the next one.
    """

    def __init__(self, node: Node, *, interval: float, patience: float = PATIENCE) -> None:
        self._node, self._interval, self._patience = node, interval, patience
        self._interval_ns = round(interval * NANOSECONDS)
        self._now_ns = 0
        self._waiting: list[tuple[int, Order]] = []  # when each is due, in the order of arrival
        self._ordered_ns, self._ordered_at = 0, 0.0  # the latest stamp, and when it arrived
        self._expected_ns = 0  # the stamp of the next order
        self._began: deque[float] = deque(maxlen=PACE_OVER + 1)  # when the latest frames began
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
        """Call back at each frame from now on; between two of them, messages are handled."""
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
        """Obey the orders that are due, let a frame's time pass, and publish it on /clock."""
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
        self._began.clear()  # the time that a reset takes says nothing about the pace

    @property
    def _commander_lags(self) -> bool:
        """Whether an order that is expected by now may still be on its way."""
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
