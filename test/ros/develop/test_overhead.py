# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The figures of the overhead measurement, and that it runs."""

import itertools
import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from spec_vla_ros.ros.converters import to_time
from spec_vla_ros.ros.develop.overhead import observer
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


def test_what_is_said_while_the_figures_are_made_is_none_of_them(monkeypatch):
    """Messages come in another thread; one at that moment ended the measurement."""
    monkeypatch.setattr(observer, 'SETTLING', 0.0)
    say = {}

    def stamped(ns, **fields):
        return SimpleNamespace(header=SimpleNamespace(stamp=to_time(ns)), **fields)

    class Statistics:
        def __init__(self, number):
            self.sequence, self.phase_names, self.phase_ms = number, [PHASE], [20.0]

        @property
        def transport_ms(self):
            step(self.sequence + 100)
            return 1.0

    def step(number):
        begins = number * 100 * MS
        taken = to_time(begins - 24 * MS)
        say['action'](stamped(begins, sequence=number, observation_stamp=taken))
        say['spec_vla/statistics'](Statistics(number))
        say['delta_twist_cmds'](stamped(begins), {'source_timestamp': begins})

    remote = SimpleNamespace(
        node=SimpleNamespace(create_publisher=lambda *_: SimpleNamespace(publish=lambda _: None)),
        subscribe=lambda kind, topic, callback, profile: say.update({topic: callback}),
        set_parameters=lambda node, parameters: None,
    )
    numbers = itertools.count(1)
    found = observer.Observer(remote, check=lambda: step(next(numbers))).overhead(0.01)
    assert found.actions == next(numbers) - 1
    assert found.transport_ms == pytest.approx((1.0, 1.0, 1.0))
    assert found.overhead_ms == pytest.approx((3.0, 3.0, 3.0))


@pytest.mark.dds
@pytest.mark.slow
@pytest.mark.alone
def test_it_measures_real_nodes(tmp_path, monkeypatch, capsys):
    arguments = ['--seconds', '5', '--rounds', '1', '--workers', 'process']
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
