# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""From recordings to features to a drafter, by the two commands."""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from processes import run_python
from recording_files import IMAGE, PICTURES, STRING, raw, record, said
from safetensors.torch import load_file
from toy_checkpoint import write_tiny
from words import Here

from spec_vla_ros import cli
from spec_vla_ros.commands import drafter_data
from spec_vla_ros.models.files.safetensors_files import save_tensors
from spec_vla_ros.policy import SpecVlaPolicy, load_policy
from spec_vla_ros.training.drafter.curve import read_points
from spec_vla_ros.training.drafter.data import read_features
from spec_vla_ros.training.made_from import NOTE
from spec_vla_ros.types import Decoding, Observation

pytestmark = pytest.mark.slow


@pytest.fixture(scope='module')
def target(tmp_path_factory):
    return write_tiny(tmp_path_factory.mktemp('target'))


@pytest.fixture(scope='module')
def features(target, tmp_path_factory):
    """The folder of features of two recordings, and the options they were made with."""
    folder = tmp_path_factory.mktemp('recordings')
    for begin, name in enumerate('ab', 2):
        images = [(i + begin, '/image', IMAGE, raw(p)) for i, p in enumerate(PICTURES)]
        record(
            folder / name, [(1, '/instruction', STRING, said('pick up the red block')), *images]
        )
    options = ['--checkpoint', str(target), '--out', str(folder / 'features')]
    options += ['--recording', str(folder / 'a'), str(folder / 'b'), '--image-topic', '/image']
    options += ['--instruction-topic', '/instruction', '--every', '2']
    assert cli.main(['drafter-data', *options]) == 0
    return folder / 'features', options


def test_recordings_become_features(features):
    folder, _ = features
    found = read_features(folder)
    assert found.episodes.tolist() == [0] * 4 + [1] * 4
    assert found.tokens.shape == (8, 7)


def test_what_is_there_is_not_inferred_again(features, monkeypatch):
    """For hours, when the command was given a second time."""
    folder, options = features
    monkeypatch.setattr(drafter_data, 'worker_processes', ThreadPoolExecutor)
    monkeypatch.setattr(SpecVlaPolicy, 'infer', lambda *args, **options: pytest.fail('inferred'))
    assert cli.main(['drafter-data', *options]) == 0
    assert len(read_features(folder)) == 8


def test_features_of_other_options_are_not_mixed_in(features, capsys):
    folder, options = features
    assert cli.main(['drafter-data', *options[:-1], '4']) == 2
    assert 'made with other options' in capsys.readouterr().err
    assert len(read_features(folder)) == 8


@pytest.mark.parametrize('every', ['2', '4'])
def test_features_without_their_note_are_not_mixed_in(features, tmp_path, capsys, every):
    folder, options = features
    shutil.copytree(folder, tmp_path / 'features')
    (tmp_path / 'features' / NOTE).unlink()
    again = [*options[:-1], every, '--out', str(tmp_path / 'features')]
    assert cli.main(['drafter-data', *again]) == 2
    error = capsys.readouterr().err
    assert f'features_00000.safetensors is there, but no {tmp_path / "features" / NOTE}' in error
    assert not (tmp_path / 'features' / NOTE).exists()


def test_features_are_of_the_pictures_that_a_recipe_makes(features, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(drafter_data, 'worker_processes', Here)
    folder, options = features
    turned = [*options, '--set', 'image_rotation=180']
    assert cli.main(['drafter-data', *turned]) == 2
    assert 'made with other options' in capsys.readouterr().err
    turned[turned.index('--out') + 1] = str(tmp_path / 'turned')
    assert cli.main(['drafter-data', *turned]) == 0
    plain, other = read_features(folder), read_features(tmp_path / 'turned')
    assert other.embeds.shape == plain.embeds.shape
    assert not torch.equal(other.embeds, plain.embeds)


def test_a_benchmark_is_not_recorded(features, capsys):
    _, options = features
    assert cli.main(['drafter-data', *options, '--benchmark', 'libero_object']) == 2
    assert '--benchmark belongs to episodes' in capsys.readouterr().err


def test_episodes_of_several_folders_stay_apart(features, tmp_path):
    folder, _ = features
    other = shutil.copytree(folder, tmp_path / 'other')
    assert read_features(folder, other).episodes.tolist() == [0] * 4 + [1] * 4 + [2] * 4 + [3] * 4


def test_features_that_are_given_twice_are_refused(features, tmp_path):
    folder, _ = features
    (tmp_path / 'link').symlink_to(folder)
    for again in (folder, folder.parent, tmp_path / 'link'):
        with pytest.raises(ValueError, match=rf'{again} holds features of another folder that'):
            read_features(folder, again)


def training(target, data, out, *, batch=4):
    """Return the options of a short training; without noise, which each process draws itself."""
    options = ['train-drafter', '--checkpoint', target, '--data', data, '--out', out, '--cpu']
    options += ['--iterations', 20, '--save-every', 10, '--batch', batch, '--noise', 0]
    options += ['--learning-rate', 0.05, '--threads', torch.get_num_threads()]
    return [str(option) for option in options]


@pytest.fixture(scope='module')
def drafter(target, features, tmp_path_factory):
    out = tmp_path_factory.mktemp('drafter')
    assert cli.main(training(target, features[0], out)) == 0
    return out


def test_features_become_a_drafter(target, drafter):
    policy = load_policy(target, device='cpu', drafter=drafter)
    observation = Observation(PICTURES[0], 'pick up the red block')
    alone = policy.infer(observation)
    drafted = policy.infer(observation, Decoding(mode='strict'))
    assert drafted.tokens.tolist() == alone.tokens.tolist()
    assert (drafter / 'curve.png').exists()
    assert (drafter / 'curve.json').exists()


def test_a_data_set_that_cannot_be_used_does_not_matter(target, features, tmp_path):
    """No action is un-normalised while a drafter is trained."""
    other = shutil.copytree(target, tmp_path / 'target')
    config = json.loads((other / 'config.json').read_text())
    config['norm_stats'] = {'a': {'action': {'mean': [0.0]}}, **config['norm_stats']}
    (other / 'config.json').write_text(json.dumps(config))
    options = training(other, features[0], tmp_path / 'drafter')
    assert cli.main([*options, '--iterations', '10']) == 0


def test_a_finished_training_is_not_repeated(target, features, drafter, capsys):
    before = load_file(drafter / 'model.safetensors')
    assert cli.main(training(target, features[0], drafter)) == 0
    assert 'loss' not in capsys.readouterr().out
    after = load_file(drafter / 'model.safetensors')
    assert all(torch.equal(before[name], after[name]) for name in before)
    points = read_points(drafter / 'training' / 'history.jsonl')
    assert [p.iteration for p in points] == [10, 20]
    assert len(points[0].exact) == 6
    assert all(1 < n <= 7 for n in points[0].accept_lengths.values())


@pytest.mark.parametrize(
    'change',
    [
        (['--window', '0'], 'window was 8, is 0'),
        (['--seed', '1'], 'seed was 0, is 1'),
        (['--learning-rate', '0.01'], 'learning_rate was 0.05, is 0.01'),
        (['--noise', '0.2'], 'noise was 0.0, is 0.2'),
        (['--iterations', '10'], 'iterations was 20, is 10'),
        (['--data', 'FEATURES', 'COPY'], 'prompts was 8, is 16'),
    ],
)
def test_other_options_do_not_go_on(target, features, drafter, capsys, change):
    options, said = change
    before = (drafter / 'model.safetensors').read_bytes()
    copy = shutil.copytree(features[0], drafter.parent / 'copy', dirs_exist_ok=True)
    folders = {'FEATURES': str(features[0]), 'COPY': str(copy)}
    options = [folders.get(word, word) for word in options]
    assert cli.main([*training(target, features[0], drafter), *options]) == 2
    assert said in capsys.readouterr().err
    assert (drafter / 'model.safetensors').read_bytes() == before


@pytest.fixture
def moved(target, features, drafter, tmp_path):
    """Return a target, features and a training of them, each to be changed."""
    target, data, out = (
        shutil.copytree(folder, tmp_path / name)
        for name, folder in (('target', target), ('features', features[0]), ('drafter', drafter))
    )
    note = out / 'training' / NOTE
    noted = json.loads(note.read_text())
    note.write_text(json.dumps({**noted, 'checkpoint': str(target), 'data': [str(data)]}))
    assert cli.main(training(target, data, out)) == 0
    return target, data, out


@pytest.mark.parametrize('changed', ['data', 'checkpoint'])
def test_a_drafter_of_what_has_changed_is_not_kept(moved, capsys, changed):
    target, data, out = moved
    file = next(data.rglob('features_*')) if changed == 'data' else target / 'model.safetensors'
    tensors = load_file(file)
    name = next(n for n in tensors if 'hidden' in n or 'norm' in n)
    save_tensors({**tensors, name: tensors[name] * 1.5}, file)
    assert cli.main(training(target, data, out)) == 2
    assert f'{changed}_contents was' in capsys.readouterr().err


def test_more_iterations_go_on(target, features, drafter, tmp_path, capsys):
    out = shutil.copytree(drafter, tmp_path / 'longer')
    longer = [*training(target, features[0], out), '--iterations', '30']
    assert cli.main(longer) == 0
    printed = capsys.readouterr().out
    assert '30/30' in printed
    assert '10/30' not in printed
    assert json.loads((out / 'training' / NOTE).read_text())['iterations'] == 30


@pytest.fixture
def copied(features, drafter, tmp_path):
    """A folder of features and a finished training, both to be damaged."""
    data = shutil.copytree(features[0], tmp_path / 'features')
    return data, shutil.copytree(drafter, tmp_path / 'drafter')


@pytest.mark.parametrize('name', ['state.pt', 'history.jsonl'])
def test_damaged_files_are_named_before_the_training(target, features, copied, capsys, name):
    _, out = copied
    file = out / 'training' / name
    file.write_bytes(file.read_bytes()[:300] + b'\n')
    assert cli.main([*training(target, features[0], out), '--iterations', '30']) == 2
    said = capsys.readouterr()
    assert f'{file} is ' in said.err
    assert 'remove it' in said.err
    assert '30/30' not in said.out


@pytest.mark.parametrize('keep', [0, 300])
def test_damaged_features_are_named(copied, keep):
    data, _ = copied
    file = next(data.rglob('features_*'))
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(ValueError, match=f'{file} is damaged .*: remove it'):
        read_features(data)


def test_a_new_training_has_a_new_history(target, features, drafter, tmp_path):
    (tmp_path / 'training').mkdir()
    history = tmp_path / 'training' / 'history.jsonl'
    history.write_text((drafter / 'training' / 'history.jsonl').read_text())
    assert cli.main(training(target, features[0], tmp_path)) == 0
    assert [p.iteration for p in read_points(history)] == [10, 20]


def test_features_of_another_target_are_refused(features, tmp_path, capsys):
    other = write_tiny(tmp_path / 'other', hidden=64)
    assert cli.main(training(other, features[0], tmp_path / 'out')) == 2
    assert 'hidden size 32' in capsys.readouterr().err


def test_features_of_another_target_of_the_same_size_are_refused(features, tmp_path, capsys):
    """A drafter was trained that would draft nonsense for it."""
    other = write_tiny(tmp_path / 'other', seed=1)
    assert cli.main(training(other, features[0], tmp_path / 'out')) == 2
    assert f'belong to another target than {other}, which embeds' in capsys.readouterr().err


def test_a_checkpoint_is_not_overwritten_by_its_drafter(target, features, tmp_path, capsys):
    """Its config.json and its weights were."""
    folder = shutil.copytree(target, tmp_path / 'target')
    before = {path: path.read_bytes() for path in sorted(folder.iterdir())}
    assert cli.main(training(folder, features[0], folder)) == 2
    error = capsys.readouterr().err
    assert f'{folder} holds another model' in error
    assert f'give {folder / "drafter"}, or another folder' in error
    assert {path: path.read_bytes() for path in sorted(folder.iterdir())} == before


def test_two_processes_train_as_one(target, features, drafter, tmp_path):
    # not `accelerate launch`: that imports timm, which fails beside a CPU build of torch
    launch = ['-m', 'accelerate.commands.launch', '--multi_gpu', '--num_processes', '2']
    launch += ['--main_process_port', '0', '-m', 'spec_vla_ros.cli']
    done = run_python(*launch, *training(target, features[0], tmp_path / 'two'))
    assert done.stdout.count('20/20') == 1  # one of them reports
    assert cli.main(training(target, features[0], tmp_path / 'half', batch=2)) == 0
    one, two, half = (
        load_file(folder / 'model.safetensors')
        for folder in (drafter, tmp_path / 'two', tmp_path / 'half')
    )
    for name in one:
        torch.testing.assert_close(one[name], two[name], rtol=1e-5, atol=1e-6)
    assert max((one[name] - half[name]).abs().max() for name in one) > 1e-3
