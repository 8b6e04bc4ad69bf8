# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Results of the benchmark are appended to a dated list, which can be read again and drawn."""

import errno
import json
from pathlib import Path

import pytest
from matplotlib.axes import Axes

from spec_vla_ros.benchmark import history
from spec_vla_ros.cli import main

RECORDED = Path(__file__).parents[2] / 'docs' / 'history' / 'bench.json'


def report(*, date='2026-11-24', hardware='a CPU', speed=2.0):
    row = {'mean_ms': 10.0, 'median_ms': 9.0, 'phases_ms': {}, 'times_floor': None}
    methods = {
        'transformers generate': {**row, 'times_generate': 1.0},
        'strict': {**row, 'times_generate': speed, 'target_passes': 3.5},
    }
    return {
        'date': date,
        'machine': 'a CPU, torch 2',
        'hardware': hardware,
        'versions': {'torch': '2'},
        'cases': {'small': {'methods': methods}, 'large': {'methods': methods}},
    }


def test_results_are_appended_and_read_again(tmp_path):
    path = tmp_path / 'new' / 'bench.json'
    assert history.append(report(), path) == 4
    assert history.append(report(date='2026-11-25', speed=2.5), path) == 4
    entries = history.read(path)
    assert [entry['date'] for entry in entries] == ['2026-11-24'] * 4 + ['2026-11-25'] * 4
    assert entries[1] == {
        'date': '2026-11-24',
        'machine': 'a CPU',
        'versions': {'torch': '2'},
        'case': 'small',
        'way': 'strict',
        'figures': {'mean_ms': 10.0, 'times_generate': 2.0, 'target_passes': 3.5},
    }
    assert len(path.read_text().splitlines()) == 2 + 8  # an entry a line


def test_a_full_disk_leaves_the_list_that_is_there(tmp_path, monkeypatch):
    path = tmp_path / 'bench.json'
    history.append(report(), path)
    before, write_text = path.read_text(), Path.write_text

    def half(file, text):
        write_text(file, text[: len(text) // 2])
        raise OSError(errno.ENOSPC, 'No space left on device')

    monkeypatch.setattr(Path, 'write_text', half)
    with pytest.raises(OSError, match='No space left'):
        history.append(report(), path)
    assert path.read_text() == before
    assert [file.name for file in tmp_path.iterdir()] == ['bench.json']


@pytest.mark.parametrize('content', ['{}', '[{"date": "2026-11-24"}]', 'nothing'])
def test_what_is_no_list_of_results_is_refused_and_left_alone(tmp_path, content):
    path = tmp_path / 'bench.json'
    path.write_text(content)
    with pytest.raises(ValueError, match=r'expected|lacks|Expecting'):
        history.append(report(), path)
    assert path.read_text() == content


def test_a_file_that_is_no_list_is_named(tmp_path):
    (tmp_path / 'bench.png').write_text('')
    with pytest.raises(ValueError, match=f'{tmp_path / "bench.png"} is no list of results'):
        history.read(tmp_path / 'bench.png')


def test_runs_are_drawn_by_machine_and_case(tmp_path, monkeypatch):
    path = tmp_path / 'bench.json'
    for day, hardware in ((24, 'a CPU'), (25, 'another'), (26, 'a CPU')):
        history.append(report(date=f'2026-11-{day}', hardware=hardware), path)
    drawn = []
    monkeypatch.setattr(Axes, 'plot', lambda self, x, y, **how: drawn.append((x, y)))
    history.plot(history.read(path), tmp_path / 'picture.png')
    assert sorted(map(len, (x for x, _ in drawn))) == [1] * 4 + [2] * 4
    assert {x for x, _ in drawn} == {(0, 2), (1,)}


def test_the_recorded_list_is_drawn_by_the_command(tmp_path, capsys):
    assert main(['bench', '--plot-history', str(RECORDED), '--out', str(tmp_path)]) == 0
    assert (tmp_path / 'bench_history.png').stat().st_size > 10_000
    assert 'bench_history.png' in capsys.readouterr().out
    assert len({e['date'] for e in json.loads(RECORDED.read_text())}) > 1
