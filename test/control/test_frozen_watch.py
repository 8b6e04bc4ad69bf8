# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""A frozen picture is noticed once the arm has visibly been told to move, and only then."""

import numpy as np
import pytest

from spec_vla_ros.control.frozen_watch import FrozenWatch
from spec_vla_ros.control.schedule import Twist, zero_twist

PERIOD = 1 / 30
FORWARD = Twist(np.array([0.1, 0, 0]), np.zeros(3))
TURN = Twist(np.zeros(3), np.array([0, 0, 1.0]))
CREEP = Twist(np.array([0.0005, 0, 0]), np.array([0, 0, 0.005]))


class Clock:
    def __init__(self):
        self.watch = FrozenWatch()
        self.now_ns = 10**18

    def pass_time(self, seconds, twist):
        for _ in range(round(seconds / PERIOD)):
            self.watch.commanded(twist, seconds=PERIOD, now_ns=self.now_ns)
            self.now_ns += round(PERIOD * 1e9)

    @property
    def verdict(self):
        return self.watch.verdict(now_ns=self.now_ns, timeout=0.5)


@pytest.mark.parametrize('twist', [FORWARD, TURN])
def test_motion_that_does_not_show_is_noticed_after_the_timeout(twist):
    clock = Clock()
    clock.pass_time(0.5, twist)
    assert clock.verdict is None
    clock.pass_time(0.1, twist)
    assert 'pixels have not changed in 0.6' in clock.verdict


def test_a_short_motion_must_show_even_if_the_arm_then_waits():
    clock = Clock()
    clock.pass_time(0.1, FORWARD)
    clock.pass_time(0.4, zero_twist())
    assert clock.verdict is None
    clock.pass_time(0.1, zero_twist())
    assert '10 mm' in clock.verdict


def test_a_picture_that_changes_is_alive():
    clock = Clock()
    for _ in range(10):
        clock.pass_time(0.3, FORWARD)
        assert clock.verdict is None
        clock.watch.picture_changed()


@pytest.mark.parametrize('twist', [zero_twist(), CREEP])
def test_nothing_visible_was_commanded(twist):
    clock = Clock()
    clock.pass_time(5.0, twist)
    assert clock.verdict is None


def test_time_before_the_motion_does_not_count():
    clock = Clock()
    clock.pass_time(100.0, zero_twist())
    clock.pass_time(0.3, FORWARD)
    assert clock.verdict is None
