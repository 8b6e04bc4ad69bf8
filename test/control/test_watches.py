# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Whether the camera and the pose can be believed."""

import numpy as np
import pytest

from spec_vla_ros.control.schedule import Twist, zero_twist
from spec_vla_ros.control.watches import SEVERAL, FrozenWatch, ImageWatch, Pose, PoseWatch, Source

SECOND = 1_000_000_000


@pytest.fixture
def watch():
    watch = ImageWatch()
    watch.store('first', stamp_ns=10 * SECOND, now_ns=int(10.1 * SECOND))
    return watch


def test_fresh(watch):
    assert watch.staleness(now_ns=int(10.3 * SECOND), timeout=0.5) is None
    assert watch.newest.image == 'first'
    assert watch.newest.stamp_ns == 10 * SECOND
    assert watch.count == 1


def test_the_newest_replaces_the_older(watch):
    watch.store('second', stamp_ns=11 * SECOND, now_ns=11 * SECOND)
    assert watch.newest.image == 'second'
    assert watch.count == 2


def test_silence(watch):
    reason = watch.staleness(now_ns=int(10.7 * SECOND), timeout=0.5)
    assert 'no image for 0.60 s' in reason
    assert 'image_timeout=0.5' in reason


def test_old_images_at_full_rate(watch):
    watch.store('delayed', stamp_ns=10 * SECOND, now_ns=12 * SECOND)
    assert '2.00 s in the past' in watch.staleness(now_ns=12 * SECOND, timeout=0.5)


def test_a_camera_clock_ahead_of_ours(watch):
    watch.store('early', stamp_ns=15 * SECOND, now_ns=12 * SECOND)
    assert '3.00 s in the future' in watch.staleness(now_ns=12 * SECOND, timeout=0.5)


@pytest.mark.parametrize(
    ('stamp', 'now', 'why', 'other'),
    [
        (1_795_637_810, 12, 'an old recording', 'since its device'),
        (4711, 1_795_637_810, 'with the time since its device or the computer was', 'recording'),
    ],
    ids=['this node is simulated', 'a driver that takes the own time of kernel or camera'],
)
def test_images_of_another_clock_are_told_with_what_it_may_be(stamp, now, why, other):
    watch = ImageWatch()
    watch.store('image', stamp_ns=stamp * SECOND, now_ns=now * SECOND)
    text = watch.staleness(now_ns=now * SECOND, timeout=0.5)
    assert 'by another clock' in text
    assert 'use_sim_time' in text
    assert why in text
    assert other not in text


@pytest.mark.parametrize(('age', 'told'), [(2, False), (86_400, True)])
def test_images_of_a_recording_that_is_played_are_told_with_the_way_on(age, told):
    watch = ImageWatch()
    watch.store('image', stamp_ns=10**6 * SECOND, now_ns=(10**6 + age) * SECOND)
    text = watch.staleness(now_ns=(10**6 + age) * SECOND, timeout=0.5)
    assert ('`ros2 bag play --clock`, and use_sim_time here' in text) is told


def test_a_clock_that_jumps_back_is_no_freshness(watch):
    assert watch.staleness(now_ns=3 * SECOND, timeout=0.5) is not None


def test_a_camera_without_stamps_counts_from_arrival():
    watch = ImageWatch()
    watch.store('unstamped', stamp_ns=0, now_ns=5 * SECOND)
    assert watch.newest.stamp_ns == 5 * SECOND
    assert watch.staleness(now_ns=5 * SECOND, timeout=0.5) is None


def test_before_the_first_image(watch):
    watch.forget()
    assert watch.newest is None
    with pytest.raises(RuntimeError, match='no image'):
        watch.staleness(now_ns=0, timeout=1.0)


@pytest.mark.parametrize('timeout', [0.5, 10.0])
@pytest.mark.parametrize('late_ns', [0, 20])
def test_an_image_is_fresh_until_the_timeout_has_passed(timeout, late_ns):
    watch, now_ns = ImageWatch(), 100 * SECOND + late_ns
    watch.store('silent', stamp_ns=0, now_ns=now_ns - late_ns - round(timeout * SECOND))
    assert (watch.staleness(now_ns=now_ns, timeout=timeout) is None) == (late_ns == 0)
    for sign in (1, -1):
        stamp_ns = now_ns - sign * (round(timeout * SECOND) + late_ns)
        watch.store('off', stamp_ns=stamp_ns, now_ns=now_ns)
        assert (watch.staleness(now_ns=now_ns, timeout=timeout) is None) == (late_ns == 0)


def test_one_publisher_is_unambiguous(watch):
    watch.store('second', stamp_ns=0, now_ns=11 * SECOND)
    assert watch.ambiguity(now_ns=11 * SECOND, timeout=0.5) is None
    assert ImageWatch().ambiguity(now_ns=0, timeout=0.5) is None


@pytest.mark.parametrize(
    ('passed_ns', 'ambiguous'),
    [(0, True), (SECOND // 2, True), (SECOND // 2 + 1, False), (-1, False)],
)
def test_two_publishers_are_ambiguous_until_one_is_silent(passed_ns, ambiguous):
    watch = ImageWatch()
    for source in ('front', 'wrist'):
        watch.store(source, stamp_ns=0, now_ns=10 * SECOND, source=source)
    found = watch.ambiguity(now_ns=10 * SECOND + passed_ns, timeout=0.5)
    assert ('two publishers' in found) if ambiguous else (found is None)


def test_two_cameras_that_one_publisher_relays_are_told_by_their_frames(watch):
    for frame in ('front', 'wrist'):
        watch.store(frame, stamp_ns=0, now_ns=11 * SECOND, source=Source('bag', frame))
    found = watch.ambiguity(now_ns=11 * SECOND, timeout=0.5)
    assert "the frames 'wrist' and 'front' send images on the same topic" in found


def test_an_image_of_which_nobody_knows_who_of_several_sent_it_is_ambiguous(watch):
    watch.store('front', stamp_ns=0, now_ns=11 * SECOND, source=SEVERAL)
    watch.store('wrist', stamp_ns=0, now_ns=11 * SECOND, source=SEVERAL)
    assert 'two publishers' in watch.ambiguity(now_ns=20 * SECOND, timeout=0.5)
    watch.store('front', stamp_ns=0, now_ns=20 * SECOND)
    assert watch.ambiguity(now_ns=20 * SECOND, timeout=0.5) is None


def test_a_publisher_that_comes_back_alone_is_unambiguous():
    watch = ImageWatch()
    for second, source in enumerate(('front', 'wrist', 'wrist', 'wrist')):
        watch.store(source, stamp_ns=0, now_ns=second * SECOND, source=source)
    assert watch.ambiguity(now_ns=3 * SECOND, timeout=0.5) is None
    watch.store('front', stamp_ns=0, now_ns=3 * SECOND, source='front')
    assert watch.ambiguity(now_ns=3 * SECOND, timeout=0.5) is not None


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
    def fault(self):
        return self.watch.fault(seen_ns=self.now_ns, timeout=0.5)


@pytest.mark.parametrize('twist', [FORWARD, TURN])
def test_motion_that_does_not_show_is_noticed_after_the_timeout(twist):
    clock = Clock()
    clock.pass_time(0.5, twist)
    assert clock.fault is None
    clock.pass_time(0.1, twist)
    assert 'pixels have not changed in 0.6' in clock.fault
    assert 'their source hangs, or the arm does not obey' in clock.fault
    assert 'the same instruction again tries once more' in clock.fault


def test_a_short_motion_must_show_even_if_the_arm_then_waits():
    clock = Clock()
    clock.pass_time(0.1, FORWARD)
    clock.pass_time(0.4, zero_twist())
    assert clock.fault is None
    clock.pass_time(0.1, zero_twist())
    assert '10 mm' in clock.fault


@pytest.mark.parametrize(
    ('twist', 'seconds', 'visible'),
    [
        (Twist(np.array([0.005, 0, 0]), np.zeros(3)), 1.0, True),
        (Twist(np.array([0.0049, 0, 0]), np.zeros(3)), 1.0, False),
        (Twist(np.zeros(3), np.array([0, 0.05, 0])), 1.0, True),
        (Twist(np.zeros(3), np.array([0, 0.049, 0])), 1.0, False),
    ],
)
def test_how_much_motion_must_show(twist, seconds, visible):
    watch = FrozenWatch()
    watch.commanded(twist, seconds=seconds, now_ns=SECOND)
    assert watch.fault(seen_ns=2 * SECOND, timeout=1.0) is None  # not yet
    assert (watch.fault(seen_ns=2 * SECOND + 1, timeout=1.0) is not None) == visible


def test_one_that_froze_before_the_clock_was_set_back_is_noticed():
    clock = Clock()
    clock.pass_time(0.3, FORWARD)
    clock.now_ns -= 3600 * SECOND
    clock.pass_time(0.7, FORWARD)
    assert clock.fault is not None


def test_a_picture_that_changes_is_alive():
    clock = Clock()
    for _ in range(10):
        clock.pass_time(0.3, FORWARD)
        assert clock.fault is None
        clock.watch.changed()


@pytest.mark.parametrize('twist', [zero_twist(), CREEP])
def test_nothing_visible_was_commanded(twist):
    clock = Clock()
    clock.pass_time(5.0, twist)
    assert clock.fault is None


def test_time_before_the_motion_does_not_count():
    clock = Clock()
    clock.pass_time(100.0, zero_twist())
    clock.pass_time(0.3, FORWARD)
    assert clock.fault is None


STAMP = 100 * SECOND


@pytest.mark.parametrize(
    ('position', 'frame', 'age', 'words'),
    [
        ([0, 0, 0.2], 'base_link', 0.1, None),
        ([0, 0, 0.2], 'base_link', 0.2, None),
        ([0, 0, 0.2], 'base_link', -0.2, None),
        ([0, 0, 0.2], 'base_link', 0.3, '0.30 s old'),
        ([0, 0, 0.2], 'base_link', -0.3, '-0.30 s old'),
        ([0, 0, 0.2], 'camera', 0.1, "in frame 'camera', not in 'base_link'"),
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
