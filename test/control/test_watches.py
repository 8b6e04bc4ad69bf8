# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Whether the camera can be believed."""

import numpy as np
import pytest

from spec_vla_ros.control.schedule import Twist, zero_twist
from spec_vla_ros.control.watches import SEVERAL, FrozenWatch, ImageWatch, Source

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
