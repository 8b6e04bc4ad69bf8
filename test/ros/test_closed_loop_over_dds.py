# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Robot and policy together: the loop closes, and survives the robot's death."""

import itertools

import numpy as np
import pytest
from geometry_msgs.msg import PoseStamped, TwistStamped
from harness import ScriptedPolicy, halted, on_time, running, twist_vector, vector
from processes import kill_outright
from spec_vla_ros.msg import EpisodeStatus, PolicyStatus, VlaAction
from waiting import wait_for

from spec_vla_ros.ros import qos

pytestmark = pytest.mark.dds
ROBOT = 'spec_vla_ros.ros.robots.sim_node'
UP = np.array([0.0, 0.0, 0.004, 0, 0, 0, 1.0])


@pytest.mark.alone
def test_the_robot_moves_by_the_actions_deltas(world):
    """Five actions, then none: the arm ends where their sum says.

    Robot and node are in real time: what counts is a time in which the machine let them be.
    """
    world.process('robot', ROBOT)
    poses = world.record(PoseStamped, 'end_effector_pose', qos.SENSOR_STATE)
    twists = world.record(TwistStamped, 'delta_twist_cmds')
    actions = world.record(VlaAction, 'action')
    deltas = iter(())
    policy = ScriptedPolicy(lambda observation: next(deltas, 0 * UP))
    world.policy_node(lambda settings: policy, step_duration=0.2)
    world.instruct('go up and down')
    robot = world.record(EpisodeStatus, 'episode', qos.LATCHED)
    wait_for(lambda: robot.last and robot.last.commands_received, 'the robot to be commanded')
    directions = itertools.cycle((1, -1))

    def moved():
        nonlocal deltas
        before = [len(topic.messages) for topic in (poses, twists, actions)]
        start, direction = vector(poses.wait().pose.position), next(directions)
        deltas = itertools.repeat(np.append(direction * UP[:6], UP[6]), 5)
        wait_for(lambda: len(actions.messages) >= before[2] + 8, 'the actions')
        way = direction * (vector(poses.wait().pose.position) - start)
        in_time = on_time(poses.messages[before[0] :]) and on_time(twists.messages[before[1] :])
        return (way,) if in_time else None

    (way,) = wait_for(moved, 'robot and node to be in time')
    assert policy.observations[0].image.shape == (192, 192, 3)
    np.testing.assert_allclose(way, 5 * UP[:3], atol=0.006)


def test_a_killed_robot_halts_the_policy_and_its_return_resumes_it(world):
    robot = world.process('robot', ROBOT)
    twists = world.record(TwistStamped, 'delta_twist_cmds')
    status = world.record(PolicyStatus, 'status', qos.LATCHED)
    world.policy_node(lambda settings: ScriptedPolicy(UP))
    world.instruct('go up')
    wait_for(lambda: status.last is not None and running(status.last), 'running')
    kill_outright(robot)
    status.wait(halted(PolicyStatus.REASON_STALE_IMAGE))
    for _ in range(5):
        assert not twist_vector(twists.wait()).any()
    world.process('robot again', ROBOT)
    status.wait(running)
    twists.wait(lambda t: twist_vector(t).any())
