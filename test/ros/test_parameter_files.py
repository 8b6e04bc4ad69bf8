# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Parameter files and arguments: what they give to whom, and what of it is in no force."""

import pytest
import yaml

from spec_vla_ros.ros.parameter_files import (
    checked_file,
    of_no_name,
    of_other_nodes,
    read_sections,
    sections_of,
    with_whole_numbers,
)
from spec_vla_ros.settings.nodes import PolicySettings

NAMES = ('dry_run', 'max_step_translation', 'max_velocity', 'device', 'use_sim_time')


@pytest.fixture
def write(tmp_path):
    def write(text):
        path = tmp_path / 'parameters.yaml'
        path.write_text(text)
        return str(path)

    return write


def section(key, **parameters):
    return {key: {'ros__parameters': parameters}}


def told(write, *sections, node='/spec_vla'):
    text = yaml.dump({key: value for each in sections for key, value in each.items()})
    arguments = ['program', '--ros-args', '--params-file', write(text)]
    return of_other_nodes(sections_of(arguments), node=node, names=NAMES)


@pytest.mark.parametrize(
    ('key', 'node'),
    [
        ('/**', '/lab/spec_vla'),
        ('/**', '/spec_vla'),
        ('spec_vla', '/spec_vla'),
        ('/*', '/spec_vla'),
        ('/**/spec_vla', '/spec_vla'),
        ('/**/spec_vla', '/lab/spec_vla'),
        ('/*/spec_vla', '/lab/spec_vla'),
        ('lab/spec_vla', '/lab/spec_vla'),
        ('/lab/**', '/lab/spec_vla'),
    ],
)
def test_what_is_given_to_the_node_is_in_force(write, key, node):
    assert told(write, section(key, dry_run=True), node=node) == []


@pytest.mark.parametrize(
    ('key', 'node'),
    [
        ('/spec_vla_node', '/spec_vla'),
        ('spec_vla', '/lab/spec_vla'),
        ('/spec_vla', '/lab/spec_vla'),
        ('/*', '/lab/spec_vla'),
        ('/*/spec_vla', '/spec_vla'),
    ],
)
def test_what_is_given_to_another_node_is_told(write, key, node):
    (problem,) = told(write, section(key, dry_run=True), node=node)
    assert 'parameters.yaml: dry_run is in no force' in problem
    assert repr('/' + key.strip('/')) in problem
    assert f'this node is {node!r}' in problem


def test_sections_may_be_nested(write):
    path = write('lab:\n  spec_vla:\n    ros__parameters:\n      a: {b: 1, c: [2]}\n')
    assert read_sections(path) == {'/lab/spec_vla': {'a.b': 1, 'a.c': [2]}}


def test_a_file_of_many_nodes_is_no_mistake(write):
    camera, arm = section('/camera', device='/dev/video0'), section('/spec_vla', dry_run=True)
    assert told(write, camera, arm) == []
    everybody = section('/**', use_sim_time=True)
    assert told(write, everybody, section('/camera', device='x', fps=30)) == []


def test_beside_what_is_given_to_everybody_a_wrong_name_is_told(write):
    (problem,) = told(write, section('/**', device='cpu'), section('/vla', dry_run=True))
    assert "given to '/vla'" in problem


def test_arguments_for_other_nodes_are_told():
    arguments = ['program', '-p', 'a:b:=1', '--ros-args', '-p', 'vla:dry_run:=true', '-p', 'x:=1']
    (problem,) = of_other_nodes(sections_of(arguments), node='/spec_vla', names=NAMES)
    assert problem.startswith('-p vla:dry_run:=true: dry_run is in no force')


@pytest.mark.parametrize(
    ('name', 'nearest'),
    [
        ('dryrun', 'did you mean dry_run?'),
        ('dryRun', 'did you mean dry_run?'),
        ('max_step_translaton', 'did you mean max_step_translation?'),
        ('temperature', 'no such parameter'),
    ],
)
def test_a_name_that_is_not_valid_is_told_with_the_nearest(name, nearest):
    (problem,) = of_no_name([name, 'device'], names=NAMES)
    assert problem.startswith(f'{name} is in no force')
    assert problem.endswith(nearest)


def test_a_list_of_both_kinds_of_numbers_becomes_one_of_doubles(write, tmp_path):
    text = (
        '/**:\n  ros__parameters:\n    max_velocity: [0.6, 1, -2]  # 3 numbers\n'
        '    names: [a, 1]\n    whole: [1, 2]\n    off: [yes, 1.5]\n    "1": 2\n'
    )
    path = write(text)
    arguments = ['program', '--ros-args', '--params-file', path, '-p', 'x:=[0.5, 1]', '-p', 'y:=1']
    *_, copy, _, value, _, whole = with_whole_numbers(arguments, folder=str(tmp_path))
    with open(copy) as file:
        assert file.read() == text.replace('[0.6, 1, -2]', '[0.6, 1.0, -2.0]')
    assert (value, whole) == ('x:=[0.5, 1.0]', 'y:=1')


@pytest.mark.parametrize('text', ['a: [1.5, 1', '\x00', '', '[1, 1.5]: 2'])
def test_other_files_are_left_to_ros(write, tmp_path, text):
    arguments = ['program', '--ros-args', '--params-file', write(text)]
    assert with_whole_numbers(arguments, folder=str(tmp_path)) == arguments
    assert of_other_nodes(sections_of(arguments), node='/spec_vla', names=NAMES) == []


def check(path, namespace=''):
    return checked_file(path, node='spec_vla', namespace=namespace, settings=PolicySettings)


def test_a_file_that_is_not_there(tmp_path, monkeypatch):
    monkeypatch.setenv('HOME', str(tmp_path))
    with pytest.raises(RuntimeError, match='there is no parameter file'):
        check('~/mine.yaml')
    (tmp_path / 'mine.yaml').touch()
    assert check('~/mine.yaml') == str(tmp_path / 'mine.yaml')


@pytest.mark.parametrize(
    ('content', 'namespace', 'words'),
    [
        (section('/**', dryrun=True), '', 'dryrun is in no force.*did you mean dry_run'),
        (section('/spec_vla_node', dry_run=True), '', "given to '/spec_vla_node'.*is '/spec_vla'"),
        (section('spec_vla', dry_run=True), 'lab', "given to '/spec_vla'.*is '/lab/spec_vla'"),
    ],
)
def test_what_is_in_no_force_is_refused_unless_the_file_accepts_it(
    write, content, namespace, words
):
    path = write(yaml.dump(content))
    with pytest.raises(RuntimeError, match=words):
        check(path, namespace)
    accepted = section(f'/{namespace}/spec_vla'.replace('//', '/'), accept_unknown_parameters=True)
    assert check(write(yaml.dump({**content, **accepted})), namespace) == path


@pytest.mark.parametrize(
    ('content', 'namespace'),
    [
        (section('/**', dry_run=True, use_sim_time=True), '/lab/'),
        ({**section('spec_vla', dry_run=True), **section('camera', rate=30.0)}, ''),
        (section('/**/spec_vla', dry_run=True), 'lab'),
        ({}, ''),
    ],
)
def test_what_is_in_force_is_taken(write, content, namespace):
    path = write(yaml.dump(content))
    assert check(path, namespace) == path
