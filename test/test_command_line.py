# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Options that cannot be used end a command before its work."""

import argparse
from pathlib import Path

import pytest

from spec_vla_ros import cli
from spec_vla_ros.command_line import at_least, check_writable, number, user_path

AT_LEAST_ONE = [
    *((command, '--threads') for command in ('tune', 'compare', 'train-policy', 'train-drafter')),
    *((command, '--processes') for command in ('evaluate', 'train-policy')),
    *(('train-drafter', option) for option in ('--batch', '--save-every', '--rollout')),
    *(('bench', option) for option in ('--threads', '--frames', '--actions', '--repeats')),
]


def test_whole_numbers():
    parser = argparse.ArgumentParser()
    parser.add_argument('--threads', type=at_least(1))
    assert parser.parse_args(['--threads', '3']).threads == 3


def test_home_folders_are_found(monkeypatch, capsys):
    monkeypatch.setenv('HOME', '/home/me')
    parser = argparse.ArgumentParser()
    parser.add_argument('--out', type=user_path)
    assert parser.parse_args(['--out=~/results']).out == Path('/home/me/results')
    assert parser.parse_args(['--out=results']).out == Path('results')
    with pytest.raises(SystemExit):
        parser.parse_args(['--out=~nobody_by_this_name/results'])
    assert 'begins with no home folder' in capsys.readouterr().err
    with pytest.raises(SystemExit):
        parser.parse_args(['--out', ''])
    assert 'the path is empty' in capsys.readouterr().err


@pytest.mark.parametrize(
    ('command', 'option', 'value', 'reason'),
    [
        *((command, option, '0', '0: at least 1') for command, option in AT_LEAST_ONE),
        ('tune', '--threads', 'two', "'two' is no whole number"),
        ('train-policy', '--suite', 'libero_objects', 'invalid choice'),
        ('train-drafter', '--iterations', '-5', '-5: at least 1'),
        ('train-drafter', '--window', '-1', '-1: at least 0'),
    ],
)
def test_too_few_of_something(capsys, command, option, value, reason):
    with pytest.raises(SystemExit) as ended:
        cli.main([command, option, value])
    assert ended.value.code == 2
    assert f'argument {option}: {reason}' in capsys.readouterr().err


def test_looking_whether_a_folder_can_be_written_leaves_nothing(tmp_path):
    check_writable(tmp_path / 'a' / 'b')
    check_writable(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize('place', ['/proc/nowhere/out', 'FILE'])
def test_where_nothing_can_be_written(tmp_path, place):
    file = tmp_path / 'FILE'
    file.touch()
    with pytest.raises(ValueError, match=f'{place} .*: give another --out'):
        check_writable(tmp_path / place)


@pytest.mark.parametrize('text', ['nan', 'inf', '-1', 'many'])
def test_what_is_no_size_is_refused(capsys, text):
    parser = argparse.ArgumentParser()
    parser.add_argument('--noise', type=number(least=0))
    parser.add_argument('--rate', type=number(above=0))
    assert parser.parse_args(['--noise', '0', '--rate', '1e-3']).rate == 0.001
    for option, wrong in (('--noise', text), ('--rate', text), ('--rate', '0')):
        with pytest.raises(SystemExit):
            parser.parse_args([f'{option}={wrong}'])
        error = capsys.readouterr().err
        assert f'argument {option}: ' in error
        assert wrong in error


@pytest.mark.parametrize('option', ['--learning-rate', '--noise', '--score-weight'])
def test_a_training_is_not_begun_with_what_is_no_number(tmp_path, capsys, option):
    command = ['train-drafter', '--data', str(tmp_path), '--out', str(tmp_path / 'out')]
    with pytest.raises(SystemExit):
        cli.main([*command, option, 'nan'])
    assert f'argument {option}: nan: give a number' in capsys.readouterr().err
