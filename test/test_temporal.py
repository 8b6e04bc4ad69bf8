# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Temporal drafts predict smooth motions, and forget when the past is no guide."""

import numpy as np
import pytest

from spec_vla_ros.decoding.temporal import TemporalDraft

IDS = range(100, 356)
REST_ID = np.array([227, 227, 100])
SECOND = 1_000_000_000


@pytest.fixture
def draft():
    return TemporalDraft(action_ids=IDS, resting_ids=REST_ID, max_gap_ns=SECOND)


def offered(draft, *, instruction='go', stamp_ns=0):
    return draft.candidates(instruction=instruction, stamp_ns=stamp_ns).tolist()


def test_nothing_is_offered_before_anything_was_chosen(draft):
    assert draft.candidates(instruction='go', stamp_ns=0).shape == (0, 3)


def test_the_last_choice_comes_first(draft):
    draft.record(np.array([120, 130, 100]), instruction='go', stamp_ns=0)
    assert offered(draft) == [[120, 130, 100]]


def test_velocity_and_decay_follow_two_choices(draft):
    draft.record(REST_ID + np.array([40, -80, 0]), instruction='go', stamp_ns=0)
    draft.record(REST_ID + np.array([20, -60, 0]), instruction='go', stamp_ns=1)
    last, velocity, decayed = (np.array(c) - REST_ID for c in offered(draft, stamp_ns=2))
    assert last.tolist() == [20, -60, 0]
    assert velocity.tolist() == [0, -40, 0]
    assert decayed.tolist() == [10, -45, 0]


def test_a_constant_action_is_offered_once(draft):
    for stamp in range(3):
        draft.record(np.array([120, 130, 100]), instruction='go', stamp_ns=stamp)
    assert offered(draft, stamp_ns=3) == [[120, 130, 100]]


def test_offers_are_always_action_ids(draft):
    draft.record(np.array([180, 300, 100]), instruction='go', stamp_ns=0)
    draft.record(np.array([101, 355, 100]), instruction='go', stamp_ns=1)
    tokens = np.array(offered(draft, stamp_ns=2))
    assert tokens.min() >= IDS.start
    assert tokens.max() < IDS.stop


@pytest.mark.parametrize(
    'situation',
    [
        {'instruction': 'stop'},
        {'stamp_ns': 2 * SECOND},
        {'stamp_ns': -5},
    ],
)
def test_a_new_situation_forgets_for_good(draft, situation):
    draft.record(np.array([120, 130, 100]), instruction='go', stamp_ns=0)
    assert offered(draft, **situation) == []
    assert offered(draft) == []


def test_a_gripper_change_forgets_the_motion_before_it(draft):
    draft.record(np.array([120, 130, 100]), instruction='go', stamp_ns=0)
    draft.record(np.array([140, 150, 228]), instruction='go', stamp_ns=1)
    assert offered(draft, stamp_ns=2) == [[140, 150, 228]]


def test_reset_forgets(draft):
    draft.record(np.array([120, 130, 100]), instruction='go', stamp_ns=0)
    draft.reset()
    assert offered(draft) == []
