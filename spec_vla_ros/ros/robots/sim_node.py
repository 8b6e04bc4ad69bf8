# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The simulated robot: a camera and a velocity-controlled arm with a gripper, as a ROS node.

It behaves like an arm controller: it takes velocities, and stops by itself when they become stale.
The simulator, and how its time passes, are passed in.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import PoseStamped, TwistStamped
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Float64

from spec_vla_ros.control.poses import Pose
from spec_vla_ros.control.schedule import Twist
from spec_vla_ros.msg import EpisodeStatus
from spec_vla_ros.ros import qos
from spec_vla_ros.ros.converters import (
    rgb_to_compressed,
    rgb_to_image,
    to_nanoseconds,
    to_time,
)
from spec_vla_ros.ros.messages import pose_message
from spec_vla_ros.ros.names import ROBOT_NAMES
from spec_vla_ros.ros.parameters import LiveSettings
from spec_vla_ros.ros.robots.episode import Episode
from spec_vla_ros.ros.robots.real_time_arm import RealTimeArm, VelocityEnv
from spec_vla_ros.ros.robots.robot_time import RealTime, RobotTime
from spec_vla_ros.ros.startup.spin import read_command_line, spin_node
from spec_vla_ros.settings.nodes import RobotSettings, SimSettings
from spec_vla_ros.sim.env import TabletopEnv
from spec_vla_ros.sim.environment import Environment
from spec_vla_ros.srv import ResetEpisode

STATUS_PERIOD = 1.0  # seconds


@dataclass(frozen=True, slots=True)
class Simulation:
    """What a node simulates.

    env: the simulator. driven: takes the velocities for it. time: how its time passes.
    """

    env: Environment
    driven: VelocityEnv
    time: RobotTime


def tabletop(node: Node, settings: SimSettings) -> Simulation:
    """Return the simulation of the tabletop in real time."""
    env = TabletopEnv(image_size=settings.image_size)
    return Simulation(env, env, RealTime(node, rate=settings.frame_rate))


class SimRobotNode(Node):
    """A simulator behind a robot's topics, see docs/reference/ros.md.

    The simulator is made, stepped and rendered in the thread that makes and spins the node,
    because a rendering context belongs to one thread.

    Args:
        name: name of the node.
        settings: the class that declares its parameters.
        simulate: makes the simulation, given this node and the settings in force.
        kwargs: for rclpy's Node.

    Raises:
        ValueError: a parameter is wrong, or the simulator is not installed.
    """

    def __init__(
        self,
        *,
        name: str = 'sim_robot',
        settings: type[RobotSettings] = SimSettings,
        simulate: Callable[[Node, Any], Simulation] = tabletop,
        **kwargs: Any,
    ) -> None:
        super().__init__(name, **kwargs)
        given = LiveSettings(self, settings, names=ROBOT_NAMES).current
        self._frame, self._camera_frame = given.base_frame, given.camera_frame
        simulation = simulate(self, given)
        self._env, self._time = simulation.env, simulation.time
        instruction = self._env.reset(seed=given.seed)
        self._arm = RealTimeArm(
            simulation.driven, command_timeout=given.command_timeout, now=self._time.seconds
        )
        self._episode = Episode(seed=given.seed, instruction=instruction, began=self._time.seconds)
        self._reported: tuple | None = None
        self._report_due = 0.0
        self._camera_info = self._make_camera_info(given.image_size)

        raw = given.image_transport in ('raw', 'both')
        compressed = given.image_transport in ('compressed', 'both')
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
        self._time.call_at_each_frame(self._on_frame)

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
        self._episode.commanded()
        stamp_ns = to_nanoseconds(message.header.stamp)
        self._time.obey(partial(self._arm.command, twist), stamp_ns=stamp_ns)

    def _on_gripper(self, message: Float64) -> None:
        if not 0.0 <= message.data <= 1.0:
            self.get_logger().warning(f'a gripper opening of {message.data} is ignored')
            return
        self._time.obey(partial(self._arm.command_gripper, message.data), stamp_ns=0)

    def _on_reset(
        self, request: ResetEpisode.Request, response: ResetEpisode.Response
    ) -> ResetEpisode.Response:
        initial_state = None if request.initial_state == -1 else request.initial_state
        try:
            instruction = self._env.reset(
                seed=request.seed,
                instruction=request.instruction or None,
                initial_state=initial_state,
            )
        except ValueError as error:
            response.message = str(error)
            return response
        self._time.forget()
        self._arm.rest(now=self._time.seconds)
        self._episode = Episode(
            number=self._episode.number + 1,
            seed=request.seed,
            initial_state=request.initial_state,
            instruction=instruction,
            began=self._time.seconds,
        )
        self.get_logger().info(f'episode {self._episode.number}: {instruction!r}')
        self._report()
        response.success = True
        response.episode = self._episode.number
        response.instruction = instruction
        return response

    def _on_frame(self) -> None:
        now_ns = self._time.next_frame(self._arm.catch_up)
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
        now_ns = to_nanoseconds(stamp)
        pose = Pose(position, quaternion, frame_id=self._frame, stamp_ns=now_ns)
        self._poses.publish(pose_message(pose, now_ns=now_ns))

    def _report(self) -> None:
        self._reported = self._episode.news()
        self._report_due = time.monotonic() + STATUS_PERIOD
        message = self._episode.message(now=self._time.seconds)
        message.header.stamp = to_time(self._time.now_ns)
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
