# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""From a recording of the simulated robot to a threshold, by the two commands."""

import argparse
import json

import numpy as np
import pytest
from recording_files import IMAGE, PICTURES, STRING, raw, record, said
from toy_checkpoint import write_tiny, write_tiny_drafter
from words import answer_in_words_once

from spec_vla_ros import cli, policy
from spec_vla_ros.commands import record_sim, tune
from spec_vla_ros.recordings.prompts import RecordingTopics, recorded_observations
from spec_vla_ros.sim.env import TabletopEnv

pytestmark = pytest.mark.slow


@pytest.fixture(scope='module')
def bags(tmp_path_factory):
    """Two episodes of the shipped policy."""
    out = tmp_path_factory.mktemp('bags')
    assert cli.main(['record-sim', '--episodes', '2', '--out', str(out)]) == 0
    return sorted(out.iterdir())


@pytest.fixture(scope='module')
def target(tmp_path_factory):
    """A random target of the right vocabulary, with a random drafter."""
    return write_tiny_drafter(write_tiny(tmp_path_factory.mktemp('target')))


def test_the_recording_is_what_the_robot_saw(bags):
    topics = RecordingTopics('/image', '/instruction')
    seen = list(recorded_observations(bags[0], topics, report=lambda text: None))
    env = TabletopEnv()
    try:
        instruction = env.reset(seed=9_050_000)
        np.testing.assert_array_equal(seen[0].image, env.render())
    finally:
        env.close()
    assert {o.instruction for o in seen} == {instruction}
    assert set(np.diff([o.stamp_ns for o in seen])) == {160_000_000}
    assert 5 < len(seen) < 60


@pytest.mark.slow
def test_tune_on_the_simulated_robot(bags, tmp_path, capsys):
    out = tmp_path / 'tune'
    options = ['--tolerance-bins', '9', '--tree', '8', '6', '49', '--out', str(out)]
    assert cli.main(['tune', str(bags[0]), *options]) == 0
    printed = capsys.readouterr().out
    report = json.loads((out / 'tune.json').read_text())
    ways = report['ways']
    for name in ('strict', 'strict + temporal'):
        assert ways[name]['identical_to_autoregressive'] == 1
        assert ways[name]['deviation']['worst_bins']['p95'] == 0
    assert ways['strict']['target_passes'] < ways['autoregressive']['target_passes'] == 7
    assert ways['relaxed r=25']['target_passes'] < ways['strict']['target_passes']
    assert ways['relaxed r=25']['deviation']['translation_m']['mean'] > 0
    chosen = report['recommended']
    assert ways[chosen['decoding']]['deviation']['worst_bins']['p95'] <= 9
    threshold = f'ros2 param set /spec_vla acceptance_threshold {chosen["r"]}'
    assert (threshold in printed) is (chosen['r'] > 0)
    assert 'open loop' in printed
    assert (out / 'tune.png').stat().st_size > 10_000
    assert '| relaxed r=9 + temporal |' in (out / 'tune.md').read_text()


def spoken_bag(folder, *, text='pick up the red block'):
    images = [(10**8 * (i + 2), '/image', IMAGE, raw(p)) for i, p in enumerate(PICTURES)]
    return record(folder, [(1, '/instruction', STRING, said(text)), *images])


@pytest.fixture
def packed(monkeypatch):
    """The language models whose weights are laid out."""
    models, pack = [], policy.PackedLlama

    def noted(model, **options):
        models.append(model)
        return pack(model, **options)

    monkeypatch.setattr(policy, 'PackedLlama', noted)
    return models


def test_any_checkpoint_with_a_drafter(target, tmp_path, packed):
    bag = spoken_bag(tmp_path / 'bag')
    options = ['--checkpoint', str(target), '--unnorm-key', 'tiny', '--out', str(tmp_path / 'out')]
    options += ['--acceptance-mm', '2']
    assert cli.main(['tune', str(bag), *options]) == 0
    report = json.loads((tmp_path / 'out' / 'tune.json').read_text())
    assert report['ways']['strict']['identical_to_autoregressive'] == 1
    assert report['ways']['strict']['actions'] == len(PICTURES)
    assert report['ways']['relaxed mm=2']['actions'] == len(PICTURES)
    assert '| relaxed mm=2 + temporal |' in (tmp_path / 'out' / 'tune.md').read_text()
    assert len(packed) == 1  # all ways run over the same weights


def test_an_answer_in_words_is_left_out_of_all_ways(target, tmp_path, monkeypatch, capsys):
    answer_in_words_once(monkeypatch)
    bag = spoken_bag(tmp_path / 'bag')
    options = ['--checkpoint', str(target), '--unnorm-key', 'tiny', '--out', str(tmp_path / 'out')]
    assert cli.main(['tune', str(bag), *options]) == 0
    report = json.loads((tmp_path / 'out' / 'tune.json').read_text())
    assert {way['actions'] for way in report['ways'].values()} == {len(PICTURES) - 1}
    assert report['left_out'] == 1
    assert '1 images are left out: some way answered them in words' in capsys.readouterr().out


def test_a_policy_that_was_never_taught_actions_is_refused(tmp_path, capsys):
    folder = write_tiny_drafter(write_tiny(tmp_path / 'words', answers='words'))
    bag = spoken_bag(tmp_path / 'bag')
    options = ['--checkpoint', str(folder), '--unnorm-key', 'tiny', '--out', str(tmp_path / 'out')]
    assert cli.main(['tune', str(bag), *options]) == 2
    assert 'the policy answered in words instead of an action' in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_is_told_before_the_replay(
    target, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(tune, 'replay', None)
    bag = spoken_bag(tmp_path / 'bag')
    (tmp_path / 'file').touch()
    options = ['--checkpoint', str(target), '--unnorm-key', 'tiny', '--out']
    assert cli.main(['tune', str(bag), *options, str(tmp_path / 'file')]) == 2
    assert 'give another --out' in capsys.readouterr().err


def test_the_result_is_printed_though_it_cannot_be_written(target, tmp_path, capsys):
    bag = spoken_bag(tmp_path / 'bag')
    out = tmp_path / 'out'
    (out / 'tune.json').mkdir(parents=True)
    options = ['--checkpoint', str(target), '--unnorm-key', 'tiny', '--out', str(out)]
    assert cli.main(['tune', str(bag), *options]) == 2
    said = capsys.readouterr()
    assert 'tune.json' in said.err
    assert '| strict + temporal |' in said.out


@pytest.mark.parametrize(
    ('options', 'reason'),
    [
        (['--image-topic', '/wrist'], 'has no topic /wrist; it has: /image'),
        (['--instruction-topic', '/words'], 'has no topic /words'),
        (['--instruction', 'go', '--instruction-topic', '/instruction'], 'one of the two'),
        (['--interval', '-1'], '--interval'),
        (['--interval', 'inf'], '--interval inf'),
        (['--tolerance-mm', '-1'], 'not negative'),
        (['--tolerance-mrad', 'nan'], 'not negative'),
        (['--tolerance-bins', 'inf'], '--tolerance-bins inf: give a finite number'),
        (['--acceptance-mm', '-1'], '--acceptance-mm -1.0: give a number from 0 to 50'),
        (['--acceptance-mrad', '570'], '--acceptance-mrad 570.0: give a number from 0 to 200'),
        (['--checkpoint', 'BARE'], 'has no folder'),
        (['--checkpoint', '/nowhere'], 'not a folder'),
        (['--unnorm-key', 'other'], "unknown unnorm_key 'other'"),
        (['--drafter', '/nowhere'], 'config.json is missing'),
        (['--instruction', 'fly to the moon'], 'does not know the words'),
    ],
)
def test_the_command_says_what_is_wrong(tmp_path, capsys, options, reason):
    bag = spoken_bag(tmp_path / 'bag')
    bare = write_tiny(tmp_path / 'bare')
    options = [str(bare) if word == 'BARE' else word for word in options]
    out = tmp_path / 'out'
    assert cli.main(['tune', str(bag), *options, '--out', str(out)]) == 2
    assert reason in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.parametrize(
    ('options', 'reason'),
    [
        (['--unnorm-key', 'other'], "unknown unnorm_key 'other'"),
        (['--checkpoint', 'bare'], 'has no folder'),
        (['--drafter', 'other/drafter'], 'hidden_size is 64, the target has '),
        (['--tree', '0', '6', '6'], 'each must be at least 1'),
        (['--out', 'file'], 'give another --out'),
    ],
)
def test_what_cannot_be_is_told_before_weights_are_read(tmp_path, monkeypatch, options, reason):
    """It took minutes of a 7B checkpoint."""
    monkeypatch.setattr(tune, 'load_openvla', None)
    monkeypatch.chdir(tmp_path)
    for name in ('target', 'other'):
        write_tiny_drafter(write_tiny(tmp_path / name))
    write_tiny(tmp_path / 'bare')
    file = tmp_path / 'other' / 'drafter' / 'config.json'
    file.write_text(json.dumps({**json.loads(file.read_text()), 'hidden_size': 64}))
    (tmp_path / 'file').touch()
    spoken_bag(tmp_path / 'bag')
    command = ['bag', '--checkpoint', 'target', '--unnorm-key', 'tiny', '--out', 'out', *options]
    parser = argparse.ArgumentParser()
    tune.add_arguments(parser)
    with pytest.raises(ValueError, match=reason):
        tune.run(parser.parse_args(command))


def test_a_published_fine_tune_needs_its_recipe_to_be_chosen(tmp_path, capsys):
    folder = write_tiny_drafter(write_tiny(tmp_path / 'tiny'))
    config = json.loads((folder / 'config.json').read_text())
    (stats,) = config['norm_stats'].values()
    config['norm_stats'] = {'libero_object_no_noops': stats}
    (folder / 'config.json').write_text(json.dumps(config))
    command = ['tune', str(spoken_bag(tmp_path / 'bag')), '--checkpoint', str(folder)]
    assert cli.main([*command, '--out', str(tmp_path / 'out')]) == 2
    assert 'give --recipe libero, or --recipe plain for none' in capsys.readouterr().err


def test_recordings_that_hold_too_little(tmp_path, capsys):
    silent = record(tmp_path / 'silent', [(1, '/image', IMAGE, raw(PICTURES[0]))])
    blind = record(tmp_path / 'blind', [(1, '/instruction', STRING, said('go'))])
    late = record(
        tmp_path / 'late',
        [(1, '/image', IMAGE, raw(PICTURES[0])), (2, '/instruction', STRING, said('go'))],
    )
    for bag, reason in (
        (silent, 'has no topic /instruction'),
        (blind, 'has no topic /image'),
        (late, 'none of the 1 images'),
        (tmp_path / 'nothing', 'no such recording'),
    ):
        assert cli.main(['tune', str(bag), '--out', str(tmp_path / 'out')]) == 2
        assert reason in capsys.readouterr().err


def test_tolerances_in_metres_need_an_arm(tmp_path, capsys):
    folder = write_tiny_drafter(write_tiny(tmp_path / 'target', dimensions=3))
    bag = spoken_bag(tmp_path / 'bag')
    options = ['--checkpoint', str(folder), '--out', str(tmp_path / 'out')]
    assert cli.main(['tune', str(bag), *options]) == 2
    assert 'give --tolerance-bins alone' in capsys.readouterr().err
    bins = ['--tolerance-bins', '3', '--acceptance-mm', '1']
    assert cli.main(['tune', str(bag), *options, *bins]) == 2
    assert 'no --acceptance-mm' in capsys.readouterr().err
    assert cli.main(['tune', str(bag), *options, '--tolerance-bins', '3']) == 0


def test_record_sim_refuses_what_is_there(bags, capsys):
    folder = bags[0].parent
    assert cli.main(['record-sim', '--episodes', '1', '--out', str(folder)]) == 2
    assert 'exists' in capsys.readouterr().err
    assert cli.main(['record-sim', '--episodes', '0', '--out', str(folder)]) == 2
    assert 'at least one' in capsys.readouterr().err


def test_record_sim_records_none_where_a_later_one_is_there(tmp_path, capsys):
    first = record_sim.FIRST_SEED
    (tmp_path / f'episode_{first + 1}').mkdir()
    assert cli.main(['record-sim', '--episodes', '3', '--out', str(tmp_path)]) == 2
    assert 'exists, as 1 of these 3 recordings do' in capsys.readouterr().err
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
    ('options', 'words'),
    [
        (['--image-size', '0'], '--image-size 0: give 32 to 480 pixels'),
        (['--image-size', '20000'], '--image-size 20000: give 32 to 480 pixels'),
        (['--out', 'FILE'], 'nothing can be written into the folder'),
    ],
)
def test_record_sim_says_what_it_cannot_do(tmp_path, capsys, options, words):
    (tmp_path / 'file').touch()
    options = [str(tmp_path / 'file') if word == 'FILE' else word for word in options]
    assert cli.main(['record-sim', '--episodes', '1', '--out', str(tmp_path), *options]) == 2
    assert words in capsys.readouterr().err
