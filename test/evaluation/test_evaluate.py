# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""`spec-vla evaluate`: ways of decoding, and what rounded weights cost, in closed loop."""

import json

import pytest
from toy_checkpoint import write_tiny
from words import Here, answer_in_words_once

from spec_vla_ros import policy
from spec_vla_ros.cli import main
from spec_vla_ros.evaluation import tabletop_run
from spec_vla_ros.sim.scene import HELD_OUT_SEEDS

EPISODES = ['evaluate', '--episodes', '2', '--modes']


@pytest.fixture
def here(monkeypatch):
    """Episodes run in this process, which need not import everything again."""
    monkeypatch.setattr(tabletop_run, 'worker_processes', Here)


def rows(folder):
    return json.loads((folder / 'evaluate.json').read_text())


@pytest.mark.slow
def test_ways_of_decoding_are_compared_on_the_same_episodes(tmp_path, capsys):
    assert main([*EPISODES, 'strict', 'relaxed r=9', '--out', str(tmp_path)]) == 0
    modes = rows(tmp_path)['modes']
    assert modes['strict']['identical_to_autoregressive'] == 1.0
    assert modes['relaxed r=9']['target_passes'] < 4
    assert all(row['episodes'] == 2 for row in modes.values())
    printed = capsys.readouterr().out
    assert '| relaxed r=9 | 2/2 |' in printed
    assert modes['strict']['exactness']['differing'] == 0
    assert 'Actions of strict that differ from autoregressive ones in float32: 0 of' in printed
    assert modes['relaxed r=9']['exactness'] is None
    assert (tmp_path / 'evaluate.png').stat().st_size > 1000


@pytest.mark.slow
def test_tolerances_are_compared_with_thresholds_by_name(here, tmp_path):
    threshold = 'relaxed r=25 + temporal'
    tolerance = 'relaxed mm=1 mrad=10 + temporal'
    options = ['--acceptance-mm', '1', '--acceptance-mrad', '10', '--out', str(tmp_path)]
    assert main([*EPISODES, threshold, tolerance, *options]) == 0
    modes = rows(tmp_path)['modes']
    assert list(modes) == [threshold, tolerance]
    for row in modes.values():
        assert row['target_passes'] < 7
        assert row['deviation_bins'][-1] < 10
    table = (tmp_path / 'evaluate.md').read_text()
    assert all(f'| {name} | ' in table for name in modes)


@pytest.mark.slow
def test_strict_decoding_is_compared_in_the_precision_in_use(here, tmp_path, capsys):
    arguments = [*EPISODES, 'strict', '--dtype', 'bfloat16', '--out', str(tmp_path)]
    assert main(arguments) == 0
    row = rows(tmp_path)['modes']['strict']
    assert row['exactness']['actions'] == row['actions']
    same = 1 - row['exactness']['differing'] / row['actions']
    assert same > row['identical_to_autoregressive']  # which compares with float32
    assert 'in bfloat16: ' in capsys.readouterr().out


@pytest.mark.slow
def test_rounded_weights_are_compared_with_those_of_the_checkpoint(here, tmp_path):
    arguments = [*EPISODES, 'autoregressive', '--dtype', 'bfloat16', '--out', str(tmp_path)]
    assert main(arguments) == 0
    report = rows(tmp_path)
    assert (report['device'], report['dtype'], report['stored_as']) == ('cpu', 'bfloat16', None)
    row = report['modes']['autoregressive']
    assert 0.3 < row['identical_to_autoregressive'] < 1.0
    assert 0 < sum(row['deviation_bins'][:-1]) / 6 < 3


def test_seeds_of_the_training_are_refused(capsys):
    outside = str(HELD_OUT_SEEDS.start - 1)
    assert main([*EPISODES, 'strict', '--first-seed', outside]) == 2
    assert '--first-seed' in capsys.readouterr().err


@pytest.mark.parametrize('episodes', ['0', '-3'])
def test_a_number_of_episodes_that_is_none_is_told(episodes, capsys):
    with pytest.raises(SystemExit):
        main(['evaluate', '--episodes', episodes])
    assert f'--episodes: {episodes}: at least 1' in capsys.readouterr().err


def test_a_device_that_is_not_there_is_told_before_the_episodes(monkeypatch, capsys):
    monkeypatch.setattr(tabletop_run, 'worker_processes', None)
    assert main([*EPISODES, 'strict', '--device', 'gpu']) == 2
    assert "unknown device 'gpu'" in capsys.readouterr().err


def test_what_cannot_be_loaded_is_told_before_the_episodes(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(tabletop_run, 'worker_processes', None)
    folder = write_tiny(tmp_path / 'tiny')
    (folder / 'tokenizer.json').unlink()
    assert main([*EPISODES, 'autoregressive', '--checkpoint', str(folder)]) == 2
    assert 'no instruction could be read' in capsys.readouterr().err


def test_unknown_modes_are_told(capsys):
    assert main([*EPISODES, 'fast']) == 2
    assert "unknown modes ['fast']" in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_is_told_before_the_episodes(
    monkeypatch, tmp_path, capsys
):
    monkeypatch.setattr(tabletop_run, 'worker_processes', None)
    (tmp_path / 'file').touch()
    assert main([*EPISODES, 'strict', '--out', str(tmp_path / 'file')]) == 2
    assert 'give another --out' in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize(
    ('call', 'of'),
    [(0, 'autoregressive'), (1, 'autoregressive, what it is compared with')],
)
def test_an_answer_in_words_is_counted_and_ends_nothing(monkeypatch, tmp_path, capsys, call, of):
    answer_in_words_once(monkeypatch, call=call)
    monkeypatch.setattr(tabletop_run, 'worker_processes', Here)
    options = ['--episodes', '1', '--modes', 'autoregressive', '--out', str(tmp_path)]
    assert main(['evaluate', *options]) == 0
    assert rows(tmp_path)['modes']['autoregressive']['answers_in_words'] == 1 - call
    assert f'{of}: 1 of ' in capsys.readouterr().out


@pytest.mark.slow
def test_policies_of_a_mode_share_their_weights(monkeypatch, tmp_path):
    packed, pack = [], policy.PackedLlama

    def noted(model, **options):
        packed.append(model)
        return pack(model, **options)

    monkeypatch.setattr(policy, 'PackedLlama', noted)
    monkeypatch.setattr(tabletop_run, 'worker_processes', Here)
    options = ['--episodes', '1', '--modes', 'strict', '--out', str(tmp_path)]
    assert main(['evaluate', *options]) == 0
    assert len(packed) == 1
    assert rows(tmp_path)['modes']['strict']['exactness']['differing'] == 0
