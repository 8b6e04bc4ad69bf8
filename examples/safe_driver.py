# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""A driver that takes velocities from the policy node, and does not trust it.

It stops by itself when nothing comes, and takes no velocity that is old, in another frame, not a
number, or too fast. It listens to `delta_twist_cmds` and calls `send` at a fixed rate: put your
arm's interface there. Nothing of spec_vla_ros is imported.
"""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Callable

import rclpy
from geometry_msgs.msg import TwistStamped
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node

Velocity = tuple[float, float, float, float, float, float]
"""Along x, y, z [m/s] and about x, y, z [rad/s]."""

STILL: Velocity = (0.0,) * 6
RATE = 100.0  # Hz, of `send`
HOLDS = 0.1  # seconds for which a velocity holds: three periods of a node that commands at 30 Hz
OLDEST = 0.1  # seconds between stamp and arrival; wants the clocks of both machines set alike
FASTEST: Velocity = (0.25, 0.25, 0.25, 1.0, 1.0, 1.0)  # the arm's own limits, not the node's


class SafeDriver(Node):
    """Holds each velocity until the next one, for a tenth of a second; then stands still.

    Args:
        send: gives a velocity to the arm; called at `RATE`, whatever comes or does not come. If
            the arm holds a velocity until the next one, give it a duration, too: a process that is
            killed sends no zero.
        kwargs: for rclpy's Node.

    The parameter `frame` is that of the velocities which the arm understands.
    """

    def __init__(self, send: Callable[[Velocity], None], **kwargs: object) -> None:
        super().__init__('safe_driver', **kwargs)
        self._send = send
        self._frame: str = self.declare_parameter('frame', 'base_link').value
        self._velocity, self._until = STILL, 0.0
        self.create_subscription(TwistStamped, 'delta_twist_cmds', self._on_twist, 1)
        self.create_timer(1.0 / RATE, self._on_timer)

    def stop(self) -> None:
        """Stand still now."""
        self._velocity = STILL
        self._send(STILL)

    def _on_twist(self, message: TwistStamped) -> None:
        """Store; the timer sends."""
        linear, angular = message.twist.linear, message.twist.angular
        asked = (linear.x, linear.y, linear.z, angular.x, angular.y, angular.z)
        fault = self._fault(message, asked)
        if fault is not None:
            self.get_logger().warning(f'ignored: {fault}', throttle_duration_sec=1.0)
            return
        self._velocity = tuple(
            max(-most, min(most, each)) for each, most in zip(asked, FASTEST, strict=True)
        )
        self._until = time.monotonic() + HOLDS  # by a clock that nobody sets

    def _fault(self, message: TwistStamped, asked: Velocity) -> str | None:
        """Return why a velocity is not taken; the one before holds until its time is over."""
        if message.header.frame_id != self._frame:
            return f'in {message.header.frame_id!r}, this arm takes {self._frame!r}'
        if not all(map(math.isfinite, asked)):
            return f'not finite: {asked}'
        stamp = rclpy.time.Time.from_msg(message.header.stamp)
        age = (self.get_clock().now() - stamp).nanoseconds / 1e9
        if abs(age) > OLDEST:
            return f'{age:.3f} s old'
        return None

    def _on_timer(self) -> None:
        if time.monotonic() > self._until:
            self._velocity = STILL
        self._send(self._velocity)


def main() -> None:
    """Print what an arm would be given, until interrupted."""
    rclpy.init()
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # it is ignored under nohup
        signal.signal(signal.SIGHUP, signal.default_int_handler)  # the terminal ends: as Ctrl-C
    driver = SafeDriver(lambda velocity: print(*(f'{each:+.3f}' for each in velocity)))
    try:
        rclpy.spin(driver)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        driver.stop()
        driver.destroy_node()
        rclpy.try_shutdown()


if __name__ == '__main__':
    main()
