# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""What `spec-vla drafter-data` asks the simulators for."""

import argparse
import json
import shutil

import pytest
from recording_files import IMAGE, PICTURES, raw, record
from words import Here, answer_in_words_once

from spec_vla_ros import cli
from spec_vla_ros.checkpoints import TABLETOP
from spec_vla_ros.commands import drafter_data, prompt_sources
from spec_vla_ros.models.files.weight_files import fingerprint_of_weights


@pytest.fixture
def jobs(monkeypatch):
    """Note what would be run by other processes."""
    jobs = []

    class Pool:
        """Notes what would be run."""

        def __init__(self, processes):
            pass

        def __enter__(self):
            return self

        def __exit__(self, *args):
            pass

        def map(self, function, given):
            jobs.extend(given)
            return ()

    monkeypatch.setattr(drafter_data, 'worker_processes', Pool)
    monkeypatch.setattr(prompt_sources, 'check_installed', lambda: None)
    monkeypatch.setattr(prompt_sources, 'libero_starts', lambda suite, seeds: list(seeds))
    return jobs


@pytest.mark.parametrize(('recipe', 'turn'), [('plain', 180), ('libero', 0)])
def test_pictures_of_the_benchmark_are_turned_once(jobs, tmp_path, recipe, turn):
    parser = argparse.ArgumentParser()
    drafter_data.add_arguments(parser)
    options = ['--benchmark', 'libero_object', '--episodes', '2', '--recipe', recipe]
    drafter_data.run(parser.parse_args([*options, '--out', str(tmp_path)]))
    ((_, _, used, source, _),) = jobs
    assert used.name == recipe
    assert source.keywords['image_rotation'] == turn


def test_a_published_fine_tune_needs_a_recipe_to_be_chosen(jobs, tmp_path, capsys):
    """What a drafter learned from other pictures than its target sees would be of no use."""
    config = json.loads((TABLETOP / 'config.json').read_text())
    (stats,) = config['norm_stats'].values()
    config['norm_stats'] = {'libero_object_no_noops': stats}
    folder = tmp_path / 'policy'
    folder.mkdir()
    (folder / 'config.json').write_text(json.dumps(config))
    shutil.copy(TABLETOP / 'tokenizer.json', folder)
    command = ['drafter-data', '--checkpoint', str(folder), '--episodes', '1']
    command += ['--out', str(tmp_path / 'out')]
    assert cli.main(command) == 2
    assert 'give --recipe libero, or --recipe plain for none' in capsys.readouterr().err
    assert not jobs
    for recipe in ('libero', 'plain'):
        out = tmp_path / recipe
        assert cli.main([*command[:-1], str(out), '--recipe', recipe]) == 0
    assert len(jobs) == 2


@pytest.mark.parametrize(
    ('options', 'words'),
    [
        (['--recording', 'bag', '--episodes', '9'], '--episodes belong to episodes of a sim'),
        (['--recording', 'bag', '--first-seed', '0'], '--first-seed belong to episodes'),
        (['--episodes', '1', '--every', '1'], '--every belong to recordings: give --recording'),
    ],
)
def test_options_that_would_have_no_effect_are_refused(jobs, tmp_path, capsys, options, words):
    assert cli.main(['drafter-data', '--out', str(tmp_path / 'out'), *options]) == 2
    assert words in capsys.readouterr().err
    assert not jobs


@pytest.mark.parametrize('first', ['9000000', '8999999'])
def test_nothing_is_learnt_from_what_is_evaluated(jobs, tmp_path, capsys, first):
    command = ['drafter-data', '--out', str(tmp_path / 'out'), '--first-seed', first]
    assert cli.main([*command, '--episodes', '2']) == 2
    assert '9000000 .. 9099999 are for evaluation' in capsys.readouterr().err
    assert not jobs


def test_options_that_are_left_out_are_noted_as_what_they_are(jobs, tmp_path):
    """So that a folder can be gone on with that was begun with the same ones in words."""
    assert cli.main(['drafter-data', '--out', str(tmp_path)]) == 0
    noted = json.loads((tmp_path / 'made_from.json').read_text())
    assert (noted['episodes'], noted['first_seed'], noted['every']) == (3000, 3_000_000, 1)
    assert noted['complete_for'] == fingerprint_of_weights(TABLETOP)


@pytest.fixture
def features(tmp_path, jobs):
    """Return a function that gives the command for a policy; its features are begun in `out`."""
    out = tmp_path / 'out'

    def command(policy, *options):
        if not out.exists():
            out.mkdir()
            (out / 'features_00000.safetensors').touch()
            begun = drafter_data_of(policy, tmp_path / 'new', *options)
            assert begun == 0
            (tmp_path / 'new' / 'made_from.json').rename(out / 'made_from.json')
        return drafter_data_of(policy, out, *options)

    return command


def drafter_data_of(policy, out, *options):
    return cli.main(['drafter-data', '--checkpoint', str(policy), '--out', str(out), *options])


def write_policy(folder, *, weights=b'weights'):
    folder.mkdir(parents=True, exist_ok=True)
    for name in ('config.json', 'tokenizer.json'):
        shutil.copy(TABLETOP / name, folder)
    (folder / 'model.safetensors').write_bytes(weights)
    return folder


def test_features_of_weights_that_were_overwritten_are_not_kept(features, tmp_path, capsys):
    policy = write_policy(tmp_path / 'policy')
    assert features(policy) == 0
    assert features(write_policy(policy, weights=b'WEIGHTS')) == 2
    assert 'checkpoint_contents was' in capsys.readouterr().err
    (write_policy(policy) / 'drafter').mkdir()  # which says nothing of the target
    assert features(policy) == 0


def test_features_of_recordings_that_were_made_anew_are_not_kept(features, tmp_path, capsys):
    policy, bag = write_policy(tmp_path / 'policy'), tmp_path / 'bag'
    options = ['--recording', str(bag), '--instruction', 'go', '--image-topic', '/image']
    for pictures, status in ((PICTURES[:4], 0), (PICTURES[4:], 2)):
        if bag.exists():
            bag.rename(tmp_path / 'before')
        record(bag, [(i, '/image', IMAGE, raw(p)) for i, p in enumerate(pictures)])
        assert features(policy, *options) == status
    assert 'recording_contents was' in capsys.readouterr().err


def test_a_policy_is_the_same_however_its_path_is_given(features, tmp_path, monkeypatch, capsys):
    for place in 'ab':
        write_policy(tmp_path / place / 'policy')
    monkeypatch.chdir(tmp_path / 'a')
    assert features('policy') == 0
    assert features(tmp_path / 'a' / 'policy') == 0
    monkeypatch.chdir(tmp_path / 'b')
    assert features('policy') == 2
    assert 'checkpoint was' in capsys.readouterr().err


def test_device_precision_and_threads_can_be_chosen(monkeypatch, tmp_path, capsys):
    """The folder remembers of these only what changes the features, and old ones had none."""
    loaded, threads = [], []

    def load(folder, **how):
        loaded.append(how)
        raise ValueError('that is enough')

    monkeypatch.setattr(drafter_data, 'worker_processes', Here)
    monkeypatch.setattr(drafter_data, 'load_openvla', load)
    monkeypatch.setattr(drafter_data.torch, 'set_num_threads', threads.append)
    options = ['--device', 'cpu', '--dtype', 'bfloat16', '--threads', '3']
    assert cli.main(['drafter-data', '--out', str(tmp_path / 'a'), *options]) == 2
    assert cli.main(['drafter-data', '--out', str(tmp_path / 'b')]) == 2
    assert 'that is enough' in capsys.readouterr().err
    assert loaded == [{'device': d, 'dtype': t} for d, t in [('cpu', 'bfloat16'), ('auto',) * 2]]
    assert threads == [3, 1]
    chosen, old = (json.loads((tmp_path / x / 'made_from.json').read_text()) for x in 'ab')
    assert chosen == {**old, 'dtype': 'bfloat16'}
    assert not {'device', 'threads', 'dtype'} & old.keys()


def test_a_device_that_is_not_there_is_told_before_the_work(jobs, tmp_path, capsys):
    assert cli.main(['drafter-data', '--out', str(tmp_path / 'out'), '--device', 'gpu']) == 2
    assert "unknown device 'gpu'" in capsys.readouterr().err
    assert not jobs


def test_what_cannot_be_is_told_before_weights_are_read(jobs, tmp_path, capsys):
    folder, out = write_policy(tmp_path / 'policy'), tmp_path / 'out'
    assert drafter_data_of(folder, out, '--unnorm-key', 'other') == 2
    assert "unknown unnorm_key 'other'" in capsys.readouterr().err
    (folder / 'tokenizer.json').unlink()
    assert drafter_data_of(folder, out) == 2
    assert 'no instruction could be read' in capsys.readouterr().err
    assert not jobs
    assert not out.exists()


def test_one_recording_is_told_to_be_too_few(jobs, tmp_path, capsys):
    """`train-drafter` said so, after hours in which the features were computed."""
    bags = [
        str(record(tmp_path / f'{i}', [(i, '/image', IMAGE, raw(PICTURES[i]))])) for i in range(2)
    ]
    command = ['drafter-data', '--instruction', 'go', '--recording']
    assert cli.main([*command, bags[0], '--out', str(tmp_path / 'one')]) == 0
    assert 'one recording is one episode' in capsys.readouterr().out
    assert cli.main([*command, *bags, '--out', str(tmp_path / 'two')]) == 0
    assert 'episode' not in capsys.readouterr().out


@pytest.mark.slow
def test_an_answer_in_words_ends_no_work_of_hours(monkeypatch, tmp_path, capsys):
    answer_in_words_once(monkeypatch)
    monkeypatch.setattr(drafter_data, 'worker_processes', Here)
    assert cli.main(['drafter-data', '--episodes', '1', '--out', str(tmp_path)]) == 0
    assert len(list(tmp_path.rglob('features_*'))) == 1
    assert 'part_0: 1 of ' in capsys.readouterr().out
