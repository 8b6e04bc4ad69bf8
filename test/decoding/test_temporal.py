# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Temporal drafts follow motions, learn from situations, and know when a motion is over."""

import numpy as np
import pytest

from spec_vla_ros.decoding.temporal import MAX_NODES, SituationTable, TemporalDraft

IDS = range(100, 356)
RESTING = np.array([227, 227, 227, 100])
D = len(RESTING)
SECOND = 1_000_000_000


@pytest.fixture
def temporal():
    return TemporalDraft(action_ids=IDS, resting_ids=RESTING)


def record(temporal, choice, *, stamp_ns, instruction='go'):
    temporal.record(np.array(choice), instruction=instruction, stamp_ns=stamp_ns)


def offered(temporal, *, stamp_ns, instruction='go', distance=0):
    """The tree's longest paths, as lists of ids."""
    tree = temporal.draft(
        instruction=instruction, stamp_ns=stamp_ns, thresholds=(distance,) * 3 + (0,)
    )
    if tree is None:
        return []
    deepest = tree.ancestors[tree.depths == tree.depths.max()]
    return [tree.tokens[row][1:].tolist() for row in deepest]


def test_nothing_is_offered_before_anything_was_chosen(temporal):
    assert offered(temporal, stamp_ns=0) == []


def test_the_last_choice_is_offered_without_its_last_token(temporal):
    record(temporal, [120, 130, 140, 100], stamp_ns=0)
    assert [120, 130, 140] in offered(temporal, stamp_ns=1)


def test_a_decaying_motion_goes_on_decaying(temporal):
    record(temporal, RESTING + np.array([40, -80, 0, 0]), stamp_ns=0)
    record(temporal, RESTING + np.array([20, -60, 0, 0]), stamp_ns=1)
    assert (RESTING[:3] + np.array([10, -45, 0])).tolist() in offered(temporal, stamp_ns=2)


def test_guesses_are_mixed_by_dimension(temporal):
    record(temporal, RESTING + np.array([40, -80, 0, 0]), stamp_ns=0)
    record(temporal, RESTING + np.array([20, -60, 0, 0]), stamp_ns=1)
    mixed = RESTING[:3] + np.array([10, -60, 0])  # decayed in one dimension, unchanged in another
    assert mixed.tolist() in offered(temporal, stamp_ns=2)


def test_what_followed_a_situation_is_offered_when_it_comes_again(temporal):
    motion = [[120, 130, 140, 100], [300, 310, 320, 100]]
    for stamp, choice in enumerate(motion):
        record(temporal, choice, stamp_ns=stamp)
    temporal.reset()
    assert motion[0][:3] in offered(temporal, stamp_ns=5)  # a beginning like the last one
    record(temporal, [121, 130, 139, 100], stamp_ns=5)
    assert motion[1][:3] in offered(temporal, stamp_ns=6)


def test_all_is_forgotten_when_asked_for(temporal):
    """What is offered then is what a new one would offer, the rates of its guesses included."""
    for stamp in range(30):
        offered(temporal, stamp_ns=stamp)
        record(temporal, [120 + stamp % 5, 130, 140, 100], stamp_ns=stamp)
    temporal.reset(situations=True)
    fresh = TemporalDraft(action_ids=IDS, resting_ids=RESTING)
    for stamp in range(10):
        assert offered(temporal, stamp_ns=stamp) == offered(fresh, stamp_ns=stamp)
        for each in (temporal, fresh):
            record(each, [120 + stamp % 3, 130 + stamp % 2, 140, 100], stamp_ns=stamp)


def test_the_guess_that_is_right_most_often_comes_first():
    temporal = TemporalDraft(action_ids=IDS, resting_ids=RESTING)
    value = 100.0
    for stamp in range(40):  # halves each step, begins anew after six
        value = 100.0 if stamp % 6 == 0 else value / 2
        offered(temporal, stamp_ns=stamp)
        record(temporal, RESTING + np.array([round(value), 0, 0, 0]), stamp_ns=stamp)
    tree = temporal.draft(instruction='go', stamp_ns=40, thresholds=(0, 0, 0, 0))
    decayed = RESTING[0] + round(value / 2)
    assert tree.tokens[tree.depths == 1].tolist()[0] == decayed


def test_the_tree_stays_small(temporal):
    rng = np.random.default_rng(0)
    for stamp in range(50):
        tree = temporal.draft(instruction='go', stamp_ns=stamp, thresholds=(0, 0, 0, 0))
        assert tree is None or len(tree) <= MAX_NODES + 1
        record(temporal, rng.integers(IDS.start, IDS.stop, 4), stamp_ns=stamp)


def test_a_constant_action_is_one_path(temporal):
    for stamp in range(5):
        record(temporal, [120, 130, 140, 100], stamp_ns=stamp)
    assert offered(temporal, stamp_ns=5, distance=3) == [[120, 130, 140]]


def test_offers_are_always_action_ids(temporal):
    record(temporal, [180, 300, 101, 100], stamp_ns=0)
    record(temporal, [101, 355, 100, 100], stamp_ns=1)
    ids = np.array(offered(temporal, stamp_ns=2))
    assert ids.min() >= IDS.start
    assert ids.max() < IDS.stop


@pytest.mark.parametrize(
    'situation',
    [
        {'instruction': 'stop', 'stamp_ns': 7},
        {'stamp_ns': 3 * SECOND},
        {'stamp_ns': -5},
    ],
)
def test_a_new_situation_ends_the_motion(temporal, situation):
    for stamp in range(4):  # enough beginnings to fill what the table is asked for
        record(temporal, [120, 130, 140, 100], stamp_ns=stamp)
        temporal.reset()
    record(temporal, [120, 130, 140, 100], stamp_ns=5)
    record(temporal, [220, 230, 240, 100], stamp_ns=6)
    assert [220, 230, 240] in offered(temporal, stamp_ns=7)
    assert offered(temporal, **situation) == [[120, 130, 140]]


def test_a_gripper_change_ends_the_motion_before_it(temporal):
    record(temporal, RESTING + np.array([80, 0, 0, 0]), stamp_ns=0)
    record(temporal, RESTING + np.array([40, 0, 0, 128]), stamp_ns=1)
    first = {path[0] - RESTING[0] for path in offered(temporal, stamp_ns=2)}
    assert 40 in first
    assert 20 not in first  # no decay over the change


@pytest.fixture
def table():
    return SituationTable(key_size=2, choice_size=1, capacity=4)


def choices(table, key, *, count):
    return table.nearest(np.array(key), count=count)[:, 0].tolist()


def test_an_empty_table_knows_nothing(table):
    assert table.nearest(np.zeros(2), count=3).shape == (0, 1)


def test_the_most_alike_comes_first(table):
    for number in (1, 2, 3):
        table.add(np.array([10 * number, 0]), np.array([number]))
    assert choices(table, [21, 0], count=2) == [2, 3]
    assert choices(table, [-5, 0], count=9) == [1, 2, 3]


def test_the_oldest_is_forgotten(table):
    for number in range(6):
        table.add(np.array([number, 0]), np.array([number]))
    assert len(table) == 4
    assert sorted(choices(table, [0, 0], count=4)) == [2, 3, 4, 5]


def test_it_is_counted_how_far_guesses_hold_also_where_none_are_asked_for(temporal):
    assert all(held.sum() == pytest.approx(1.0) for held in temporal.held().values())
    for step in range(800):
        said = {'instruction': 'lift', 'stamp_ns': step}
        temporal.draft(**said, thresholds=(0,) * D, nodes=0)
        temporal.record(np.array([150] * (D - 1) + [120 + step % 2]), **said)
    for held in temporal.held().values():
        assert held.sum() == pytest.approx(1.0)
        assert held[-1] > 0.9  # the last token is not guessed


def test_a_guess_that_was_never_judged_counts_for_no_later_choice(temporal):
    for step in range(60):
        said = {'instruction': 'lift', 'stamp_ns': step}
        temporal.draft(**said, thresholds=(0,) * D)
        temporal.record(np.array([150] * D), **said)
    known = {size: held.copy() for size, held in temporal.held().items()}
    temporal.draft(instruction='lift', stamp_ns=60, thresholds=(0,) * D)  # and decoding fails
    temporal.draft(instruction='lift', stamp_ns=61, thresholds=(0,) * D, nodes=0)
    temporal.record(np.array([200] * D), instruction='lift', stamp_ns=61)
    for size, held in temporal.held().items():
        np.testing.assert_array_equal(held, known[size])


def test_more_guesses_never_hold_less_far(temporal):
    rng = np.random.default_rng(0)
    for step in range(200):
        said = {'instruction': 'lift', 'stamp_ns': step}
        temporal.draft(**said, thresholds=(2,) * D)
        temporal.record(rng.choice([140, 150], D), **said)
    reached = [float(held @ np.arange(D)) for held in temporal.held().values()]
    assert reached == sorted(reached)
    assert reached[0] < reached[-1]
