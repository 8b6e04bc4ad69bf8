# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The simulated robot: a camera and a velocity-controlled gripper, as a ROS node.

It behaves as an arm controller does: velocities in, and a stop by itself when they go stale. The
simulation follows the clock in real time; see real_time_arm.py.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import PoseStamped, TwistStamped
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Float64

from spec_vla_ros.control.schedule import Twist
from spec_vla_ros.msg import EpisodeStatus
from spec_vla_ros.ros import qos
from spec_vla_ros.ros.converters import rgb_to_compressed, rgb_to_image, to_time
from spec_vla_ros.ros.episode import Episode
from spec_vla_ros.ros.parameters import LiveSettings
from spec_vla_ros.ros.real_time_arm import RealTimeArm
from spec_vla_ros.ros.spin import read_command_line, spin_node
from spec_vla_ros.settings.nodes import SimSettings
from spec_vla_ros.sim.env import TabletopEnv
from spec_vla_ros.srv import ResetEpisode

STATUS_PERIOD = 1.0  # seconds


class SimRobotNode(Node):
    """The tabletop simulator behind the topics of a robot; see docs/reference/ros.md for them.

    The environment is created, stepped and rendered in the thread that makes and spins the node,
    because its rendering context belongs to a thread.

    Args:
        kwargs: for rclpy's Node.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__('sim_robot', **kwargs)
        settings = LiveSettings(self, SimSettings).current
        self._frame, self._camera_frame = settings.base_frame, settings.camera_frame
        self._env = TabletopEnv(image_size=settings.image_size)
        self._arm = RealTimeArm(
            self._env, command_timeout=settings.command_timeout, now=time.monotonic()
        )
        self._episode = Episode(
            seed=settings.seed, instruction=self._env.reset(seed=settings.seed)
        )
        self._reported: tuple | None = None
        self._report_due = 0.0
        self._camera_info = self._make_camera_info(settings.image_size)

        raw = settings.image_transport in ('raw', 'both')
        compressed = settings.image_transport in ('compressed', 'both')
        self._images = self.create_publisher(Image, 'image', qos.CAMERA) if raw else None
        self._jpegs = (
            self.create_publisher(CompressedImage, 'image/compressed', qos.CAMERA)
            if compressed
            else None
        )
        self._infos = self.create_publisher(CameraInfo, 'camera_info', qos.CAMERA)
        self._poses = self.create_publisher(PoseStamped, 'end_effector_pose', qos.SENSOR_STATE)
        self._episodes = self.create_publisher(EpisodeStatus, 'episode', qos.LATCHED)
        self.create_subscription(TwistStamped, 'delta_twist_cmds', self._on_twist, qos.COMMAND)
        self.create_subscription(Float64, 'gripper_command', self._on_gripper, qos.COMMAND)
        self.create_service(ResetEpisode, 'reset', self._on_reset)
        self.create_timer(1.0 / settings.frame_rate, self._on_frame)

    def destroy_node(self) -> None:
        """Free the rendering context along with the node."""
        self._env.close()
        super().destroy_node()

    def _on_twist(self, message: TwistStamped) -> None:
        if message.header.frame_id not in ('', self._frame):
            self.get_logger().warning(
                f'a velocity in frame {message.header.frame_id!r} is ignored: this robot takes '
                f'them in {self._frame!r}',
                throttle_duration_sec=1.0,
            )
            return
        linear, angular = message.twist.linear, message.twist.angular
        twist = Twist(
            np.array([linear.x, linear.y, linear.z]), np.array([angular.x, angular.y, angular.z])
        )
        if not (np.isfinite(twist.linear).all() and np.isfinite(twist.angular).all()):
            self.get_logger().warning('a velocity that is not finite is ignored')
            return
        self._episode.commands_received += 1
        self._arm.command(twist, now=time.monotonic())

    def _on_gripper(self, message: Float64) -> None:
        if not 0.0 <= message.data <= 1.0:
            self.get_logger().warning(f'a gripper opening of {message.data} is ignored')
            return
        self._arm.command_gripper(message.data, now=time.monotonic())

    def _on_reset(
        self, request: ResetEpisode.Request, response: ResetEpisode.Response
    ) -> ResetEpisode.Response:
        try:
            instruction = self._env.reset(
                seed=request.seed, instruction=request.instruction or None
            )
        except ValueError as error:
            response.message = str(error)
            return response
        self._arm.rest(now=time.monotonic())
        self._episode = Episode(
            number=self._episode.number + 1, seed=request.seed, instruction=instruction
        )
        self.get_logger().info(f'episode {self._episode.number}: {instruction!r}')
        self._report()
        response.success = True
        response.episode = self._episode.number
        response.instruction = instruction
        return response

    def _on_frame(self) -> None:
        self._arm.catch_up(now=time.monotonic())
        now_ns = self.get_clock().now().nanoseconds
        stamp = to_time(now_ns)
        rgb = self._env.render()
        if self._images is not None:
            self._images.publish(rgb_to_image(rgb, stamp_ns=now_ns, frame_id=self._camera_frame))
        if self._jpegs is not None:
            self._jpegs.publish(
                rgb_to_compressed(rgb, stamp_ns=now_ns, frame_id=self._camera_frame)
            )
        self._camera_info.header.stamp = stamp
        self._infos.publish(self._camera_info)
        self._publish_pose(stamp)
        self._episode.observe(self._env.outcome(), timeouts=self._arm.timeouts)
        if self._episode.news() != self._reported or time.monotonic() >= self._report_due:
            self._report()

    def _publish_pose(self, stamp: Time) -> None:
        position, quaternion = self._env.end_effector_pose()
        message = PoseStamped()
        message.header.stamp = stamp
        message.header.frame_id = self._frame
        point, orientation = message.pose.position, message.pose.orientation
        point.x, point.y, point.z = map(float, position)
        orientation.x, orientation.y, orientation.z, orientation.w = map(float, quaternion)
        self._poses.publish(message)

    def _report(self) -> None:
        self._reported = self._episode.news()
        self._report_due = time.monotonic() + STATUS_PERIOD
        message = self._episode.message()
        message.header.stamp = self.get_clock().now().to_msg()
        self._episodes.publish(message)

    def _make_camera_info(self, size: int) -> CameraInfo:
        matrix = self._env.intrinsics()
        message = CameraInfo(width=size, height=size, distortion_model='plumb_bob', d=[0.0] * 5)
        message.header.frame_id = self._camera_frame
        message.k = matrix.ravel().tolist()
        message.r = np.eye(3).ravel().tolist()
        message.p = np.column_stack([matrix, np.zeros(3)]).ravel().tolist()
        return message


def main() -> None:
    """Run the simulated robot until it is interrupted or terminated."""
    read_command_line(
        'The simulated robot: a camera over a table, an arm that takes velocities.',
        node='sim_robot',
    )
    spin_node(SimRobotNode)


if __name__ == '__main__':
    main()
