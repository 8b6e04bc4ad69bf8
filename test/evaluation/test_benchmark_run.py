# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""`spec-vla evaluate --benchmark`: what ran once is not run again, and the table is the same."""

import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from PIL import Image
from toy_suite import SUITE, TASKS, ToyEnv, write_suite_policy

from spec_vla_ros import cli
from spec_vla_ros.evaluation import benchmark_run, suite_worker
from spec_vla_ros.evaluation.benchmark_options import suite_key
from spec_vla_ros.models.checkpoint import load_openvla
from spec_vla_ros.models.drafter import Drafter
from spec_vla_ros.models.drafter_files import save_drafter

pytestmark = pytest.mark.slow

MODES = ('autoregressive', 'strict', 'relaxed r=9 + temporal')
IN_TIME = re.compile(r'.*(_ms|speedup.*|date)$')


@pytest.fixture(scope='module')
def policy(tmp_path_factory):
    return write_suite_policy(tmp_path_factory.mktemp('suite') / 'policy')


@pytest.fixture
def toy(monkeypatch):
    """The toy suite in LIBERO's place."""
    monkeypatch.setattr(benchmark_run, 'read_tasks', lambda suite: TASKS)
    monkeypatch.setattr(suite_worker, 'LiberoEnv', ToyEnv)
    monkeypatch.setattr(ToyEnv, 'made', [])
    monkeypatch.setattr(ToyEnv, 'begun', [])
    return ToyEnv


def evaluate(policy, out, *options, modes=MODES):
    arguments = ['--checkpoint', str(policy), '--out', str(out), '--device', 'cpu', *options]
    return cli.main(['evaluate', '--benchmark', SUITE, *arguments, '--modes', *modes])


def report(out):
    return json.loads((out / f'{SUITE}.json').read_text())


def without_times(value):
    """What must be the same whenever and wherever it ran."""
    if not isinstance(value, dict):
        return value
    return {
        name: without_times(inner)
        for name, inner in value.items()
        if not IN_TIME.match(name) and not name.startswith(('median_ms', 'phases'))
    }


def test_every_way_is_run_and_reported(toy, policy, tmp_path, capsys):
    assert evaluate(policy, tmp_path, '--episodes', '2', '--compare-every', '2') == 0
    assert len(toy.begun) == 2 * 2 * len(MODES)
    assert [env.image_rotation for env in toy.made] == [180]  # the recipe turns no picture
    assert not toy.made[0].open
    found = report(tmp_path)
    assert list(found['modes']) == [*MODES]
    for name, row in found['modes'].items():
        assert (row['episodes'], row['successes']) == (4, 2)
        assert row['mean_steps_to_success'] == 5
        assert row['failed'] == [1, 1]  # initial states
        assert row['actions'] == 2 * (5 + 8)
        assert row['compared_actions'] == 2 * (3 + 4)
        assert row['generate_identical'] == 1.0
        assert row['speedup_over_generate'] > 0
        assert found['by_task'][name]['1']['successes'] == 1
    strict = found['modes']['strict']
    assert strict['exactness'] == {'actions': 14, 'differing': 0, 'largest_bins': 0}
    assert strict['identical_to_autoregressive'] == 1.0
    assert found['modes']['relaxed r=9 + temporal']['target_passes'] < strict['target_passes']
    said = capsys.readouterr().out
    assert '12 of 12 episodes, 0 min left: task 1, state 1' in said
    assert '| strict | 2/4 | 50.0 | 15.0% - 85.0% | 5.0 |' in said
    assert '| *Spec-VLA, relaxed* | - | 85.0 |' in said
    assert '| 1 pick up the cream cheese and place it in the basket | 1/2, 5 steps |' in said
    assert (tmp_path / f'{SUITE}.md').read_text() in said
    assert (tmp_path / f'{SUITE}.png').stat().st_size > 10_000
    for outcome in ('success', 'failure'):
        with Image.open(tmp_path / f'{SUITE}_{outcome}.webp') as film:
            assert film.n_frames >= 3


def test_it_goes_on_where_it_was_with_the_same_results(toy, policy, tmp_path, capsys):
    """Each episode of the second half is run by a policy that has not seen the first."""
    assert evaluate(policy, tmp_path / 'twice', '--episodes', '1') == 0
    assert evaluate(policy, tmp_path / 'twice', '--episodes', '2') == 0
    assert len(toy.begun) == 4 * len(MODES)
    assert '6 of 12 episodes have run before' in capsys.readouterr().out
    assert evaluate(policy, tmp_path / 'once', '--episodes', '2') == 0
    once, twice = (without_times(report(tmp_path / name)) for name in ('once', 'twice'))
    assert once == twice
    assert once['modes']['relaxed r=9 + temporal']['deviation_bins'] != [0.0] * 7
    toy.begun.clear()
    assert evaluate(policy, tmp_path / 'once', '--episodes', '2') == 0
    assert not toy.begun


def test_other_weights_and_options_are_other_episodes(toy, policy, tmp_path):
    modes, begun = ('strict',), toy.begun
    film = tmp_path / f'{SUITE}_success.webp'
    for options in ([], ['--steps', '3'], ['--tree', '2', '3', '6'], ['--set', 'image_crop=0.9']):
        film.write_bytes(b'of a policy before')
        assert evaluate(policy, tmp_path, '--episodes', '1', *options, modes=modes) == 0
        assert len(begun) == 2
        begun.clear()
        assert not film.exists() or film.read_bytes().startswith(b'RIFF')
    torch.manual_seed(1)
    other = Drafter(load_openvla(policy, device='cpu').model.language_model.config)
    save_drafter(other, tmp_path / 'drafter')
    for _ in range(2):
        drafter = ['--drafter', str(tmp_path / 'drafter')]
        assert evaluate(policy, tmp_path, '--episodes', '1', *drafter, modes=modes) == 0
    assert len(begun) == 2
    begun.clear()
    assert evaluate(policy, tmp_path, '--episodes', '1', modes=modes) == 0
    assert not begun


def test_a_film_is_whole_or_not_there(toy, policy, tmp_path, monkeypatch):
    """Half of one was kept, and never made again."""
    write_bytes = Path.write_bytes

    def half(path, data):
        write_bytes(path, data[: len(data) // 2])
        raise OSError(errno.ENOSPC, 'No space left on device')

    options = ['--episodes', '1', '--without-generate']
    with monkeypatch.context() as full:
        full.setattr(Path, 'write_bytes', half)
        assert evaluate(policy, tmp_path, *options, modes=('strict',)) == 2
    assert not [*tmp_path.glob('*.webp'), *tmp_path.glob('*.partial')]
    assert evaluate(policy, tmp_path, *options, modes=('strict',)) == 0
    assert [*tmp_path.glob('*.webp')]


def test_another_release_of_transformers_makes_other_episodes(toy, policy, tmp_path, monkeypatch):
    """Its generate is compared with."""
    options = ['--episodes', '1', '--steps', '1']
    for more in ([], ['--without-generate']):
        assert evaluate(policy, tmp_path, *options, *more, modes=('strict',)) == 0
    toy.begun.clear()
    monkeypatch.setattr(benchmark_run, 'version', lambda package: f'another {package}')
    assert evaluate(policy, tmp_path, *options, '--without-generate', modes=('strict',)) == 0
    assert not toy.begun
    assert evaluate(policy, tmp_path, *options, modes=('strict',)) == 0
    assert len(toy.begun) == 2


def test_workers_elsewhere_find_checkpoint_and_drafter(toy, policy, tmp_path, monkeypatch):
    """Ray starts them in other folders."""
    shutil.copytree(policy, tmp_path / 'policy')
    setups = []

    def run_jobs(worker, setup, *args, **options):
        setups.append(setup)
        raise ValueError('enough')

    monkeypatch.setattr(benchmark_run, 'run_jobs', run_jobs)
    monkeypatch.chdir(tmp_path)
    for options in ([], ['--drafter', 'policy/drafter']):
        assert evaluate('policy', tmp_path, *options) == 2
    assert len(setups) == 2
    for setup in setups:
        assert setup.checkpoint == tmp_path / 'policy'
        assert setup.drafter == tmp_path / 'policy' / 'drafter'


def test_a_recipe_that_turns_pictures_gets_them_as_they_are(toy, policy, tmp_path):
    options = ['--episodes', '1', '--steps', '1', '--set', 'image_rotation=180']
    assert evaluate(policy, tmp_path, *options, '--without-generate', modes=('strict',)) == 0
    assert [env.image_rotation for env in toy.made] == [0]
    assert report(tmp_path)['modes']['strict']['speedup_over_generate'] is None


def test_norm_stats_are_those_of_the_suite():
    assert suite_key('libero_10', ['bridge', 'libero_10']) == 'libero_10'
    assert suite_key('libero_10', ['bridge', 'libero_10_no_noops']) == 'libero_10_no_noops'
    assert suite_key('libero_10', ['libero_goal']) is None


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (['--tasks', '2'], 'they are numbered 0 .. 1'),
        (['--episodes', '51'], 'a task has 50 official initial states'),
        (['--compare-every', '0'], '--compare-every 0: give at least one'),
        (['--first-seed', '9000000'], '--first-seed: only for the tabletop'),
        (['--ray', 'auto', '--device', 'cuda:1'], "on Ray say 'cuda'"),
        (['--gpus-per-process', '0.5'], 'give --processes 2 or more, or --ray'),
        (['--unnorm-key', 'none'], "unknown unnorm_key 'none'"),
    ],
)
def test_options_out_of_range_are_refused(toy, policy, capsys, options, message):
    assert evaluate(policy, policy.parent, *options) == 2
    assert message in capsys.readouterr().err
    assert not toy.begun


def test_a_published_fine_tune_needs_a_recipe_to_be_chosen(toy, policy, tmp_path, capsys):
    """With its pictures and actions as they are it would do nonsense for hours."""
    shutil.copytree(policy, tmp_path / 'policy')
    config = json.loads((tmp_path / 'policy' / 'config.json').read_text())
    (stats,) = config['norm_stats'].values()
    config['norm_stats'] = {f'{SUITE}_no_noops': stats}
    (tmp_path / 'policy' / 'config.json').write_text(json.dumps(config))
    options = ['--episodes', '1', '--steps', '1', '--without-generate']
    assert evaluate(tmp_path / 'policy', tmp_path, *options, modes=('strict',)) == 2
    assert 'give --recipe libero, or --recipe plain for none' in capsys.readouterr().err
    assert not toy.begun
    for recipe in ('libero', 'plain'):
        chosen = [*options, '--recipe', recipe]
        assert evaluate(tmp_path / 'policy', tmp_path, *chosen, modes=('strict',)) == 0
        assert report(tmp_path)['settings']['recipe']['name'] == recipe


def test_what_is_for_the_benchmark_says_nothing_about_the_tabletop(capsys):
    assert cli.main(['evaluate', '--steps', '5', '--tasks', '1']) == 2
    assert '--tasks, --steps: only for --benchmark' in capsys.readouterr().err


def test_a_policy_must_be_named_where_none_is_shipped(toy, capsys):
    assert cli.main(['evaluate', '--benchmark', 'libero_goal']) == 2
    assert 'name the folder of a checkpoint' in capsys.readouterr().err


@pytest.mark.libero
@pytest.mark.skipif(find_spec('libero') is None, reason='no LIBERO: make libero')
def test_killed_and_started_again_it_ends_with_the_table_of_others(policy, tmp_path, monkeypatch):
    """In LIBERO itself: one process that is killed, beside two on Ray that are not."""
    monkeypatch.setenv('HOME', str(tmp_path))  # Ray writes there
    options = ['--tasks', '0', '1', '--episodes', '1', '--steps', '3']
    arguments = ['--checkpoint', str(policy), *options, '--modes', *MODES[1:]]
    command = [sys.executable, '-m', 'spec_vla_ros.cli', 'evaluate', '--benchmark', SUITE]
    killed = [*command, *arguments, '--out', str(tmp_path / 'killed')]
    with subprocess.Popen(killed, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            if line.startswith('2 of 4 episodes'):
                os.kill(process.pid, signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert not (tmp_path / 'killed' / f'{SUITE}.json').exists()
    again = subprocess.run(killed, check=True, capture_output=True, text=True)
    assert '2 of 4 episodes have run before' in again.stdout
    on_ray = [*command, *arguments, '--processes', '2', '--out', str(tmp_path / 'ray')]
    subprocess.run(on_ray, check=True)
    first, second = (without_times(report(tmp_path / name)) for name in ('killed', 'ray'))
    assert first == second
    assert first['modes']['strict']['actions'] == 6
    assert first['tasks'] == {'0': TASKS[0].instruction, '1': TASKS[1].instruction}
