# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Changing the threshold while the robot moves, and its picture."""

import json
import sys

import pytest
from PIL import Image
from processes import run_python

from spec_vla_ros.ros.demo import live_tuning
from spec_vla_ros.ros.demo.tuning_plot import ActionSample, EpisodeEnd, spans, write_plot


def samples(thresholds):
    return [
        ActionSample(float(k), threshold, None if k % 2 else 3.5, 1 + k % 3, 20.0 + k)
        for k, threshold in enumerate(thresholds)
    ]


def test_spans():
    assert spans(samples([0, 0, 9, 9, 9, 3])) == [(0, 0.0, 1.0), (9, 2.0, 4.0), (3, 5.0, 5.0)]


def test_plot(tmp_path):
    path = tmp_path / 'new' / 'plot.png'
    write_plot(
        samples([0] * 20 + [9] * 20), [EpisodeEnd(10.0, True), EpisodeEnd(30.0, False)], path
    )
    with Image.open(path) as picture:
        assert picture.width > 800
    with pytest.raises(ValueError, match='no actions'):
        write_plot([], [], path)


@pytest.mark.dds
@pytest.mark.slow
def test_the_robot_moves_while_the_threshold_changes(tmp_path):
    command = ('-m', 'spec_vla_ros.ros.demo.live_tuning', '--results', tmp_path)
    run_python(*command, '--thresholds', '0', '25', '--seconds', '3')
    found = json.loads((tmp_path / 'live_tuning.json').read_text())
    thresholds = [sample['threshold'] for sample in found['samples']]
    assert set(thresholds) == {0, 25}
    assert thresholds == sorted(thresholds)  # changed once, for good
    assert all(1 <= sample['target_passes'] <= 7 for sample in found['samples'])
    assert found['episodes']
    assert (tmp_path / 'live_tuning.png').stat().st_size > 1000


def test_a_threshold_out_of_range_is_refused_before_anything_starts(monkeypatch, capsys):
    monkeypatch.setattr(sys, 'argv', ['live_tuning', '--thresholds', '9', '300'])
    monkeypatch.setattr(live_tuning, 'stage', None)
    with pytest.raises(SystemExit) as ended:
        live_tuning.main()
    assert ended.value.code == 2
    assert '--thresholds: acceptance_threshold: 300 is outside [0, 64]' in capsys.readouterr().err
