# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""What words given to a launch file become."""

import dataclasses

import pytest

from spec_vla_ros.settings.launch import (
    DEMO_ARGUMENTS,
    POLICY_ARGUMENTS,
    camera,
    is_true,
    parameters_given,
)
from spec_vla_ros.settings.nodes import PolicySettings

NOTHING = dict.fromkeys(POLICY_ARGUMENTS, '')


def test_arguments_set_parameters_of_the_same_name():
    names = {field.name for field in dataclasses.fields(PolicySettings)} | {'use_sim_time'}
    for name, argument in POLICY_ARGUMENTS.items():
        assert argument.parameter in ('', name)
        assert not argument.parameter or name in names
        assert not argument.newer or POLICY_ARGUMENTS[argument.newer].parameter
    assert set(DEMO_ARGUMENTS) - set(POLICY_ARGUMENTS) == {'sim_params_file', 'robot_enclave'}


def test_an_older_name_counts_as_the_newer_one():
    given = {**NOTHING, 'model': '/a', 'frame': 'tool0'}
    assert parameters_given(given) == {'checkpoint': '/a', 'command_frame': 'tool0'}
    assert parameters_given({**given, 'checkpoint': '/a'})['checkpoint'] == '/a'
    with pytest.raises(
        RuntimeError, match=r'model is an older name of checkpoint.*forwarding=False'
    ):
        parameters_given({**given, 'checkpoint': '/b'})


def test_a_word_that_is_no_number_is_refused():
    with pytest.raises(RuntimeError, match='draft_top_k:=four is no int'):
        parameters_given({**NOTHING, 'draft_top_k': 'four'})


def test_yes_and_no():
    both = [word for word in POLICY_ARGUMENTS['dry_run'].choices if word]
    said = [word for word in both if parameters_given({**NOTHING, 'dry_run': word})['dry_run']]
    assert said == [word for word in both if is_true(word)] == ['true', 'True', '1', 'yes']
    assert parameters_given(NOTHING) == {}


@pytest.mark.parametrize('transport', ['', 'compressed'])
def test_a_topic_of_compressed_images(transport):
    given = {'image_topic': '/cam/compressed', 'image_transport': transport}
    assert camera(given) == ('/cam', 'compressed')
    assert camera({**given, 'image_topic': '/cam'}) == ('/cam', transport)
