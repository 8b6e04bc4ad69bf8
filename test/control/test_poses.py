# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Which end-effector poses the arm may rely on."""

import numpy as np
import pytest

from spec_vla_ros.control.poses import Pose, PoseWatch
from spec_vla_ros.control.watches import SEVERAL, Source

SECOND = 1_000_000_000
STAMP = 100 * SECOND


@pytest.mark.parametrize(
    ('position', 'frame', 'age', 'words'),
    [
        ([0, 0, 0.2], 'base_link', 0.1, None),
        ([0, 0, 0.2], 'base_link', 0.2, None),
        ([0, 0, 0.2], 'base_link', -0.2, None),
        ([0, 0, 0.2], 'base_link', 0.3, '0.30 s old'),
        ([0, 0, 0.2], 'base_link', -0.3, '-0.30 s old'),
        (
            [0, 0, 0.2],
            'camera',
            0.1,
            "not in 'base_link', which is command_frame",
        ),
        ([0, np.nan, 0], 'base_link', 0.1, 'not finite'),
        ([0, -9.9, 0], 'base_link', 0.1, None),
        ([350, -12, 0], 'base_link', 0.1, 'x 350, y -12, z 0, further away than 10 m'),
    ],
)
def test_a_pose_is_good_if_fresh_finite_and_in_the_right_frame(position, frame, age, words):
    watch = PoseWatch()
    watch.store(Pose(np.array(position, float), np.array([0, 0, 0, 1.0]), frame, STAMP))
    assert watch.newest.frame_id == frame
    fault = watch.fault(now_ns=STAMP + round(age * SECOND), timeout=0.2, frame_id='base_link')
    assert fault is None if words is None else words in fault


@pytest.mark.parametrize('quaternion', [[0, 0, 0, 0], [0, 0, np.nan, 1], [np.inf, 0, 0, 0]])
def test_an_orientation_that_is_none_counts_where_it_is_needed(quaternion):
    watch = PoseWatch()
    watch.store(Pose(np.full(3, 0.1), np.array(quaternion, float), 'base_link', STAMP))
    asked = {'now_ns': STAMP, 'timeout': 0.2, 'frame_id': 'base_link'}
    assert watch.fault(**asked) is None
    assert 'no orientation' in watch.fault(**asked, oriented=True)


@pytest.mark.parametrize('w', [0.0, 1.0])
def test_a_pose_that_nobody_has_filled_in_is_none(w):
    """ROS 2 makes each new quaternion with w = 1: a target would send the arm into its base."""
    watch, asked = PoseWatch(), {'now_ns': STAMP, 'timeout': 0.2, 'frame_id': 'base_link'}
    watch.store(Pose(np.zeros(3), np.array([0, 0, 0, w]), 'base_link', STAMP))
    assert 'nobody has filled it in' in watch.fault(**asked)
    watch.store(Pose(np.array([0, 0, 1e-6]), np.array([0, 0, 0, w]), 'base_link', STAMP))
    assert watch.fault(**asked) is None


@pytest.mark.parametrize(
    ('age', 'words'),
    [
        (-0.3, '(pose_timeout=0.2): it is stamped in the future, '),
        (1.7e9, 'by another clock'),
        (-1.7e9, 'does one of them follow use_sim_time'),
    ],
)
def test_poses_of_another_clock_are_told(age, words):
    now_ns = 3_000_000_000 * SECOND
    watch = PoseWatch()
    stamp_ns = now_ns - round(age * SECOND)
    watch.store(Pose(np.ones(3), np.array([0.0, 0, 0, 1]), 'base_link', stamp_ns))
    assert words in watch.fault(now_ns=now_ns, timeout=0.2, frame_id='base_link')


def test_without_a_pose_there_is_nothing_to_rely_on():
    assert 'no end-effector pose' in PoseWatch().fault(now_ns=0, timeout=1.0, frame_id='base')


def pose_from(source, stamp_ns, **options):
    return Pose(np.ones(3), np.array([0, 0, 0, 1.0]), 'base_link', stamp_ns, source, **options)


def test_poses_of_two_publishers_are_not_to_be_relied_on():
    watch = PoseWatch()
    asked = {'timeout': 0.2, 'frame_id': 'base_link'}
    watch.store(pose_from('left arm', STAMP))
    watch.store(pose_from('left arm', STAMP + SECOND // 100))
    assert watch.fault(now_ns=STAMP + SECOND // 50, **asked) is None
    watch.store(pose_from('right arm', STAMP + SECOND // 50))
    assert 'two publishers send' in watch.fault(now_ns=STAMP + SECOND // 50, **asked)
    watch.store(pose_from('right arm', STAMP + SECOND // 4))  # the other one fell silent
    assert watch.fault(now_ns=STAMP + SECOND // 4, **asked) is None
    watch.store(pose_from(SEVERAL, STAMP + SECOND // 4))
    assert 'two publishers send' in watch.fault(now_ns=STAMP + SECOND // 4, **asked)


def test_another_publisher_of_poses_counts_by_when_it_sent_one_whatever_its_stamps():
    watch = PoseWatch()
    watch.store(pose_from('left arm', STAMP - 9 * SECOND, arrival_ns=STAMP))
    watch.store(pose_from('right arm', STAMP, arrival_ns=STAMP))
    asked = {'timeout': 0.2, 'frame_id': 'base_link'}
    assert 'two publishers send' in watch.fault(now_ns=STAMP, **asked)
    watch.store(pose_from('right arm', STAMP + SECOND, arrival_ns=STAMP + SECOND))
    assert watch.fault(now_ns=STAMP + SECOND, **asked) is None


def test_an_arm_whose_frame_is_renamed_once_halts_as_for_another_publisher():
    watch = PoseWatch()
    asked = {'timeout': 0.2, 'frame_id': 'base_link'}
    for frame in ('base', 'base_link'):
        watch.store(pose_from(Source('driver', frame), STAMP))
    assert "the frames 'base_link' and 'base' send" in watch.fault(now_ns=STAMP, **asked)
    watch.store(pose_from(Source('driver', 'base_link'), STAMP + SECOND // 4))
    assert watch.fault(now_ns=STAMP + SECOND // 4, **asked) is None


def test_poses_of_two_arms_that_one_publisher_relays_are_not_to_be_relied_on():
    watch = PoseWatch()
    for frame in ('base_link', 'left_base', 'base_link'):
        watch.store(pose_from(Source('bridge', frame), STAMP))
        found = watch.fault(now_ns=STAMP, timeout=0.2, frame_id='base_link')
    assert "the frames 'base_link' and 'left_base' send end-effector poses" in found


def test_a_pose_of_the_future_is_told_as_one():
    """Less than nothing old says neither that clocks differ nor what to look at."""
    watch = PoseWatch()
    turn = np.array([0.0, 0.0, 0.0, 1.0])
    watch.store(Pose(np.array([0.3, 0.0, 0.2]), turn, 'base_link', stamp_ns=15 * SECOND))
    text = watch.fault(now_ns=12 * SECOND, timeout=0.2, frame_id='base_link')
    assert '-3.00 s old (pose_timeout=0.2): it is stamped in the future, so its pub' in text
    assert 'use_sim_time' in text
