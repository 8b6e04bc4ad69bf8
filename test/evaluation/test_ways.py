# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The ways of decoding that are compared have the names and settings that results are read by."""

from argparse import Namespace

import pytest

from spec_vla_ros.evaluation.evaluate import decodings
from spec_vla_ros.evaluation.ways import (
    EVALUATED,
    REPLAYED,
    AcceptanceTolerances,
    Way,
    by_threshold,
    tolerance_ways,
)
from spec_vla_ros.types import Decoding


@pytest.mark.parametrize(
    ('ways', 'thresholds'),
    [(EVALUATED, [0, 1, 3, 5, 9, 15]), (REPLAYED, [0, 1, 3, 5, 9, 15, 25])],
)
def test_every_threshold_comes_with_and_without_temporal_drafts(ways, thresholds):
    for temporal in (False, True):
        assert [way.r for way in ways if way.temporal is temporal] == thresholds
    found = {way.name: way.decoding for way in ways}
    assert len(found) == 2 * len(thresholds)
    assert found['strict'] == Decoding('strict', 0, temporal=False)
    assert found['relaxed r=9 + temporal'] == Decoding('relaxed', 9, temporal=True)


def test_ways_with_tolerances_have_names_of_their_own():
    way = Way(25, temporal=True, tolerances=AcceptanceTolerances(metres=0.001, radians=0.01))
    assert way.name == 'relaxed r=25 mm=1 mrad=10 + temporal'
    assert way.decoding == Decoding(
        'relaxed',
        25,
        acceptance_tolerance_translation=0.001,
        acceptance_tolerance_rotation=0.01,
    )


def test_tolerances_are_ways_when_they_are_asked_for():
    assert tolerance_ways(Namespace(acceptance_mm=None, acceptance_mrad=None)) == ()
    plain, temporal = tolerance_ways(Namespace(acceptance_mm=1.5, acceptance_mrad=None))
    assert (plain.name, temporal.name) == ('relaxed mm=1.5', 'relaxed mm=1.5 + temporal')
    assert plain.decoding == Decoding(
        'relaxed', 0, temporal=False, acceptance_tolerance_translation=0.0015
    )
    _, both = tolerance_ways(Namespace(acceptance_mm=0.0, acceptance_mrad=10.0))
    assert both.name == 'relaxed mm=0 mrad=10 + temporal'
    with pytest.raises(ValueError, match='--acceptance-mrad nan'):
        tolerance_ways(Namespace(acceptance_mm=1.0, acceptance_mrad=float('nan')))


def test_closed_loop_results_begin_with_what_does_not_deviate():
    assert list(decodings())[:4] == [
        'autoregressive',
        'strict',
        'strict + temporal',
        'relaxed r=1',
    ]
    assert decodings()['autoregressive'] == Decoding()


def test_results_are_found_by_threshold():
    results = {
        name: {'of': name}
        for name in ('relaxed r=9', 'autoregressive', 'strict', 'relaxed r=1 + temporal')
    }
    assert by_threshold(results, EVALUATED, temporal=False) == [
        (0, {'of': 'strict'}),
        (9, {'of': 'relaxed r=9'}),
    ]
    assert by_threshold(results, EVALUATED, temporal=True) == [
        (1, {'of': 'relaxed r=1 + temporal'})
    ]
