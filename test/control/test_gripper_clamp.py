# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The gripper's range and rate: clamped, counted, and commanded only while there is news."""

import pytest

from spec_vla_ros.control.gripper_clamp import GripperClamp, GripperLimits

PERIOD = 0.1
FREE = GripperLimits()


def test_without_limits_an_opening_is_commanded_once():
    clamp = GripperClamp()
    assert clamp.tick(FREE, period=PERIOD) is None
    clamp.go_to(0.3, FREE)
    assert clamp.tick(FREE, period=PERIOD) == 0.3
    assert clamp.tick(FREE, period=PERIOD) is None
    assert clamp.clamps == 0


def test_bins_a_little_outside_are_clipped_without_counting():
    clamp = GripperClamp()
    clamp.go_to(1.02, FREE)
    assert clamp.tick(FREE, period=PERIOD) == 1.0
    assert clamp.clamps == 0


def test_the_range_clamps_and_counts():
    clamp, narrow = GripperClamp(), GripperLimits(low=0.2, high=0.8)
    for opening, commanded in [(0.0, 0.2), (1.0, 0.8), (0.5, 0.5)]:
        clamp.go_to(opening, narrow)
        assert clamp.tick(narrow, period=PERIOD) == commanded
    assert clamp.clamps == 2


def test_the_rate_ramps_from_what_was_commanded_last():
    clamp, slow = GripperClamp(), GripperLimits(rate=2.0)
    clamp.go_to(0.0, slow)
    assert clamp.tick(slow, period=PERIOD) == 0.0  # unknown before: commanded as it is
    clamp.go_to(0.5, slow)
    ramp = [clamp.tick(slow, period=PERIOD) for _ in range(4)]
    assert ramp[:3] == pytest.approx([0.2, 0.4, 0.5])
    assert ramp[3] is None
    assert clamp.clamps == 2


def test_holding_ends_the_ramp_where_it_is():
    clamp, slow = GripperClamp(), GripperLimits(rate=2.0)
    for opening in (0.0, 1.0):
        clamp.go_to(opening, slow)
        clamp.tick(slow, period=PERIOD)
    clamp.hold()
    assert clamp.tick(slow, period=PERIOD) is None
    clamp.go_to(0.0, slow)
    assert clamp.tick(slow, period=PERIOD) == pytest.approx(0.0)
