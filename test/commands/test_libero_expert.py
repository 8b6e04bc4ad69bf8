# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""`spec-vla libero-expert` runs what has not run yet, and counts it."""

import pytest

from spec_vla_ros import cli
from spec_vla_ros.commands import libero_expert
from spec_vla_ros.sim.libero.suites import Task

TASKS = tuple(Task('libero_object', n, f'task_{n}', f'do {n}') for n in range(10))


class AtOnce:
    """An executor without processes."""

    def __init__(self, *_, **__):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def submit(self, function, key):
        result = function(key)
        return type('Done', (), {'result': lambda self: result})()


@pytest.fixture
def ran(monkeypatch):
    """Episodes that were run, by key; each odd one fails."""
    ran = []

    def run(key):
        ran.append(key)
        row = dict(zip(libero_expert.KEY, key, strict=True))
        figures = {'steps': 100, 'saturated': 0.0, 'jerk': 2.0, 'failed_grasps': 0}
        return {**row, 'success': key[3] % 2 == 0, **figures}

    monkeypatch.setattr(libero_expert, 'read_tasks', lambda suite: TASKS)
    monkeypatch.setattr(libero_expert, '_run', run)
    monkeypatch.setattr(libero_expert, 'worker_processes', AtOnce)
    monkeypatch.setattr(libero_expert, 'as_completed', lambda futures: futures)
    return ran


def run(tmp_path, *options):
    return cli.main(['libero-expert', '--out', str(tmp_path), *options])


def test_it_goes_on_where_it_was(ran, tmp_path, capsys):
    assert run(tmp_path, '--tasks', '0', '3', '--episodes', '2') == 0
    assert len(ran) == 4
    assert run(tmp_path, '--tasks', '0', '3', '--episodes', '4') == 0
    assert len(ran) == len(set(ran)) == 8
    said = capsys.readouterr().out
    assert '4 of 8 episodes have run before' in said
    assert '| 3 do 3 | 2/4 |' in said
    assert '| all | 4/8 |' in said


def test_a_task_that_is_named_twice_counts_once(ran, tmp_path, capsys):
    assert run(tmp_path, '--tasks', '3', '3', '--episodes', '2') == 0
    assert len(ran) == 2
    assert '| all | 1/2 |' in capsys.readouterr().out


def test_official_states_and_noise_are_other_episodes(ran, tmp_path):
    assert run(tmp_path, '--tasks', '0', '--episodes', '1') == 0
    assert run(tmp_path, '--tasks', '0', '--episodes', '1', '--official') == 0
    assert run(tmp_path, '--tasks', '0', '--episodes', '1', '--noise', '0.1') == 0
    suite, first = 'libero_object', libero_expert.FIRST_SEED
    assert ran == [
        (suite, 0, 'seed', first, 0.0),
        (suite, 0, 'official', 0, 0.0),
        (suite, 0, 'seed', first, 0.1),
    ]


@pytest.mark.parametrize(
    ('options', 'said'),
    [
        (['--tasks', '10'], 'they are numbered 0 .. 9'),
        (['--episodes', '0'], 'give at least one'),
        (['--episodes', '51', '--official'], '--episodes 51: a task has 50 official initial'),
        (['--noise', '2'], 'is not in 0 .. 1'),
    ],
)
def test_options_out_of_range_are_refused(ran, tmp_path, capsys, options, said):
    assert run(tmp_path, *options) == 2
    assert said in capsys.readouterr().err
    assert not ran


def test_a_missing_libero_is_said(monkeypatch, tmp_path, capsys):
    from spec_vla_ros.sim.libero import installed

    monkeypatch.setattr(installed, 'find_spec', lambda name: None)
    assert run(tmp_path) == 2
    assert 'make libero' in capsys.readouterr().err
