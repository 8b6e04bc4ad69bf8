# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Limits on a running policy node: they clamp, they count, and the emergency stop latches."""

import numpy as np
import pytest
from geometry_msgs.msg import PoseStamped
from harness import FORWARD, new_world
from safety_bench import NODE, SafetyBench, commanded_since, moving
from std_msgs.msg import Bool
from waiting import wait_for

from spec_vla_ros.ros import qos

pytestmark = pytest.mark.dds
WANTED = FORWARD[:6] / 0.1  # m/s and rad/s


@pytest.fixture(scope='module')
def shared(tmp_path_factory):
    with new_world(tmp_path_factory.mktemp('world')) as world:
        yield SafetyBench(world)


@pytest.fixture
def bench(shared):
    shared.put_right()
    return shared


@pytest.fixture(scope='module')
def poses(shared):
    """Publish the end effector's pose at 30 Hz once it has a position; no two are quite equal."""
    noise = np.random.default_rng(0)
    node = shared.world.remote.node
    publisher = node.create_publisher(PoseStamped, 'end_effector_pose', qos.SENSOR_STATE)

    class Poses:
        position = None
        publishers = (publisher,)

    def publish():
        if Poses.position is not None:
            message = PoseStamped()
            message.header.stamp = node.get_clock().now().to_msg()
            message.header.frame_id = 'base_link'
            point = message.pose.position
            point.x, point.y, point.z = Poses.position + 1e-9 * noise.random(3)
            for each in Poses.publishers:
                each.publish(message)

    node.create_timer(1 / 30, publish)
    return Poses


def test_velocity_limits_clamp_each_axis_and_count(bench):
    limit = np.array([0.05, 0.5, 0.01, 2.5, 0.1, 2.5])
    bench.set(max_velocity=limit.tolist())
    start = len(bench.twists.messages)
    bench.instruct('go')
    bench.wait_moving()
    commanded = commanded_since(bench, start)
    np.testing.assert_allclose(commanded[-1], np.clip(WANTED, -limit, limit))
    assert (np.abs(commanded) <= limit).all()
    wait_for(lambda: bench.status.last.velocity_clamps > 0, 'the count')


def test_acceleration_limits_ramp_count_and_do_not_delay_a_halt(bench):
    limit = np.array([0.6] * 3 + [6.0] * 3)
    bench.set(max_acceleration=limit.tolist(), step_duration=1.0)
    bench.policy.action = FORWARD * np.array([3] * 6 + [1])
    start = len(bench.twists.messages)
    bench.instruct('go')
    bench.wait_moving()
    wait_for(lambda: bench.status.last.acceleration_clamps > 0, 'the count')
    assert bench.twists.messages
    bench.instruct('')
    bench.wait_halted('NO_INSTRUCTION')
    changes = np.diff(commanded_since(bench, start), axis=0)
    faster = (np.abs(changes) > limit / 30 + 1e-9).any(axis=1)
    halts = [not moving(t) for t in bench.twists.messages[start + 1 :]]
    assert not (faster & ~np.array(halts)).any()


def test_the_gripper_is_held_in_its_range_and_rate(bench):
    bench.policy.action = np.array([0, 0, 0, 0, 0, 0, 1.0])
    bench.instruct('open')
    bench.grippers.wait(lambda m: m.data == 1.0)
    bench.set(gripper_min=0.5, max_gripper_rate=1.0)
    start = len(bench.grippers.messages)
    bench.policy.action = np.zeros(7)
    bench.instruct('close')
    bench.grippers.wait(lambda m: m.data == 0.5)
    openings = [1.0, *(m.data for m in bench.grippers.messages[start:])]
    assert min(openings) == 0.5
    assert max(-np.diff(openings)) <= 1 / 30 + 1e-9
    wait_for(lambda: bench.status.last.gripper_clamps > 10, 'the count')


def test_the_workspace_is_not_left_and_needs_a_pose(bench, poses):
    bench.set(workspace_min=[-0.2, -0.2, 0.0], workspace_max=[0.2, 0.2, 0.4])
    bench.instruct('go')
    bench.wait_halted('POSE_MISSING')
    poses.position = (0.2, 0.0, 0.4)  # in the corner that it is told to leave
    start = len(bench.twists.messages)
    bench.wait_moving()
    wait_for(lambda: bench.status.last.workspace_clamps > 0, 'the count')
    commanded = commanded_since(bench, start)
    assert (commanded[:, 0] == 0).all()
    assert (commanded[:, 2] == 0).all()
    assert (commanded[:, 1] < 0).any()
    poses.position = None
    assert 'pose_timeout' in bench.wait_halted('POSE_MISSING').reason_text
    bench.assert_stands_still()


@pytest.mark.parametrize('told', [True, False], ids=['told who', 'not told who'])
def test_two_publishers_of_poses_halt_until_one_is_gone(bench, poses, monkeypatch, told):
    if not told:  # as on Jazzy
        monkeypatch.setattr('spec_vla_ros.ros.inputs.source_of', lambda info: None)
    bench.set(workspace_min=[-0.5, -0.5, 0.0], workspace_max=[0.5, 0.5, 0.5], pose_timeout=2.0)
    poses.position = (0.0, 0.0, 0.2)
    bench.instruct('go')
    bench.wait_moving()
    node, first = bench.world.remote.node, poses.publishers
    second = node.create_publisher(PoseStamped, 'end_effector_pose', qos.SENSOR_STATE)
    poses.publishers = (*first, second)
    assert 'two publishers send' in bench.wait_halted('POSE_MISSING').reason_text
    bench.assert_stands_still()
    poses.publishers = first
    node.destroy_publisher(second)
    bench.wait_moving()
    poses.position = None


def test_the_emergency_stop_latches_until_reset(bench):
    bench.set(step_duration=5.0)
    bench.instruct('go')
    bench.wait_moving()
    button = bench.world.remote.node.create_publisher(Bool, 'emergency_stop', qos.LATCHED)
    button.publish(Bool(data=True))
    bench.wait_halted('EMERGENCY_STOP')
    button.publish(Bool(data=False))  # letting go of the button is no reset
    bench.instruct('another')
    bench.assert_stands_still()
    assert bench.world.remote.deactivate(NODE)
    assert bench.world.remote.activate(NODE)
    bench.wait_halted('EMERGENCY_STOP')
    bench.instruct('go')
    bench.assert_stands_still()
    bench.reset()
    bench.wait_halted('NO_INSTRUCTION')  # and nothing moves by itself
    bench.assert_stands_still()
    bench.instruct('go')
    bench.wait_moving()
