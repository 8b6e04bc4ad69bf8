# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The figures of the overhead measurement, and that it runs."""

import json
import sys

import numpy as np
import pytest

from spec_vla_ros.ros.develop.overhead.__main__ import main
from spec_vla_ros.ros.develop.overhead.busy_policy import PHASE, BusyPolicy
from spec_vla_ros.ros.develop.overhead.figures import Jitter, Overhead, lateness_ms, spread, table
from spec_vla_ros.types import Action, DecodeStats, Decoding, Observation, PolicyInfo

MS = 1_000_000


def test_lateness_is_against_the_period_and_early_only_where_it_may_be():
    published = [0, 33 * MS, 70 * MS, 80 * MS, 113 * MS, 150 * MS]
    begins = [False, False, False, True, False, True]
    off = lateness_ms(published, begins, period_s=0.033)
    np.testing.assert_allclose(off, [0, 4, 0, 0, 4])


def test_spread_and_table():
    assert spread([1.0, 2.0, 3.0]) == pytest.approx((2.0, 2.98, 3.0))
    text = table(
        {
            'thread': (
                Overhead(5, (0.5, 0.6, 0.7), (1.0, 2.0, 3.0)),
                Jitter(30.04, 0.97, (0.1, 0.25, 1.0)),
            )
        }
    )
    cells = (
        'thread | 5 | 0.50 / 0.60 / 0.70 | 1.00 / 2.00 / 3.00 | 30.0 | 97% | 0.10 / 0.25 / 1.00'
    )
    assert text.splitlines()[-1] == f'| {cells} |'


def test_the_busy_policy_says_how_long_it_computed():
    class Quick:
        info = PolicyInfo(checkpoint='quick')
        asked = 0

        def infer(self, observation, decoding):
            self.asked += 1
            return Action(np.zeros(7), np.zeros(7), np.zeros(7, int), DecodeStats('test', 1))

    policy = BusyPolicy(Quick(), seconds=0.02)
    action = policy.infer(Observation(np.zeros((2, 2, 3), np.uint8), 'go'), Decoding())
    assert policy.info.checkpoint == 'quick'
    assert policy._policy.asked > 1
    assert action.stats.phases_ms[PHASE] >= 20


@pytest.mark.dds
@pytest.mark.slow
@pytest.mark.alone
def test_it_measures_real_nodes(tmp_path, monkeypatch, capsys):
    arguments = ['--seconds', '10', '--rounds', '1', '--workers', 'process']
    arguments += ['--results', str(tmp_path)]
    monkeypatch.setattr(sys, 'argv', ['overhead', *arguments])
    main()
    figures = json.loads((tmp_path / 'ros_overhead.json').read_text())
    (row,) = figures.pop('process')
    assert not figures
    assert row['actions'] > 2
    assert row['overhead_ms'][0] > 0
    assert row['transport_ms'][0] > 0
    assert row['commands_hz'] > 0
    assert row['busy'] > 0
    assert (tmp_path / 'ros_overhead.md').read_text() in capsys.readouterr().out
