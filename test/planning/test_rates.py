# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Acceptance rates: what was measured is read back, and what is seen shifts it."""

import json

import numpy as np
import pytest

from spec_vla_ros.planning.rates import WIDTHS, AcceptanceRates, RateTable

STRICT, RELAXED = (0,) * 7, (9,) * 6 + (0,)


def table():
    """Rates that rise with threshold and width, and fall from dimension to dimension."""
    rates = [
        [[0.1 * w + 0.02 * r - 0.01 * d for d in range(6)] for w in range(1, 5)] for r in (0, 10)
    ]
    return RateTable((0, 10), np.array(rates) + 0.3, levels=(1.0, 0.9, 0.8))


def test_a_table_survives_the_drafters_configuration():
    again = RateTable.from_dict(json.loads(json.dumps(table().to_dict())))
    assert again.thresholds == (0, 10)
    assert again.levels == (1.0, 0.9, 0.8)
    np.testing.assert_allclose(again.rates, table().rates)


@pytest.mark.parametrize(
    'broken',
    [
        {},
        {'rates': None},
        {'rates': [[0.5] * 6]},
        {'rates': [[[1.5] * 6] * 4]},
        {'levels': []},
        {'thresholds': [3, 0], 'rates': [[[0.5] * 6] * 4] * 2},
        {'thresholds': ['a']},
        {'widths': [1, 2, 3, 4]},
        {'widths': None},
    ],
)
def test_a_malformed_table_is_refused(broken):
    right = {'thresholds': [0], 'widths': [1, 2, 4, 8], 'levels': [1.0]}
    right['rates'] = [[[0.5] * 6] * 4]
    RateTable.from_dict(right)
    with pytest.raises(ValueError, match='draft_acceptance is malformed'):
        RateTable.from_dict({**right, **broken} if broken else {})


def test_thresholds_in_between_are_interpolated_each_dimension_its_own():
    thresholds = (0, 5, 0, 10, 40, 0, 0)
    at = table().at(thresholds)
    assert at.shape == (len(WIDTHS), 6)
    expected = [0.1 + 0.3 + 0.02 * min(r, 10) - 0.01 * d for d, r in enumerate(thresholds[1:])]
    np.testing.assert_allclose(at[0], expected)


def test_unseen_rates_are_the_tables_and_deeper_levels_are_less_sure():
    rate = AcceptanceRates(table()).of_levels(STRICT)
    assert rate(1, 1, 1) == pytest.approx(0.4)
    assert rate(8, 3, 2) == pytest.approx(0.9 * 0.68)
    assert rate(1, 6, 6) == pytest.approx(0.8 * 0.35)  # the last factor stands for all deeper


def test_what_is_seen_is_learned_for_every_threshold_and_width():
    rates = AcceptanceRates(RateTable.neutral(7))
    for _ in range(300):
        rates.saw_draft(RELAXED, width=1, first_dimension=1, depth=6, accepted=0)
    for thresholds in (STRICT, RELAXED):
        for width in WIDTHS:
            assert rates.of_levels(thresholds)(width, 1, 1) < 0.2
    assert rates.of_levels(RELAXED)(1, 2, 1) == pytest.approx(0.95)  # of it nothing was seen


@pytest.mark.parametrize('truth', [0.05, 0.5, 0.9])
def test_rates_end_near_the_truth(truth):
    random = np.random.default_rng(0)
    rates = AcceptanceRates(RateTable.neutral(7))
    seen = []
    for _ in range(12000):
        accepted = 0
        while accepted < 3 and random.random() < truth:
            accepted += 1
        rates.saw_draft(STRICT, width=2, first_dimension=2, depth=3, accepted=accepted)
        seen.append(rates.of_levels(STRICT)(2, 2, 1))
    assert np.mean(seen[500:]) == pytest.approx(truth, abs=0.03)


def test_a_drafter_that_is_not_used_gets_another_chance():
    rates = AcceptanceRates(RateTable.neutral(7))
    for _ in range(300):
        rates.saw_draft(STRICT, width=1, first_dimension=1, depth=1, accepted=0)
    low = rates.of_levels(STRICT)(1, 1, 1)
    for _ in range(12000):
        rates.forget_a_little()
    assert low < 0.1
    assert rates.of_levels(STRICT)(1, 1, 1) == pytest.approx(0.7, abs=0.01)
