# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""A delta is played once: its ticks sum up to it, then the twist is zero."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spec_vla_ros.control.schedule import DeltaSchedule, ticks_for

DELTA = np.array([0.018, -0.01, 0.005, 0.1, -0.05, 0.02])


def as_vector(twist):
    return np.concatenate([twist.linear, twist.angular])


@given(
    delta=st.lists(st.floats(-1, 1), min_size=6, max_size=6),
    ticks=st.integers(1, 50),
    rate=st.floats(1, 500),
)
def test_the_ticks_sum_up_to_the_delta(delta, ticks, rate):
    schedule = DeltaSchedule()
    schedule.start(np.array(delta), ticks=ticks, control_rate=rate)
    played = []
    while schedule.moving:
        played.append(as_vector(schedule.tick()) / rate)
    assert len(played) == ticks
    np.testing.assert_allclose(np.sum(played, axis=0), delta, rtol=1e-9, atol=1e-15)
    assert not as_vector(schedule.tick()).any()


def test_before_the_first_delta_nothing_moves():
    schedule = DeltaSchedule()
    assert not schedule.moving
    twist = schedule.tick()
    assert twist.linear.shape == twist.angular.shape == (3,)
    assert not as_vector(twist).any()


def test_a_new_delta_replaces_what_is_left():
    schedule = DeltaSchedule()
    schedule.start(DELTA, ticks=3, control_rate=30)
    schedule.tick()
    schedule.start(-DELTA, ticks=1, control_rate=30)
    np.testing.assert_allclose(as_vector(schedule.tick()), -DELTA * 30)
    assert not schedule.moving


def test_a_halt_drops_the_rest():
    schedule = DeltaSchedule()
    schedule.start(DELTA, ticks=3, control_rate=30)
    schedule.tick()
    schedule.halt()
    assert not schedule.moving
    assert not as_vector(schedule.tick()).any()


@pytest.mark.parametrize(
    ('duration', 'rate', 'ticks'), [(0.1, 30, 3), (0.2, 30, 6), (0.01, 30, 1), (1 / 3, 10, 3)]
)
def test_ticks_of_a_step(duration, rate, ticks):
    assert ticks_for(duration, rate) == ticks


def test_no_ticks_is_an_error():
    with pytest.raises(ValueError, match='at least one tick'):
        DeltaSchedule().start(DELTA, ticks=0, control_rate=30)
