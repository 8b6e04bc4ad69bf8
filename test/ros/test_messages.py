# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""What the node says of an action, as messages and as words on the picture."""

import math

import numpy as np
import pytest

from spec_vla_ros.control.tick import RUNNING, NewAction
from spec_vla_ros.ros.messages import statistics_message
from spec_vla_ros.ros.overlay import caption
from spec_vla_ros.types import Action, DecodeStats, Decoding

NOW_NS = 10_000_000_000
IN_FORCE = (9,) * 6 + (0,)


def new_action(stats):
    return NewAction(
        action=Action(np.zeros(7), np.zeros(7), np.zeros(7, int), stats),
        decoding=Decoding(stats.mode, (9,) * 6 + (0,)),
        instruction='go',
        observation_stamp_ns=NOW_NS - 50_000_000,
        observation_arrival_ns=NOW_NS - 40_000_000,
        sequence=3,
        step_duration=0.1,
        inference_seconds=0.02,
    )


def test_statistics_of_an_action():
    stats = DecodeStats('relaxed', 3, 5, (4, 2), {'vision': 1.5, 'verify': 2.0}, IN_FORCE)
    found = statistics_message(new_action(stats), now_ns=NOW_NS)
    assert found.accept_length == 3.5
    assert list(found.acceptance_thresholds) == [9] * 6 + [0]
    assert (found.latency_ms, found.transport_ms) == pytest.approx((50.0, 10.0))
    assert found.inference_ms == pytest.approx(20.0)
    assert dict(zip(found.phase_names, found.phase_ms, strict=True)) == stats.phases_ms


def test_without_verify_rounds_there_is_no_accept_length():
    new = new_action(
        DecodeStats('relaxed', 1, accept_lengths=(7,), acceptance_thresholds=IN_FORCE)
    )
    assert math.isnan(statistics_message(new, now_ns=NOW_NS).accept_length)
    assert caption(new, RUNNING) == ['relaxed r=9, no verify round, 1 passes, 20 ms']


def test_only_relaxed_decoding_has_thresholds():
    found = statistics_message(new_action(DecodeStats('autoregressive', 7)), now_ns=NOW_NS)
    assert not any(found.acceptance_thresholds)
    assert not found.temporal_draft
    assert caption(new_action(DecodeStats('strict', 3)), RUNNING)[0].startswith('strict, accept')
