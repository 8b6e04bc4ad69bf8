# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Names that a launch file is given and does not have: which are told, and which are others'."""

from pathlib import Path

import pytest

from spec_vla_ros.ros.startup.launch_arguments import (
    FILE_OF,
    OF_NOBODY_ELSE,
    OF_THE_LAUNCH_SYSTEM,
    OTHER_NAMES,
    on_command_line,
    refuse_twice,
    refuse_unknown,
)
from spec_vla_ros.settings.launch import DEMO_ARGUMENTS, LIBERO_ARGUMENTS, POLICY_ARGUMENTS
from spec_vla_ros.settings.tables import LAUNCHES, NODES


@pytest.mark.parametrize(
    ('name', 'words'),
    [
        ('dryrun', 'did you mean dry_run:=?'),
        ('DRY_RUN', 'did you mean dry_run:=?'),
        ('recrod', 'did you mean record:=?'),
        ('checkpoint_path', 'did you mean checkpoint:=?'),
        ('max_step_translation', 'is a parameter.*params_file:=FILE'),
        ('max_step_translaton', 'the parameter max_step_translation.*params_file:=FILE'),
        ('suite', 'but of another one'),
        ('sim_params_file', 'but of another one'),
    ],
)
def test_a_wrong_name_is_told_with_what_to_write(name, words):
    with pytest.raises(RuntimeError, match=f'^{name} .*{words}'.replace('?', r'\?')):
        refuse_unknown(['unnorm_key', name], POLICY_ARGUMENTS)


def test_each_wrong_name_is_told():
    with pytest.raises(RuntimeError, match=r'dryrun.*; max_velocity .*forwarding=False'):
        refuse_unknown(['dryrun', 'max_velocity'], POLICY_ARGUMENTS)


def test_a_parameter_of_the_robot_goes_into_the_robots_file():
    with pytest.raises(RuntimeError, match=r'seed is a parameter.*sim_params_file:=FILE'):
        refuse_unknown(['seed'], DEMO_ARGUMENTS)
    refuse_unknown(['seed'], POLICY_ARGUMENTS)  # starts no robot


@pytest.mark.parametrize(
    'name',
    [
        *('arm_namespace', 'left_params_file', 'robot_ip', 'use_rviz', 'ros_namespace'),
        *('gripper', 'gripper_max_force', 'gripper_speed'),  # of Kinova's launch files
        *('device_id', 'device_ip', 'frame_id', 'record_bag', 'workspace', 'instruction'),
    ],
)
def test_what_an_including_file_has_for_itself_is_none_of_our_business(name):
    refuse_unknown([name], POLICY_ARGUMENTS)


@pytest.mark.parametrize(
    ('own', 'ours'), [('checkpoint_path', 'checkpoint'), ('param_file', 'params_file')]
)
def test_what_an_including_file_hands_on_by_another_name_is_not_misspelt(own, ours):
    with pytest.raises(RuntimeError, match=f'^{own} .*did you mean {ours}:='):
        refuse_unknown([own], POLICY_ARGUMENTS)
    refuse_unknown([own, ours], POLICY_ARGUMENTS)


LAUNCHED = ['/opt/ros/bin/ros2', 'launch', 'spec_vla_ros', 'spec_vla.launch.py']


@pytest.mark.parametrize(
    ('name', 'words'),
    [
        *(
            (name, f'did you mean {meant}:=?')
            for meant, names in OTHER_NAMES.items()
            for name in names
            if meant in POLICY_ARGUMENTS
        ),
        ('max_vel', 'did you mean the parameter max_velocity'),
        ('Config', 'did you mean params_file:=?'),
        ('arm_namespace', 'is no argument of this launch file (--show-args'),
        ('robot_ip', 'is no argument of this launch file (--show-args'),
    ],
)
def test_where_ours_is_launched_every_other_name_is_told(name, words):
    """The node would run by the default file, and command the arm."""
    with pytest.raises(RuntimeError) as refused:
        refuse_unknown(['checkpoint', name], POLICY_ARGUMENTS, command_line=LAUNCHED)
    assert str(refused.value).startswith(f'{name} ')
    assert words in str(refused.value)
    assert 'forwarding' not in str(refused.value)


@pytest.mark.parametrize('name', OF_NOBODY_ELSE)
def test_another_name_of_the_emergency_stop_is_told_whoever_includes_ours(name):
    with pytest.raises(RuntimeError, match=f'^{name} .*did you mean emergency_stop_topic:='):
        refuse_unknown([name], POLICY_ARGUMENTS)
    refuse_unknown(['config', 'params', 'ns', 'camera_topic'], POLICY_ARGUMENTS)
    refuse_unknown([name, 'emergency_stop_topic'], POLICY_ARGUMENTS)  # handed on as it should be


def test_what_the_launch_system_keeps_is_not_told():
    refuse_unknown(OF_THE_LAUNCH_SYSTEM, POLICY_ARGUMENTS, command_line=LAUNCHED)


def test_what_is_launched_is_seen_on_the_command_line(tmp_path):
    ours = Path(__file__).parents[3] / 'launch' / 'demo.launch.py'
    assert on_command_line(LAUNCHED)
    assert on_command_line(['ros2', 'launch', str(ours), 'checkpoint:=x'])
    for theirs in ('demo.launch.py', str(tmp_path / 'spec_vla.launch.py')):
        assert not on_command_line(['ros2', 'launch', theirs])
        assert not on_command_line(['ros2', 'launch', 'my_robot', theirs, 'package:=spec_vla_ros'])


@pytest.mark.parametrize('including', [DEMO_ARGUMENTS, LIBERO_ARGUMENTS])
def test_our_own_files_include_the_one_of_the_policy_node(including):
    refuse_unknown(including, POLICY_ARGUMENTS, command_line=LAUNCHED)
    refuse_unknown(including, POLICY_ARGUMENTS)
    refuse_unknown(['command_topic'], including)


def test_each_node_has_an_argument_for_its_file():
    assert FILE_OF.keys() == NODES.keys()
    assert set(FILE_OF.values()) <= {name for each in LAUNCHES.values() for name in each}


@pytest.mark.parametrize(
    ('words', 'told'),
    [
        (['dry_run:=true', 'device:=cpu', 'dry_run:=false'], "dry_run .*'true' and as 'false'"),
        (['params_file:=a.yaml', 'params_file:=b.yaml'], "'a.yaml' .* one file: put both into it"),
    ],
)
def test_an_argument_that_is_given_twice_is_told(words, told):
    """The launch system takes the last: with a first file that runs dry, the arm would move."""
    with pytest.raises(RuntimeError, match=told):
        refuse_twice([*LAUNCHED, *words], POLICY_ARGUMENTS)
    refuse_twice([*LAUNCHED, *words[:-1], words[0], 'x:=1', 'x:=2'], POLICY_ARGUMENTS)
