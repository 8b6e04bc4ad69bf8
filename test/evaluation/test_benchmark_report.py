# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Published figures stand beside ours, each in its column."""

import pytest

from spec_vla_ros.evaluation.benchmark_report import (
    BENCHMARK_COLUMNS,
    PUBLISHED,
    SUITES,
    gains,
    published_rows,
)
from spec_vla_ros.sim.libero.suites import MAX_STEPS


def cells(suite, name):
    (row,) = (row for row in published_rows(suite) if row[0] == f'*{name}*')
    return {
        c: cell for c, cell in zip(('', *BENCHMARK_COLUMNS), row, strict=True) if c and cell != '-'
    }


def test_published_figures_are_of_the_suite():
    assert set(SUITES) == set(MAX_STEPS)
    assert all(len(figures) == len(SUITES) for figures in PUBLISHED.values())
    assert cells('libero_object', 'Spec-VLA, relaxed') == {
        'success, %': '85.0',
        'x AR': '1.38',
        'accept length': '2.38',
    }
    assert cells('libero_10', 'HeiSD')['accept length'] == '4.96'
    assert cells('libero_goal', 'Spec-VLA, autoregressive') == {'success, %': '78', 'x AR': '1.00'}


@pytest.mark.parametrize('accept_length', [3.0, None])
def test_gains_are_beside_strict_and_autoregressive_decoding(accept_length):
    modes = {
        'autoregressive': {'accept_length': 7 / 6, 'success_rate': 0.9},
        'strict': {'accept_length': 2.0, 'success_rate': 0.9},
        'relaxed r=9': {'accept_length': accept_length, 'success_rate': 0.88},
    }
    said = list(gains(modes))
    if accept_length is None:  # every action was decided in its prefill
        assert said == []
        return
    assert said == [
        '- Accept length of relaxed r=9: +50% beside strict; success -2.0 points beside '
        'autoregressive.\n'
    ]
    del modes['strict']
    assert list(gains(modes)) == []
