# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Actions that are refused; limits that clamp, count, and let everything else through."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spec_vla_ros.control.limits import CommandLimits, GripperClamp, MotionClamp, refusal
from spec_vla_ros.control.poses import Pose
from spec_vla_ros.control.schedule import Twist, zero_twist
from spec_vla_ros.settings.nodes import PolicySettings
from spec_vla_ros.settings.safety import ActionLimits, GripperLimits, MotionLimits

SECOND = 1_000_000_000
UPRIGHT = np.array([0, 0, 0, 1.0])
BELIEVED = ActionLimits(translation=0.05, rotation=0.3)
GOOD = np.array([0.01, -0.02, 0.03, 0.1, -0.1, 0.2, 1.0])


def changed(index, value):
    values = GOOD.copy()
    values[index] = value
    return values


def test_a_sensible_action_passes():
    assert refusal(GOOD, BELIEVED) is None
    assert refusal(np.zeros(7), BELIEVED) is None
    assert refusal(GOOD.tolist(), BELIEVED) is None


@pytest.mark.parametrize(
    'values',
    [
        [0.03, 0.04, 0, 0, 0, 0, 0],
        [0, 0, -0.05, 0, 0, 0, 0],
        [0, 0, 0, 0.3, 0, 0, 0],
        [0, 0, 0, 0, 0, -0.3, 0],
        [0, 0, 0, 0, 0, 0, 1.05],
        [0, 0, 0, 0, 0, 0, -0.05],
    ],
)
def test_what_is_just_at_a_limit_passes(values):
    assert refusal(np.array(values), BELIEVED) is None


@pytest.mark.parametrize('index', range(7))
@pytest.mark.parametrize('value', [np.nan, np.inf, -np.inf])
def test_not_finite(index, value):
    assert 'not finite' in refusal(changed(index, value), BELIEVED)


@pytest.mark.parametrize(
    ('index', 'value', 'reason'),
    [
        (0, 0.06, 'max_step_translation=0.05'),
        (1, 0.06, 'max_step_translation=0.05'),
        (2, -0.06, 'max_step_translation=0.05'),
        (3, -0.4, 'max_step_rotation=0.3'),
        (4, 0.4, 'max_step_rotation=0.3'),
        (5, 0.4, 'max_step_rotation=0.3'),
        (6, 1.2, 'gripper opening of 1.2000'),
        (6, -1.0, 'gripper opening of -1.0000'),
    ],
)
def test_out_of_range_names_the_limit(index, value, reason):
    assert reason in refusal(changed(index, value), BELIEVED)


def test_the_length_of_the_step_counts_not_its_components():
    assert refusal(np.array([0.04, 0.04, 0, 0, 0, 0, 0]), BELIEVED) is not None


@pytest.mark.parametrize('shape', [(6,), (8,), (1, 7), ()])
def test_wrong_shape(shape):
    assert 'expected (7,)' in refusal(np.zeros(shape), BELIEVED)


def test_bins_a_little_outside_the_gripper_range_pass():
    assert refusal(changed(6, 1.004), BELIEVED) is None
    assert refusal(changed(6, -0.004), BELIEVED) is None


PERIOD = 1 / 30
BOX = np.array([[-0.2, -0.2, 0.0], [0.2, 0.2, 0.4]])


def limits(*, velocity=0.5, acceleration=np.inf, box=None):
    return MotionLimits(
        velocity=np.full(6, velocity), acceleration=np.full(6, acceleration), box=box
    )


def twist(*values):
    return Twist(np.array(values[:3], float), np.array(values[3:] or (0, 0, 0), float))


def flat(twist):
    return np.concatenate([twist.linear, twist.angular])


def counts(clamp):
    return clamp.velocity_clamps, clamp.acceleration_clamps, clamp.workspace_clamps


def test_what_is_within_the_limits_is_unchanged_and_not_counted():
    clamp, wanted = MotionClamp(), twist(0.5, -0.5, 0.1, 0.2, 0.3, -0.5)
    given_ = clamp.clamp(wanted, limits(), period=PERIOD)
    np.testing.assert_array_equal(flat(given_), flat(wanted))
    assert counts(clamp) == (0, 0, 0)


def test_each_axis_is_clamped_by_itself():
    clamp = MotionClamp()
    given_ = clamp.clamp(twist(0.7, -0.9, 0.1, 0, 0, 3), limits(), period=PERIOD)
    np.testing.assert_array_equal(flat(given_), [0.5, -0.5, 0.1, 0, 0, 0.5])
    assert counts(clamp) == (1, 0, 0)


def test_the_velocity_slews_up_and_down_and_the_path_is_the_same():
    clamp, slow = MotionClamp(), limits(acceleration=3.0)
    path = []
    for wanted in [twist(0.3, 0, 0)] * 6 + [zero_twist()] * 6:
        path.append(flat(clamp.clamp(wanted, slow, period=PERIOD))[0])
        assert clamp.can_rest(slow, period=PERIOD) == (path[-1] <= 0.1 + 1e-12)
    np.testing.assert_allclose(path[:4], [0.1, 0.2, 0.3, 0.3])
    np.testing.assert_allclose(path[6:9], [0.2, 0.1, 0.0], atol=1e-12)
    assert sum(path) == pytest.approx(6 * 0.3)
    assert counts(clamp) == (0, 4, 0)


def test_a_halt_does_not_wait_and_the_next_motion_begins_from_rest():
    clamp, slow = MotionClamp(), limits(acceleration=3.0)
    for _ in range(5):
        clamp.clamp(twist(0.3, 0, 0), slow, period=PERIOD)
    clamp.halt()
    assert clamp.can_rest(slow, period=PERIOD)
    assert clamp.clamp(twist(0.3, 0, 0), slow, period=PERIOD).linear[0] == pytest.approx(0.1)


position = st.lists(st.floats(-0.6, 0.6), min_size=3, max_size=3).map(np.array)
velocity = st.lists(st.floats(-2, 2), min_size=3, max_size=3).map(np.array)


@given(position, velocity, st.floats(PERIOD, 0.3))
def test_the_box_is_not_left_and_motion_is_never_turned_around(position, velocity, horizon):
    clamp = MotionClamp()
    given_ = clamp.clamp(
        Twist(velocity, np.ones(3) * 0.1),
        limits(velocity=1.0, box=BOX),
        period=PERIOD,
        position=position,
        horizon=horizon,
    )
    reached = position + given_.linear * horizon
    least, greatest = np.minimum(BOX[0], position), np.maximum(BOX[1], position)
    assert (reached >= least - 1e-9).all()
    assert (reached <= greatest + 1e-9).all()
    assert (given_.linear * velocity >= 0).all()
    assert (np.abs(given_.linear) <= np.abs(velocity)).all()
    np.testing.assert_array_equal(given_.angular, np.ones(3) * 0.1)


def test_the_box_is_counted_and_leads_back_in():
    clamp = MotionClamp()
    options = dict(period=PERIOD, position=np.array([0.3, 0, 0.1]), horizon=PERIOD)
    out = clamp.clamp(twist(0.1, 0.1, 0), limits(box=BOX), **options)
    np.testing.assert_array_equal(out.linear, [0, 0.1, 0])
    back = clamp.clamp(twist(-0.1, 0, 0), limits(box=BOX), **options)
    np.testing.assert_array_equal(back.linear, [-0.1, 0, 0])
    assert counts(clamp) == (0, 0, 1)


@pytest.mark.parametrize('axis', range(3))
@pytest.mark.parametrize('side', [0, 1])
def test_from_outside_the_box_no_motion_leads_further_out(axis, side):
    position, wanted = np.array([0.0, 0.0, 0.2]), np.zeros(3)
    outwards = 1 if side else -1
    position[axis] = BOX[side, axis] + 0.1 * outwards
    for speed, allowed in ((outwards, 0.0), (-outwards, -outwards)):
        wanted[axis] = 0.1 * speed
        options = dict(period=PERIOD, position=position, horizon=PERIOD)
        found = MotionClamp().clamp(twist(*wanted), limits(box=BOX), **options)
        assert found.linear[axis] == pytest.approx(0.1 * allowed)


@pytest.mark.parametrize(
    ('target', 'speed', 'given_'),
    [
        (0.19, 0.1, 0.1),
        (0.199, 0.1, 0.001 / PERIOD),  # to the edge
        (0.25, 0.1, 0.0),
        (0.25, -0.1, -0.1),  # from outside only back in
        (-0.25, -0.1, 0.0),
    ],
)
def test_a_target_ahead_of_the_arm_does_not_leave_the_box(target, speed, given_):
    clamp = MotionClamp()
    options = dict(period=PERIOD, position=np.zeros(3) + 0.1, horizon=PERIOD)
    ahead = np.array([target, 0.1, 0.1])
    found = clamp.clamp(twist(speed, 0.1, 0), limits(box=BOX), target=ahead, **options)
    np.testing.assert_allclose(found.linear, [given_, 0.1, 0], atol=1e-12)
    assert counts(clamp) == (0, 0, int(given_ != speed))


TENTH = 0.1
FREE = GripperLimits()


def test_without_limits_an_opening_is_commanded_once():
    clamp = GripperClamp()
    assert clamp.tick(FREE, period=TENTH) is None
    clamp.go_to(0.3, FREE)
    assert clamp.tick(FREE, period=TENTH) == 0.3
    assert clamp.tick(FREE, period=TENTH) is None
    assert clamp.clamps == 0


def test_bins_a_little_outside_are_clipped_without_counting():
    clamp = GripperClamp()
    clamp.go_to(1.02, FREE)
    assert clamp.tick(FREE, period=TENTH) == 1.0
    assert clamp.clamps == 0


def test_the_range_clamps_and_counts():
    clamp, narrow = GripperClamp(), GripperLimits(low=0.2, high=0.8)
    for opening, commanded in [(0.0, 0.2), (1.0, 0.8), (0.5, 0.5)]:
        clamp.go_to(opening, narrow)
        assert clamp.tick(narrow, period=TENTH) == commanded
    assert clamp.clamps == 2


def test_the_rate_ramps_from_what_was_commanded_last():
    clamp, slow = GripperClamp(), GripperLimits(rate=2.0)
    clamp.go_to(0.0, slow)
    assert clamp.tick(slow, period=TENTH) == 0.0  # unknown before: commanded as it is
    clamp.go_to(0.5, slow)
    ramp = [clamp.tick(slow, period=TENTH) for _ in range(4)]
    assert ramp[:3] == pytest.approx([0.2, 0.4, 0.5])
    assert ramp[3] is None
    assert clamp.clamps == 2


def test_a_range_that_is_narrowed_holds_for_the_ramp_under_way():
    clamp, period = GripperClamp(), 0.25
    clamp.go_to(0.0, GripperLimits(rate=1.0))
    clamp.tick(GripperLimits(rate=1.0), period=period)
    clamp.go_to(1.0, GripperLimits(rate=1.0))
    narrow = GripperLimits(high=0.4, rate=1.0)
    assert [clamp.tick(narrow, period=period) for _ in range(3)] == [0.25, 0.4, None]


def test_a_stop_ends_the_ramp_where_it_is():
    clamp, slow = GripperClamp(), GripperLimits(rate=2.0)
    for opening in (0.0, 1.0):
        clamp.go_to(opening, slow)
        clamp.tick(slow, period=TENTH)
    clamp.stop()
    assert clamp.tick(slow, period=TENTH) is None
    clamp.go_to(0.0, slow)
    assert clamp.tick(slow, period=TENTH) == pytest.approx(0.0)


BOXED = PolicySettings(
    workspace_min=(-0.2, -0.2, 0.0),
    workspace_max=(0.2, 0.2, 0.5),
    max_velocity=(10.0,) * 6,
    control_rate=20.0,
)


@pytest.mark.parametrize(
    ('age', 'fastest'),
    [
        (0.0, 0.1 / 0.05),  # until the next command, a period from now
        (0.05, 0.1 / 0.1),
        (0.15, 0.1 / 0.2),
        (-0.1, 0.1 / 0.05),  # a stamp of the future is not trusted to
    ],
)
def test_the_box_counts_from_when_the_pose_was_measured_to_the_next_command(age, fastest):
    limits = CommandLimits()
    pose = Pose(np.array([0.1, 0.0, 0.2]), UPRIGHT, 'base_link', 10 * SECOND)
    found = limits.twist(twist(5, 0, 0), BOXED, pose=pose, now_ns=round((10 + age) * SECOND))
    np.testing.assert_allclose(found.linear, [fastest, 0, 0])
    assert limits.counts['workspace_clamps'] == 1


SLOW = PolicySettings(max_acceleration=(3.0,) * 6, max_gripper_rate=2.0, control_rate=20.0)


def commanded(limits, speed):
    return limits.twist(twist(speed, 0, 0), SLOW, pose=None, now_ns=0).linear[0]


def test_settings_are_limits_for_a_period_of_the_control_rate():
    limits = CommandLimits()
    assert limits.can_rest(SLOW)
    assert commanded(limits, 0.4) == pytest.approx(0.15)
    assert limits.can_rest(SLOW)
    assert commanded(limits, 0.2) == pytest.approx(0.2)
    assert not limits.can_rest(SLOW)
    for opening in (1.0, 0.0):
        limits.open_gripper(opening, SLOW)
        found = limits.gripper(SLOW)
    assert found == pytest.approx(0.9)
    assert limits.counts == {
        'velocity_clamps': 0,
        'acceleration_clamps': 1,
        'workspace_clamps': 0,
        'gripper_clamps': 1,
    }


def test_a_halt_is_at_once_for_arm_and_gripper():
    limits = CommandLimits()
    for opening in (1.0, 0.0):
        limits.open_gripper(opening, SLOW)
        limits.gripper(SLOW)
    for _ in range(3):
        commanded(limits, 0.4)
    limits.halt()
    assert limits.can_rest(SLOW)
    assert commanded(limits, 0.4) == pytest.approx(0.15)
    assert limits.gripper(SLOW) is None


def test_a_box_without_a_pose_is_an_error():
    with pytest.raises(ValueError, match='needs a pose'):
        CommandLimits().twist(zero_twist(), BOXED, pose=None, now_ns=0)
