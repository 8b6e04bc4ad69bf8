# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Options that cannot be used end a command before its work."""

import argparse
from pathlib import Path

import pytest

from spec_vla_ros import cli
from spec_vla_ros.command_line import at_least, check_writable, user_path

AT_LEAST_ONE = [
    *((command, '--threads') for command in ('tune', 'compare', 'train-policy', 'train-drafter')),
    *((command, '--processes') for command in ('evaluate', 'train-policy')),
    *(('train-drafter', option) for option in ('--batch', '--save-every', '--rollout')),
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
