# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""What the diagnostics say, from made-up actions."""

import numpy as np
import pytest

from spec_vla_ros.control.performance import Beat, Percentiles, Performance, Recent
from spec_vla_ros.control.tick import Counters
from spec_vla_ros.types import DecodeStats


def test_summary_of_some_seconds():
    performance = Performance(now=0.0)
    for tick in range(150):  # five seconds at 30 Hz, an action every tenth tick
        now = (tick + 1) / 30
        performance.command(now=now)
        if tick % 10 == 0:
            stats = DecodeStats('relaxed', target_passes=2 + tick % 20 // 10, draft_passes=4)
            performance.action(stats, dimensions=7, latency_ms=50.0, inference_ms=20.0, now=now)
    found = performance.summary(Counters(halts=3, images_received=150), now=5.0)
    assert found.images_hz == found.commands_hz == pytest.approx(30.0)
    assert found.actions_hz == pytest.approx(3.0)
    assert found.latency_ms.p99 == 50.0
    assert found.inference_ms.p50 == 20.0
    assert found.target_passes == pytest.approx((8 * 2 + 7 * 3) / 15)
    assert found.draft_passes == 4
    assert found.accept_length == pytest.approx(15 * 7 / (8 * 1 + 7 * 2))
    assert found.recent == Counters(halts=3, images_received=150)


@pytest.mark.parametrize('speed', [1.0, 0.25])
def test_the_beat_is_by_the_nodes_clock(speed):
    """Simulated time may be slow, and commands are as often as they should be by it."""
    beat = Beat()
    for tick in range(300):
        beat.add(now=tick / (30 * speed), clock=100 + tick / 30)
    assert beat.rate() == pytest.approx(30.0)


def test_a_pause_is_no_slow_beat_and_few_commands_are_none():
    beat = Beat()
    for begin in (0.0, 20.0):
        for tick in range(90):
            beat.add(now=begin + tick / 30, clock=begin + tick / 30)
    assert beat.rate() == pytest.approx(30.0)
    beat.add(now=40.0, clock=40.0)
    assert beat.rate() is None
    assert Beat().rate() is None


def test_counters_are_of_the_window():
    performance = Performance(now=0.0)
    counted = [
        performance.summary(Counters(actions_rejected=2 * second), now=float(second))
        for second in range(1, 31)
    ]
    assert counted[4].recent.actions_rejected == 10
    assert counted[29].recent.actions_rejected == 20


def test_rates_are_by_the_time_since_the_beginning():
    performance = Performance(now=100.0)
    found = performance.summary(Counters(images_received=5), now=100.5)
    assert found.images_hz == 10.0
    assert performance.summary(Counters(images_received=6), now=101.0).images_hz == 6.0


def test_at_the_very_beginning_there_are_no_rates():
    found = Performance(now=100.0).summary(Counters(images_received=5), now=100.0)
    assert found.images_hz == found.actions_hz == 0.0


def test_the_window_slides_when_summaries_are_rare():
    performance = Performance(now=0.0)
    for now, halts in ((20.0, 1), (40.0, 3), (60.0, 6)):
        found = performance.summary(Counters(halts=halts), now=now)
    assert found.recent.halts == 3


def test_nothing_happened():
    found = Performance(now=0.0).summary(Counters(), now=20.0)
    assert found.images_hz == found.actions_hz == found.commands_hz == 0.0
    assert found.latency_ms is found.inference_ms is found.accept_length is None
    assert found.target_passes is found.draft_passes is None
    assert found.recent == Counters()


def test_only_the_window_counts():
    recent = Recent(window=10.0, now=0.0)
    for second in range(100):
        recent.add(float(second), now=float(second))
    assert recent.values(now=99.0) == [float(s) for s in range(90, 100)]
    assert recent.mean(now=99.0) == 94.5
    assert recent.total(now=99.0) == 945.0
    assert recent.rate(now=99.0) == 1.0
    assert recent.values(now=105.0) == [float(s) for s in range(96, 100)]
    assert recent.rate(now=200.0) == 0.0


def test_percentiles_are_numpys():
    values = np.random.default_rng(0).normal(size=500)
    recent = Recent(window=10.0, now=0.0)
    for value in values:
        recent.add(float(value), now=1.0)
    assert recent.percentiles(now=1.0) == Percentiles(*np.percentile(values, (50, 95, 99)))


def test_nothing_yet():
    recent = Recent(window=10.0, now=5.0)
    assert recent.percentiles(now=5.0) is None
    assert recent.mean(now=5.0) is None
    assert recent.rate(now=5.0) == 0.0


def test_a_rate_in_the_first_seconds_is_not_diluted():
    recent = Recent(window=10.0, now=100.0)
    for k in range(60):
        recent.add(1, now=100.0 + k / 30)
    assert recent.rate(now=102.0) == pytest.approx(30.0)
    assert recent.rate(now=100.5) == pytest.approx(120.0)  # all of them within half a second
