# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Parameter files and arguments: what they give to whom, and what of it is in no force."""

import dataclasses

import pytest
import yaml

from spec_vla_ros.ros.startup.parameter_files import (
    checked_file,
    malformed_parameters,
    of_no_name,
    of_other_nodes,
    read_sections,
    refuse_contradictions,
    refuse_overruled,
    sections_of,
)
from spec_vla_ros.settings.nodes import PolicySettings

PARAMETERS_OF_POLICY = [field.name for field in dataclasses.fields(PolicySettings)]
NAMES = ('dry_run', 'max_step_translation', 'max_velocity', 'device', 'use_sim_time')


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
    assert told(write, everybody, section('/camera', use_sim_time=False)) == []


@pytest.mark.parametrize(
    ('name', 'others'),
    [
        ('spec_vla', ('/left/spec_vla', '/spec_vla_2', '/camera', '/left_policy')),
        ('arm_1', ('/arm_2',)),
        ('arm_a', ('/arm_b',)),
        ('left_policy', ('/right_policy',)),
    ],
)
def test_another_arm_is_no_misspelt_one(write, name, others):
    sections = [section(key, dry_run=True) for key in (f'/{name}', *others)]
    assert told(write, *sections, node=f'/{name}') == []


@pytest.mark.parametrize(
    ('everybody', 'wrong'),
    [
        (section('spec_vla', device='cpu'), section('specvla', dry_run=True)),
        (section('spec_vla', device='cpu'), section('lab/spec_vlaa', dryrun=True)),
        (section('spec_vla', device='cpu'), section('policy_node', dry_run=True, other=1)),
        (section('/**', use_sim_time=False), section('policy_node', dry_run=True, a=1, b=2)),
        (
            section('/**', use_sim_time=False),
            section('vla', dryrun=True, max_step_translation=0.01, foreign=1),
        ),
    ],
)
def test_one_foreign_name_does_not_hide_what_is_meant_for_this_node(write, everybody, wrong):
    ((key, parameters),) = wrong.items()
    problems = told(write, everybody, wrong)
    assert len(problems) == len(parameters['ros__parameters'])
    assert all(f"given to '/{key}'" in problem for problem in problems)


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


@pytest.mark.parametrize(
    ('name', 'way_on'),
    [
        ('image_topic', 'it is an argument of the launch file: write image_topic:= there, or'),
        ('camera_topic', 'write image_topic:= there, or remap image where the node is started'),
        ('estop_topic', 'write emergency_stop_topic:= there, or remap emergency_stop where'),
        ('autostart', 'it is an argument of the launch file: write autostart:= there'),
        ('model', 'did you mean checkpoint?'),
        ('frame_id', 'did you mean command_frame?'),
        ('rate', 'did you mean control_rate?'),
    ],
)
def test_what_other_nodes_have_as_a_parameter_is_told_with_what_sets_it(name, way_on):
    """Not with the nearest name: image_topic is no image_crop."""
    (problem,) = of_no_name([name], names=[*PARAMETERS_OF_POLICY, 'use_sim_time'])
    assert way_on in problem
    (problem,) = of_no_name([name], names=NAMES)  # of another node
    assert 'launch file' not in problem


@pytest.mark.parametrize('text', ['', '# /**:\n', '{}', '/**: {ros__parameters: {}}'])
def test_a_file_without_parameters_is_told(write, text):
    sources = sections_of(['program', '--ros-args', '--params-file', write(text)])
    (problem,) = of_other_nodes(sources, node='/spec_vla', names=NAMES)
    assert 'parameters.yaml is in no force: it gives no node any parameter; they stand' in problem


@pytest.mark.parametrize(
    ('text', 'words'),
    [
        (
            '/**: {ros__parameters: {a: 1}}\n---\n/**: {ros__parameters: {a: 1}}',
            'but found another',
        ),
        ('/**: {ros__parameters: {a: !tag 1}}', "constructor for the tag '!tag'"),
        ('/**: {ros__parameters: {a: !!timestamp 2024-13-45}}', 'month must be in 1..12'),
        ('a: [1.5, 1', "expected ',' or ']'"),
        ('\x00', 'special characters are not allowed'),
        ('/**: {ros__parameters: {a: 1, b: 2, a: 3}}', 'a is given twice, as 1 and as 3'),
        ('/v: {ros__parameters: {a: 1}}\nv: {ros__parameters: {a: 2}}', 'a is given twice'),
        ('v: {a: 1}\n/**: {ros__parameters: {b: 1}}', 'a does not stand below ros__parameters; '),
        ('/**: {ros__parameters: {b: 1}, a: [1]}', 'a does not stand below ros__parameters; they'),
        ('/v: {ros__parameters: {a: 1}}\n/v: {ros__parameters: {a: true}}', 'a is given twice'),
    ],
)
def test_a_file_that_ros_reads_otherwise_is_refused_by_name(write, text, words):
    with pytest.raises(ValueError, match=r'parameters\.yaml is no parameter file') as refused:
        read_sections(write(text))
    assert words in str(refused.value)


def test_what_yaml_takes_for_a_date_is_a_word_as_it_is_for_ros(write):
    path = write('spec_vla: {ros__parameters: {a: 2024-13-45, b: 2024-01-02}}')
    assert read_sections(path) == {'/spec_vla': {'a': '2024-13-45', 'b': '2024-01-02'}}


@pytest.mark.parametrize(
    ('words', 'reason'),
    [
        (('-p', 'dry_run=true'), '-p dry_run=true: write NAME:=VALUE'),
        (('-p', 'dry_run'), '-p dry_run: write NAME:=VALUE'),
        (('-p', '/spec_vla:dry_run:=true'), 'stands without its namespace'),
        (('--params-file', 'nothere.yaml'), "there is no parameter file 'nothere.yaml'"),
    ],
)
def test_an_argument_that_rcl_cannot_read_is_told_with_the_reason(words, reason):
    (problem,) = malformed_parameters(['program', '--ros-args', *words])
    assert problem.endswith(reason)
    assert malformed_parameters(['program', '--ros-args', '-p', 'spec_vla:dry_run:=true']) == []


@pytest.mark.parametrize(
    ('text', 'reason'),
    [
        ('spec_vla: {dry_run: true}', 'gives no node any parameter; they stand under the name'),
        ('spec_vla: {ros_parameters: {dry_run: true}}', 'ros__parameters: {dry_run: true}}'),
        ('spec_vla:\n\tros__parameters: {}', 'is no parameter file: while scanning'),
    ],
)
def test_a_file_that_rcl_cannot_read_is_told_with_the_reason(write, text, reason):
    (problem,) = malformed_parameters(['program', '--ros-args', '--params-file', write(text)])
    assert reason in problem


def test_a_section_may_come_in_parts(write):
    path = write('/v: {ros__parameters: {a: 1}}\nv: {ros__parameters: {b: 2, a: 1.0}}')
    assert read_sections(path) == {'/v': {'a': 1, 'b': 2}}


def contradict(write, *words, text='spec_vla: {ros__parameters: {dry_run: true}}'):
    arguments = ['program', '--ros-args', '--params-file', write(text), *words]
    refuse_contradictions(sections_of(arguments), node='/spec_vla')


@pytest.mark.parametrize(
    'given',
    [
        {'text': 'spec_vla: {ros__parameters: {x: true}}\n/**: {ros__parameters: {x: false}}'},
        {'text': '/*: {ros__parameters: {x: true}}\n/**: {ros__parameters: {x: 1}}\n'},
        {'words': ('-p', 'x:=1', '-p', 'x:=2')},
        {'words': ('-p', 'spec_vla:x:=1', '--param', 'x:=2')},
    ],
)
def test_two_values_in_one_place_are_refused_with_both(write, given):
    given = dict(given)
    with pytest.raises(ValueError, match=r'x is given twice, to .* as .* and to .* as .*keep one'):
        contradict(write, *given.pop('words', ()), **given)


@pytest.mark.parametrize(
    'given',
    [
        {'text': '/**: {ros__parameters: {x: true}}\nspec_vla: {ros__parameters: {x: false}}'},
        {'text': 'spec_vla: {ros__parameters: {x: 1}}\n/**: {ros__parameters: {x: 1.0}}'},
        {'text': '/a: {ros__parameters: {x: 1}}\n/b: {ros__parameters: {x: 2}}'},
        {'words': ('-p', 'x:=1', '-p', 'x:=1')},
        {'words': ('-p', 'dry_run:=false')},
    ],
)
def test_a_narrower_or_later_value_is_no_contradiction(write, given):
    given = dict(given)
    contradict(write, *given.pop('words', ()), **given)


def overruled(write, in_force, *words, text='/**: {ros__parameters: {y: 1}}', before=()):
    arguments = ['program', '--ros-args', *before, '--params-file', write(text), *words]
    refuse_overruled(sections_of(arguments), node='/spec_vla', in_force=in_force)


TWO_SECTIONS = '/**: {ros__parameters: {y: 1}}\nspec_vla: {ros__parameters: {x: [1.0, 2.0]}}'


@pytest.mark.parametrize(
    'given',
    [
        {'text': TWO_SECTIONS, 'words': ('-p', 'x:=[3.0, 4.0]')},
        {'text': TWO_SECTIONS, 'before': ('-p', 'x:=[3.0, 4.0]')},
    ],
)
def test_a_value_that_ros_lets_another_overrule_is_refused_with_both(write, given):
    given = dict(given)
    words = given.pop('words', ())
    said = (
        r'-p x:=.*: x \[3.0, 4.0\] would be in no force, for ROS takes the \[1.0, 2.0\] that '
        r".*parameters.yaml gives to '/spec_vla': keep one of the two"
    )
    with pytest.raises(ValueError, match=said):
        overruled(write, {'x': [1.0, 2.0], 'y': 1}, *words, **given)


@pytest.mark.parametrize(
    ('in_force', 'words'),
    [
        ({'x': [3.0, 4.0], 'y': 1}, ['-p', 'spec_vla:x:=[3, 4]']),
        ({'x': [1.0, 2.0], 'y': 1}, ['-p', 'x:=[1, 2]']),
        ({'x': [1.0, 2.0], 'y': 1000.0}, ['-p', 'y:=1e3']),  # a word for PyYAML
        ({'x': [1.0, 2.0]}, ['-p', 'other:y:=2']),
    ],
)
def test_a_value_that_ros_takes_is_not_overruled(write, in_force, words):
    overruled(write, in_force, *words, text=TWO_SECTIONS)


def check(path, namespace=''):
    return checked_file(path, node='spec_vla', namespace=namespace, settings=PolicySettings)


def test_a_file_that_is_not_there(tmp_path, monkeypatch):
    monkeypatch.setenv('HOME', str(tmp_path))
    with pytest.raises(RuntimeError, match='there is no parameter file'):
        check('~/mine.yaml')
    (tmp_path / 'mine.yaml').write_text('/**: {ros__parameters: {dry_run: true}}')
    assert check('~/mine.yaml') == str(tmp_path / 'mine.yaml')


def test_a_folder_in_place_of_the_file_is_told(tmp_path):
    """Docker makes one of a file to mount that is not there."""
    folder = tmp_path / 'mine.yaml'
    folder.mkdir()
    with pytest.raises(RuntimeError, match='an empty folder, as Docker makes'):
        check(folder)
    (problem,) = malformed_parameters(['program', '--ros-args', '--params-file', str(folder)])
    assert 'an empty folder, as Docker makes' in problem


@pytest.mark.parametrize(
    ('content', 'namespace', 'words'),
    [
        (section('/**', dryrun=True), '', 'dryrun is in no force.*did you mean dry_run'),
        (section('/spec_vla_node', dry_run=True), '', "given to '/spec_vla_node'.*is '/spec_vla'"),
        (section('spec_vla', dry_run=True), 'lab', "given to '/spec_vla'.*is '/lab/spec_vla'"),
        ({}, '', 'it gives no node any parameter'),
    ],
)
def test_what_is_in_no_force_is_refused_unless_the_file_accepts_it(
    write, content, namespace, words
):
    path = write(yaml.dump(content))
    with pytest.raises(RuntimeError, match=words):
        check(path, namespace)
    if not content:
        return
    accepted = section(f'/{namespace}/spec_vla'.replace('//', '/'), accept_unknown_parameters=True)
    assert check(write(yaml.dump({**content, **accepted})), namespace) == path


@pytest.mark.parametrize(
    ('content', 'namespace'),
    [
        (section('/**', dry_run=True, use_sim_time=True), '/lab/'),
        ({**section('spec_vla', dry_run=True), **section('camera', rate=30.0)}, ''),
        (section('/**/spec_vla', dry_run=True), 'lab'),
    ],
)
def test_what_is_in_force_is_taken(write, content, namespace):
    path = write(yaml.dump(content))
    assert check(path, namespace) == path
