# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The ways of decoding that are compared have the names and settings that results are read by."""

import pytest

from spec_vla_ros.evaluation.evaluate import decodings
from spec_vla_ros.evaluation.ways import EVALUATED, REPLAYED, by_threshold
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
