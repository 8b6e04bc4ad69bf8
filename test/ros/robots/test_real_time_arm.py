# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The real-time arm: a velocity acts exactly as long as it is in force, and goes stale."""

import numpy as np
import pytest

from spec_vla_ros.control.schedule import Twist, zero_twist
from spec_vla_ros.ros.robots.real_time_arm import RealTimeArm, VelocitySteps

FORWARD = Twist(np.array([0.1, 0.0, 0.0]), np.array([0.0, 0.0, 0.5]))


class Integrator:
    """An environment that only adds up."""

    def __init__(self):
        self.position = np.zeros(3)
        self.angle = np.zeros(3)
        self.elapsed = 0.0
        self.gripper = None
        self._linear = np.zeros(3)
        self._angular = np.zeros(3)

    def set_velocity(self, linear, angular, *, gripper):
        self._linear, self._angular, self.gripper = linear, angular, gripper

    def advance(self, seconds):
        assert seconds > 0
        self.position = self.position + self._linear * seconds
        self.angle = self.angle + self._angular * seconds
        self.elapsed += seconds


@pytest.fixture
def env():
    return Integrator()


@pytest.fixture
def arm(env):
    return RealTimeArm(env, command_timeout=0.1, now=50.0)


def test_a_velocity_acts_from_command_to_command(env, arm):
    arm.command(FORWARD, now=50.02)
    arm.command(zero_twist(), now=50.06)
    arm.catch_up(now=50.09)
    np.testing.assert_allclose(env.position, [0.004, 0, 0])
    np.testing.assert_allclose(env.angle, [0, 0, 0.02])
    assert env.elapsed == pytest.approx(0.09)
    assert arm.timeouts == 0


def test_a_stale_velocity_stops_at_its_deadline_however_late_we_look(env, arm):
    arm.command(FORWARD, now=50.0)
    arm.catch_up(now=50.4)
    np.testing.assert_allclose(env.position, [0.01, 0, 0])
    assert env.elapsed == pytest.approx(0.4)
    assert arm.timeouts == 1
    arm.catch_up(now=50.5)
    assert arm.timeouts == 1


def test_repeated_commands_keep_it_going(env, arm):
    for k in range(10):
        arm.command(FORWARD, now=50.0 + k * 0.05)
    arm.command(zero_twist(), now=50.5)
    np.testing.assert_allclose(env.position, [0.05, 0, 0])
    assert arm.timeouts == 0


def test_standing_still_never_times_out(arm):
    arm.command(zero_twist(), now=50.0)
    arm.catch_up(now=60.0)
    assert arm.timeouts == 0


def test_the_gripper_holds(env, arm):
    arm.command_gripper(0.0, now=50.1)
    arm.catch_up(now=50.9)
    assert env.gripper == 0.0


def test_a_long_gap_is_not_caught_up_with(env, arm):
    arm.catch_up(now=5000.0)
    assert env.elapsed == pytest.approx(0.5)


def test_rest_stops_and_opens_and_skips_time(env, arm):
    arm.command(FORWARD, now=50.0)
    arm.command_gripper(0.0, now=50.0)
    arm.rest(now=50.3)
    assert env.gripper == 1.0
    assert env.elapsed == 0.0
    arm.catch_up(now=50.4)
    np.testing.assert_array_equal(env.position, np.zeros(3))


class Steps:
    """Takes a displacement for each 50 ms."""

    interval = 0.05

    def __init__(self):
        self.actions = []

    def step(self, action):
        self.actions.append(action)


def test_velocities_become_displacements_of_whole_periods():
    env = Steps()
    arm = RealTimeArm(VelocitySteps(env), command_timeout=0.125, now=0.0)
    arm.catch_up(now=0.05)
    arm.command(FORWARD, now=0.05)
    arm.command_gripper(0.0, now=0.05)
    arm.catch_up(now=0.1)
    arm.command(zero_twist(), now=0.12)
    arm.catch_up(now=0.15 - 1e-9)
    assert len(env.actions) == 3
    np.testing.assert_array_equal(env.actions[0], [0, 0, 0, 0, 0, 0, 1])
    np.testing.assert_allclose(env.actions[1], [0.005, 0, 0, 0, 0, 0.025, 0])
    np.testing.assert_allclose(env.actions[2], [0.002, 0, 0, 0, 0, 0.01, 0], atol=1e-8)


def test_no_period_is_lost_or_won_by_rounding():
    env = Steps()
    arm = RealTimeArm(VelocitySteps(env), command_timeout=0.125, now=0.0)
    for period in range(1, 20_001):
        arm.catch_up(now=period * 50_000_000 / 1e9)
    assert len(env.actions) == 20_000


def test_a_velocity_that_goes_stale_within_a_period_is_obeyed_for_a_part_of_it():
    env = Steps()
    arm = RealTimeArm(VelocitySteps(env), command_timeout=0.125, now=0.0)
    arm.command(FORWARD, now=0.0)
    for now in (0.05, 0.1, 0.15, 0.2):
        arm.catch_up(now=now)
    forward = [action[0] for action in env.actions]
    np.testing.assert_allclose(forward, [0.005, 0.005, 0.0025, 0.0])
    assert arm.timeouts == 1
