# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The command line of a node: what is for ROS, and lists of numbers made one kind."""

import tempfile
from contextlib import ExitStack
from pathlib import Path

import pytest

from spec_vla_ros.ros.startup.ros_arguments import (
    PARAMETER,
    REMAP,
    given,
    outside_ros_args,
    with_whole_numbers,
)


def test_what_follows_a_flag_is_no_flag():
    words = [
        'program',
        '-p',
        'a:=1',
        '--ros-args',
        '-p',
        '-r',
        '--remap',
        'b:=c',
        '--',
        '-p',
        'd:=2',
    ]
    assert list(given(words, PARAMETER)) == [('-p', '-r')]
    assert list(given(words, REMAP)) == [('--remap', 'b:=c')]
    assert outside_ros_args(words) == ['program', '-p', 'a:=1', '-p', 'd:=2']


def test_a_list_of_both_kinds_of_numbers_becomes_one_of_doubles(write):
    text = (
        '/**:\n  ros__parameters:\n    max_velocity: [0.6, 1, -2]  # 3 numbers\n'
        '    names: [a, 1]\n    whole: [1, 2]\n    off: [yes, 1.5]\n    "1": 2\n'
    )
    path = write(text)
    arguments = ['program', '--ros-args', '--params-file', path, '-p', 'x:=[0.5, 1]', '-p', 'y:=1']
    with ExitStack() as copies:
        *_, copy, _, value, _, whole = with_whole_numbers(arguments, copies=copies)
        assert Path(copy).read_text() == text.replace('[0.6, 1, -2]', '[0.6, 1.0, -2.0]')
    assert (value, whole) == ('x:=[0.5, 1.0]', 'y:=1')
    assert not Path(copy).exists()


@pytest.mark.parametrize('text', ['a: [1.5, 1', '\x00', '', '[1, 1.5]: 2'])
def test_other_files_are_left_as_they_are_and_nothing_is_written(write, text, monkeypatch):
    monkeypatch.setattr(tempfile, 'tempdir', '/nowhere')  # as in a container that is read only
    arguments = ['program', '--ros-args', '--params-file', write(text)]
    with ExitStack() as copies:
        assert with_whole_numbers(arguments, copies=copies) == arguments
