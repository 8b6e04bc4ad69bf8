# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Pose targets move the simulated robot as velocities do, with a controller that follows them."""

import itertools

import numpy as np
import pytest
from geometry_msgs.msg import PoseStamped, TwistStamped
from harness import ScriptedPolicy, on_time, vector
from spec_vla_ros.msg import EpisodeStatus, VlaAction
from waiting import wait_for

from spec_vla_ros.control.schedule import Twist
from spec_vla_ros.ros import qos
from spec_vla_ros.ros.arm_outputs import product
from spec_vla_ros.ros.messages import twist_message

pytestmark = pytest.mark.dds
ROBOT = 'spec_vla_ros.ros.robots.sim_node'
GAIN = 8.0  # 1/s
STEP = np.array([0.004, 0.0, 0.004, 0.0, 0.0, 0.08, 1.0])
STEPS = 5


class Follower:
    """A controller of one line: the velocity is in proportion to what is missing."""

    def __init__(self, world):
        self._twists = world.remote.node.create_publisher(
            TwistStamped, 'delta_twist_cmds', qos.COMMAND
        )
        self.pose = self.target = None
        world.remote.subscribe(PoseStamped, 'end_effector_pose', self._on_pose, qos.SENSOR_STATE)
        world.remote.subscribe(PoseStamped, 'pose_target', self._on_target, qos.COMMAND)

    def _on_target(self, message):
        self.target = message

    def _on_pose(self, message):
        self.pose = message
        if self.target is None:
            return
        twist = Twist(GAIN * self.position_error(), GAIN * self.rotation_error())
        self._twists.publish(twist_message(twist, now_ns=0, frame_id='base_link'))

    def arrived(self):
        return self.target is not None and np.abs(self.position_error()).max() < 1e-4

    def position_error(self):
        return vector(self.target.pose.position) - vector(self.pose.pose.position)

    def rotation_error(self):
        """Rotation vector from where it is to where it should be; small angles."""
        there, here = map(quaternion, (self.target, self.pose))
        missing = product(there, here * np.array([-1, -1, -1, 1]))
        return 2 * missing[:3] * np.sign(missing[3])


def quaternion(message):
    turn = message.pose.orientation
    return np.array([turn.x, turn.y, turn.z, turn.w])


@pytest.mark.alone
def test_the_arm_ends_where_the_deltas_say(world):
    """In real time: what counts is a time in which the machine let robot and node be."""
    world.process('robot', ROBOT)
    follower = Follower(world)
    topics = [
        world.record(PoseStamped, 'end_effector_pose', qos.SENSOR_STATE),
        world.record(PoseStamped, 'pose_target'),
    ]
    actions = world.record(VlaAction, 'action')
    wait_for(lambda: follower.pose is not None, 'the first pose')
    deltas = iter(())
    policy = ScriptedPolicy(lambda seen: next(deltas, 0 * STEP))
    world.policy_node(
        lambda settings: policy, command_type='pose', settle_time=0.7, image_timeout=1.0
    )
    world.instruct('go')
    robot = world.record(EpisodeStatus, 'episode', qos.LATCHED)
    wait_for(lambda: robot.last and robot.last.commands_received, 'the robot to be commanded')
    directions = itertools.cycle((1, -1))

    def moved():
        nonlocal deltas
        # What a late controller still has to do of an attempt that does not count.
        wait_for(follower.arrived, 'the arm where it should be')
        before, count = [len(topic.messages) for topic in topics], len(actions.messages)
        start, turned = vector(follower.pose.pose.position), quaternion(follower.pose)
        direction = next(directions)
        deltas = itertools.repeat(np.append(direction * STEP[:6], STEP[6]), STEPS)
        wait_for(lambda: len(actions.messages) >= count + STEPS + 3, 'the actions')
        way = vector(follower.pose.pose.position) - start
        turn = product(quaternion(follower.pose), turned * np.array([-1, -1, -1, 1]))
        rotation = 2 * turn[:3] * np.sign(turn[3])
        in_time = all(
            on_time(t.messages[n:], within=0.2) for t, n in zip(topics, before, strict=True)
        )
        return (direction * way, direction * rotation) if in_time else None

    way, rotation = wait_for(moved, 'robot and node to be in time')
    np.testing.assert_allclose(way, STEPS * STEP[:3], atol=0.003)
    np.testing.assert_allclose(rotation, STEPS * STEP[3:6], atol=0.06)
