# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""What the diagnostics say, from made-up actions."""

import pytest

from spec_vla_ros.control.counters import Counters
from spec_vla_ros.control.performance import Performance, accept_length
from spec_vla_ros.types import DecodeStats


def test_accept_length_is_counted_as_in_the_paper():
    assert accept_length(7, 7) == pytest.approx(7 / 6)  # autoregressive: six passes after prefill
    assert accept_length(7, 3) == 3.5
    assert accept_length(7, 1) == float('inf')
    assert accept_length(21, 3 + 4, actions=3) == 21 / 4
    assert accept_length(0, 0, actions=0) is None


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


def test_counters_are_of_the_window():
    performance = Performance(now=0.0)
    counted = [
        performance.summary(Counters(actions_rejected=2 * second), now=float(second))
        for second in range(1, 31)
    ]
    assert counted[4].recent.actions_rejected == 10
    assert counted[29].recent.actions_rejected == 20


def test_nothing_happened():
    found = Performance(now=0.0).summary(Counters(), now=20.0)
    assert found.images_hz == found.actions_hz == found.commands_hz == 0.0
    assert found.latency_ms is found.inference_ms is found.accept_length is None
    assert found.target_passes is found.draft_passes is None
    assert found.recent == Counters()
