# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The real-time arm: a velocity acts exactly as long as it is in force, and goes stale."""

import numpy as np
import pytest

from spec_vla_ros.control.schedule import Twist, zero_twist
from spec_vla_ros.ros.real_time_arm import RealTimeArm

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
