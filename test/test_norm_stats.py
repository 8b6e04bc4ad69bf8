# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Norm stats are found, and refused where they would move the arm wrongly."""

import numpy as np
import pytest

from spec_vla_ros.norm_stats import NormStats

STATS = {
    'goal_no_noops': {
        'action': {'q01': [-1, 0, 0], 'q99': [1, 4, 1], 'mask': [True, True, False]}
    },
    'plain': {'action': {'q01': [-2, -2], 'q99': [2, 2]}},
}


@pytest.mark.parametrize('key', ['goal', 'goal_no_noops'])
def test_key_with_or_without_suffix(key):
    assert NormStats.select(STATS, key).key == 'goal_no_noops'
    assert NormStats.select({'goal': STATS['plain']}, key).key == 'goal'


@pytest.mark.parametrize(('base', 'own'), [('it', 'it_no_noops'), ('it_no_noops', 'it')])
def test_a_fine_tunes_own_are_not_passed_over_for_another_spelling(base, own):
    both = {base: STATS['plain'], own: STATS['goal_no_noops']}
    files = {base: 'config.json', own: 'dataset_statistics.json'}
    assert NormStats.select(both, own, files=files).key == own
    with pytest.raises(ValueError, match=f"'{base}' may mean '{own}' of dataset_.*'{base}' of co"):
        NormStats.select(both, base, files=files)
    assert NormStats.select({**both, base: both[own]}, base, files=files).dimensions == 3
    assert NormStats.select(both, base).key == base  # nothing says whose they are


@pytest.mark.parametrize('key', ['libero', '', None])
def test_unknown_or_missing_key_lists_the_valid_ones(key):
    with pytest.raises(ValueError, match="'goal_no_noops', 'plain'"):
        NormStats.select(STATS, key)


def test_the_only_key_needs_no_name():
    assert NormStats.select({'plain': STATS['plain']}).key == 'plain'


@pytest.mark.parametrize(
    'action', [{'q01': [0.0]}, {'q01': [0.0], 'q99': [1.0, 2.0]}, {'q01': 0.0, 'q99': 1.0}]
)
def test_malformed_stats_are_named(action):
    with pytest.raises(ValueError, match='broken'):
        NormStats.select({'broken': {'action': action}})


@pytest.mark.parametrize(
    ('action', 'message'),
    [
        ({'q01': [0.0, 2.0], 'q99': [1.0, 1.0]}, r'q01 is above q99 in dimension 1 \(2 and 1\)'),
        (
            {'q01': [-1.0, 0.02] + [-1.0] * 5, 'q99': [1.0, 0.02] + [1.0] * 5},
            'both 0.02 in dimension 1, so that the arm would move by that in every step',
        ),
        ({'q01': [0.02] * 7, 'q99': [0.02 + 1e-9] * 7}, 'both 0.02 in dimension 0'),
        ({'q01': [0.0], 'q99': [1.0], 'mask': ['False']}, 'true and false only, not .*False'),
        ({'q01': [0.0], 'q99': [1.0], 'mask': [0.5]}, 'true and false only'),
        ({'q01': [0.0], 'q99': [1.0], 'mask': [2]}, 'true and false only'),
        ({'q01': [], 'q99': []}, 'not empty'),
        ({'mean': [0.0]}, r"lack action\.q01 or action\.q99.*\{name: \{'action'"),
        ({'min': [0.0], 'max': [1.0]}, r'action has max, min, which mean other ranges'),
    ],
)
def test_stats_that_would_move_the_arm_wrongly_are_refused(action, message):
    with pytest.raises(ValueError, match=rf"'broken' in some\.json.*{message}"):
        NormStats.select({'broken': {'action': action}}, files={'broken': 'some.json'})


BOUNDS = {'q01': [0.0], 'q99': [1.0]}


@pytest.mark.parametrize(
    ('entry', 'words'),
    [
        (BOUNDS, "they are there without 'action' around them"),
        ({'actions': BOUNDS, 'proprio': BOUNDS}, "in 'actions', which must be called 'action'"),
        ({'mine': {'action': BOUNDS}}, "'mine' inside of it are data sets, which must not be in"),
        ({'proprio': BOUNDS}, 'there is proprio, which mean'),
    ],
)
def test_a_level_too_many_or_too_few_is_told_as_such(entry, words):
    with pytest.raises(ValueError, match=r"'broken' lack action\.q01") as refused:
        NormStats.select({'broken': entry})
    assert words in str(refused.value)


def test_of_data_sets_that_all_lack_bounds_none_is_to_be_chosen():
    with pytest.raises(ValueError, match=r"'actions', 'state', none of them with action\.q01"):
        NormStats.select({'actions': {'q01': [0.0]}, 'state': {}})


def test_a_mask_may_be_of_ones_and_zeros():
    entry = {'action': {'q01': [0.0] * 2, 'q99': [1.0] * 2, 'mask': [1, 0]}}
    assert NormStats.select({'arm': entry}).mask.tolist() == [True, False]


def test_missing_mask_means_all():
    stats = NormStats.select(STATS, 'plain')
    assert stats.mask.tolist() == [True, True]
    assert stats.dimensions == 2


def test_masked_dimension_passes_through():
    stats = NormStats.select(STATS, 'goal')
    np.testing.assert_allclose(stats.unnormalise([0.5, 0.5, 0.25]), [0.5, 3.0, 0.25])
    np.testing.assert_allclose(stats.normalise([0.5, 3.0, 0.25]), [0.5, 0.5, 0.25])


def test_constant_dimension_does_not_divide_by_zero():
    stats = NormStats.select({'k': {'action': {'q01': [3.0], 'q99': [3.0]}}})
    assert stats.unnormalise(stats.normalise([3.0])).tolist() == [3.0]


@pytest.mark.parametrize(
    ('dimension', 'value', 'mask'),
    [(0, 0.0, True), (5, 1e-9, True), (0, 0.02, False), (6, 1.0, True)],
)
def test_a_constant_that_does_not_move_the_arm_is_taken(dimension, value, mask):
    """Nothing, what no range is used for, and a gripper that never moved."""
    q01, q99, masks = [-1.0] * 7, [1.0] * 7, [True] * 7
    q01[dimension] = q99[dimension] = value
    masks[dimension] = mask
    stats = NormStats.select({'k': {'action': {'q01': q01, 'q99': q99, 'mask': masks}}})
    assert stats.without_range.tolist() == [mask and d == dimension for d in range(7)]
