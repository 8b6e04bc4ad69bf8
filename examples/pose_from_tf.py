# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Publish where the end effector is as a pose, from TF.

The policy node needs it for a workspace box and for `command_type: pose`, and reads no TF. Name
the frames of your arm; `base` is the node's `command_frame`:

python examples/pose_from_tf.py --ros-args -p base:=base_link -p tool:=tool0

The pose has the transform's own stamp, and an old one is not sent again: where TF falls silent,
the policy node has to halt. If simulated time starts again, earlier transforms are forgotten.
"""

from __future__ import annotations

import rclpy
from geometry_msgs.msg import PoseStamped
from rclpy.clock import JumpThreshold, TimeJump
from rclpy.duration import Duration
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.time import Time
from tf2_ros import Buffer, TransformException, TransformListener

RATE = 50.0  # Hz, of looking; the node's pose_timeout has to be several times as long


class PoseFromTf(Node):
    """Publishes the newest transform from `base` to `tool` on `end_effector_pose`."""

    def __init__(self, **kwargs: object) -> None:
        super().__init__('pose_from_tf', **kwargs)
        self._base: str = self.declare_parameter('base', 'base_link').value
        self._tool: str = self.declare_parameter('tool', 'tool0').value
        self._buffer = Buffer()
        # Transforms of a later time would hide all that come after a restart of the simulation.
        # A buffer that is given the node is to clear itself, but some versions of it fail there.
        back = JumpThreshold(
            min_forward=None, min_backward=Duration(nanoseconds=-1), on_clock_change=False
        )
        self._jumps = self.get_clock().create_jump_callback(back, post_callback=self._on_jump)
        self._listener = TransformListener(self._buffer, self)
        self._publisher = self.create_publisher(PoseStamped, 'end_effector_pose', 1)
        self._sent: tuple[int, int] | None = None
        self.create_timer(1.0 / RATE, self._on_timer)

    def _on_jump(self, jump: TimeJump) -> None:
        self.get_logger().warning('time went back: transforms from before are forgotten')
        self._buffer.clear()

    def _on_timer(self) -> None:
        try:
            found = self._buffer.lookup_transform(self._base, self._tool, Time())
        except TransformException as error:
            self.get_logger().warning(str(error), throttle_duration_sec=5.0)
            return
        stamp = (found.header.stamp.sec, found.header.stamp.nanosec)
        if stamp == self._sent:
            return
        self._sent = stamp
        pose = PoseStamped(header=found.header)
        moved, turned = found.transform.translation, found.transform.rotation
        pose.pose.position.x, pose.pose.position.y = moved.x, moved.y
        pose.pose.position.z = moved.z
        pose.pose.orientation = turned
        self._publisher.publish(pose)


def main() -> None:
    """Publish until interrupted."""
    rclpy.init()
    node = PoseFromTf()
    try:
        rclpy.spin(node)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        node.destroy_node()
        rclpy.try_shutdown()


if __name__ == '__main__':
    main()
