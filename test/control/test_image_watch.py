# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Whether the camera can be believed."""

import pytest

from spec_vla_ros.control.image_watch import ImageWatch

S = 1_000_000_000


@pytest.fixture
def watch():
    watch = ImageWatch()
    watch.store('first', stamp_ns=10 * S, now_ns=int(10.1 * S))
    return watch


def test_fresh(watch):
    assert watch.staleness(now_ns=int(10.3 * S), timeout=0.5) is None
    assert watch.newest.image == 'first'
    assert watch.newest.stamp_ns == 10 * S
    assert watch.count == 1


def test_the_newest_replaces_the_older(watch):
    watch.store('second', stamp_ns=11 * S, now_ns=11 * S)
    assert watch.newest.image == 'second'
    assert watch.count == 2


def test_silence(watch):
    reason = watch.staleness(now_ns=int(10.7 * S), timeout=0.5)
    assert 'no image for 0.60 s' in reason
    assert 'image_timeout=0.5' in reason


def test_old_images_at_full_rate(watch):
    watch.store('delayed', stamp_ns=10 * S, now_ns=12 * S)
    assert '2.00 s in the past' in watch.staleness(now_ns=12 * S, timeout=0.5)


def test_a_camera_clock_ahead_of_ours(watch):
    watch.store('early', stamp_ns=15 * S, now_ns=12 * S)
    assert '3.00 s in the future' in watch.staleness(now_ns=12 * S, timeout=0.5)


def test_a_clock_that_jumps_back_is_no_freshness(watch):
    assert watch.staleness(now_ns=3 * S, timeout=0.5) is not None


def test_a_camera_without_stamps_counts_from_arrival():
    watch = ImageWatch()
    watch.store('unstamped', stamp_ns=0, now_ns=5 * S)
    assert watch.newest.stamp_ns == 5 * S
    assert watch.staleness(now_ns=5 * S, timeout=0.5) is None


def test_before_the_first_image(watch):
    watch.forget()
    assert watch.newest is None
    with pytest.raises(RuntimeError, match='no image'):
        watch.staleness(now_ns=0, timeout=1.0)
