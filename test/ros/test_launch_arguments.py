# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Names that a launch file is given and does not have: which are told, and which are others'."""

import pytest

from spec_vla_ros.ros.launch_arguments import FILE_OF, refuse_unknown
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
        refuse_unknown(['checkpoint', name], POLICY_ARGUMENTS)


def test_each_wrong_name_is_told():
    with pytest.raises(RuntimeError, match=r'dryrun.*; max_velocity .*forwarding=False'):
        refuse_unknown(['dryrun', 'max_velocity'], POLICY_ARGUMENTS)


def test_a_parameter_of_the_robot_goes_into_the_robots_file():
    with pytest.raises(RuntimeError, match=r'seed is a parameter.*sim_params_file:=FILE'):
        refuse_unknown(['seed'], DEMO_ARGUMENTS)
    refuse_unknown(['seed'], POLICY_ARGUMENTS)  # starts no robot


@pytest.mark.parametrize(
    'name', ['arm_namespace', 'left_params_file', 'robot_ip', 'use_rviz', 'ros_namespace']
)
def test_what_an_including_file_has_for_itself_is_none_of_our_business(name):
    refuse_unknown([name], POLICY_ARGUMENTS)


@pytest.mark.parametrize('including', [DEMO_ARGUMENTS, LIBERO_ARGUMENTS])
def test_our_own_files_include_the_one_of_the_policy_node(including):
    refuse_unknown(including, POLICY_ARGUMENTS)
    refuse_unknown(['command_topic'], including)


def test_each_node_has_an_argument_for_its_file():
    assert FILE_OF.keys() == NODES.keys()
    assert set(FILE_OF.values()) <= {name for each in LAUNCHES.values() for name in each}
