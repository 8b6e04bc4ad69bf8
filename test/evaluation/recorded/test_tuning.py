# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""What a sweep over recordings measures, and what it recommends."""

import json
from dataclasses import replace

import numpy as np
import pytest

from spec_vla_ros.evaluation.recorded import tuning
from spec_vla_ros.evaluation.recorded.tuning import (
    DeviationTolerance,
    Replayed,
    recommend,
    replay,
)
from spec_vla_ros.evaluation.recorded.tuning_report import (
    markdown_tables,
    plot,
    settings_lines,
    summary,
)
from spec_vla_ros.evaluation.ways import REPLAYED, Way
from spec_vla_ros.types import AUTOREGRESSIVE, Action, DecodeStats, Decoding, Observation

AR = DecodeStats('autoregressive', 7, accept_lengths=(1,) * 6)
FAST = DecodeStats('relaxed', 2, draft_passes=3, accept_lengths=(6,))
PREFILL_ONLY = DecodeStats('relaxed', 1)
BIN = 0.001
IMAGE = np.zeros((4, 4, 3), np.uint8)


def replayed(*, off=(0,) * 7, count=20, ms=5.0, stats=FAST):
    """Actions that are off by so many bins in each dimension, each bin 1 mm or 1 mrad."""
    off = np.array(off)
    action = Action(off * BIN, np.zeros(len(off)), 200 + off, stats)
    return [Replayed(action, ms)] * count


REFERENCE = replayed(ms=10.0, stats=AR)


def figures(way, reference):
    return tuning.way_figures(way, reference, reference_ms=10.0)


def test_figures_of_a_way():
    found = figures(replayed(off=(3, 0, 4, 0, 0, -2, 0)), REFERENCE)
    assert found['speedup'] == 2.0
    assert found['target_passes'] == 2
    assert found['accept_length'] == 7
    assert found['identical_to_autoregressive'] == 0
    assert found['gripper_differs'] == 0
    deviation = found['deviation']
    assert deviation['bins']['mean'] == [3, 0, 4, 0, 0, 2, 0]
    assert deviation['worst_bins'] == {'mean': 4, 'p95': 4}
    np.testing.assert_allclose(deviation['values']['p95'], [0.003, 0, 0.004, 0, 0, 0.002, 0])
    assert deviation['translation_m']['p95'] == pytest.approx(0.005)
    assert deviation['rotation_rad']['p95'] == pytest.approx(0.002)


def test_the_percentile_is_of_actions():
    """One action of forty far off moves the mean, and not the 95th percentile."""
    mixed = replayed(count=39) + replayed(off=(40, 0, 0, 0, 0, 0, 255), count=1)
    found = figures(mixed, REFERENCE * 2)
    assert found['deviation']['worst_bins'] == {'mean': 1, 'p95': 0}
    assert found['gripper_differs'] == pytest.approx(1 / 40)


def test_actions_without_verify_rounds_have_no_accept_length():
    found = figures(replayed(stats=PREFILL_ONLY), REFERENCE)
    assert found['accept_length'] is None
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_other_actions_than_an_arms_have_no_metres():
    way, reference = (replayed(off=(off, 0, 0)) for off in (2, 0))
    found = figures(way, reference)
    assert found['deviation'].keys() == {'bins', 'values', 'worst_bins'}


@pytest.mark.parametrize(
    ('tolerance', 'held'),
    [
        (DeviationTolerance(), True),
        (DeviationTolerance(bins=3), True),
        (DeviationTolerance(bins=2.9), False),
        (DeviationTolerance(metres=0.003), True),
        (DeviationTolerance(metres=0.002), False),
        (DeviationTolerance(metres=0.003, radians=0.0009), False),
    ],
)
def test_tolerance(tolerance, held):
    assert tolerance.allows(figures(replayed(off=(3, 0, 0, 1, 0, 0, 0)), REFERENCE)) is held


def test_a_gripper_that_differs_is_never_tolerated():
    mixed = replayed(count=18) + replayed(off=(0, 0, 0, 0, 0, 0, 255), count=2)
    assert not DeviationTolerance().allows(figures(mixed, REFERENCE))


def results(*, off=lambda r: r, temporal_ms=3.0):
    """A sweep in which each way is off by `off(r)` bins in x."""
    found = {AUTOREGRESSIVE: figures(REFERENCE, REFERENCE)}
    for way in REPLAYED:
        ms = temporal_ms if way.temporal else 5.0
        actions = replayed(off=(off(way.r), 0, 0, 0, 0, 0, 0), ms=ms)
        found[way.name] = figures(actions, REFERENCE)
    return found


@pytest.mark.parametrize(
    ('bins', 'temporal_ms', 'expected'),
    [
        (9, 3.0, Way(9, temporal=True)),
        (8.9, 7.0, Way(5, temporal=False)),
        (1000, 3.0, Way(25, temporal=True)),
        (0.5, 3.0, Way(0, temporal=True)),
    ],
)
def test_the_largest_r_within_the_tolerance_is_recommended(bins, temporal_ms, expected):
    found = recommend(results(temporal_ms=temporal_ms), DeviationTolerance(bins=bins))
    assert found == expected


def test_no_r_above_one_that_fails_is_recommended():
    """A larger r that happens to be within the tolerance is luck."""
    lucky = results(off=lambda r: 7 if r == 5 else 0)
    assert recommend(lucky, DeviationTolerance(bins=2)).r == 3


def test_the_lines_to_set():
    lines = settings_lines(Way(5, temporal=False))
    assert 'ros2 param set /spec_vla acceptance_threshold 5' in lines
    assert '    temporal_draft: false' in lines
    strict = settings_lines(Way(0, temporal=True))
    assert 'ros2 param set /spec_vla decoding_mode strict' in strict
    assert not any('acceptance_threshold' in line for line in strict)


@pytest.mark.parametrize(('drift', 'warned'), [(1.05, False), (1.4, True)])
def test_summary(drift, warned):
    found = recommend(results(), DeviationTolerance(bins=5))
    text = summary(results(), found, DeviationTolerance(bins=5), drift=drift)
    assert 'relaxed r=5 + temporal, 3.33 times as fast' in text
    assert 'open loop' in text
    assert ('machine was busy' in text) is warned


@pytest.mark.parametrize(('actions', 'warned'), [(3, True), (99, True), (100, False)])
def test_a_recommendation_from_few_actions_says_so(actions, warned):
    few = {name: {**row, 'actions': actions} for name, row in results().items()}
    text = summary(
        few, recommend(few, DeviationTolerance(bins=5)), DeviationTolerance(bins=5), drift=1.0
    )
    assert (f'rests on {actions} actions only' in text) is warned


def test_a_way_that_is_slower_is_not_praised():
    slow = results(temporal_ms=50.0)
    slow = {name: {**row, 'speedup': 0.9} for name, row in slow.items()}
    found = recommend(slow, DeviationTolerance(bins=5))
    assert 'not faster' in summary(slow, found, DeviationTolerance(bins=5), drift=1.0)


@pytest.mark.parametrize('dimensions', [7, 3])
def test_tables_and_picture(tmp_path, dimensions):
    reference = replayed(off=(0,) * dimensions, ms=10.0, stats=AR)
    rows = {AUTOREGRESSIVE: figures(reference, reference)}
    for way in REPLAYED:
        actions = replayed(off=(way.r,) + (0,) * (dimensions - 1))
        rows[way.name] = figures(actions, reference)
    table = markdown_tables(rows)
    assert ('x [mm]' in table) is (dimensions == 7)
    lines = [line for line in table.splitlines() if line.startswith('|')]
    assert len(lines) == 2 * 2 + 2 * len(rows) - 1
    found = recommend(rows, DeviationTolerance(bins=9))
    plot(rows, tmp_path / 'tune.png', found=found)
    assert (tmp_path / 'tune.png').stat().st_size > 10_000


class Remembers:
    """A policy that says when it was reset, and which stamps it saw."""

    def __init__(self):
        self.events = []

    def reset(self):
        self.events.append('reset')

    def infer(self, observation, decoding):
        self.events.append((observation.stamp_ns, decoding.mode))
        return replace(REFERENCE[0].action)


def test_replay_keeps_order_and_stamps_and_resets_for_each_task():
    def first():
        return iter([Observation(IMAGE, text, i) for i, text in enumerate(['a', 'a', 'b'])])

    def second():
        return iter([Observation(IMAGE, 'b', 9)])

    policy = Remembers()
    found = list(replay(policy, [first, second], Decoding('strict')))
    assert policy.events == [
        'reset',
        (0, 'strict'),
        (1, 'strict'),
        'reset',
        (2, 'strict'),
        'reset',
        (9, 'strict'),
    ]
    assert all(one.milliseconds > 0 for one in found)
