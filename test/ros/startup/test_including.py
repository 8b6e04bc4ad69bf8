# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""What including launch files give our nodes unawares, or keep from them, is told."""

import pytest

from spec_vla_ros.ros.startup.including import left_over, refuse_overruled
from spec_vla_ros.settings.launch import POLICY_ARGUMENTS

FIRST = {name: argument.default for name, argument in POLICY_ARGUMENTS.items()}
FIRST |= {'pose_topic': '/left/pose', 'dry_run': 'false', 'command_topic': '/left/twist'}


def test_what_a_second_arm_may_have_from_the_first_is_told():
    now = {**FIRST, 'command_topic': '/right/twist'}
    text = left_over(FIRST, now, POLICY_ARGUMENTS, share='{share}')
    assert text.startswith('warning: dry_run:=false, pose_topic:=/left/pose may be left over')
    assert 'GroupAction' in text


@pytest.mark.parametrize(
    ('before', 'now'),
    [
        ({}, {'pose_topic': '/left/pose', 'dry_run': 'true'}),  # included for the first time
        (FIRST, {}),  # in a group of its own
        (FIRST, {'pose_topic': '/right/pose', 'dry_run': 'true', 'command_topic': '/right/twist'}),
    ],
)
def test_where_nothing_is_left_over_nothing_is_told(before, now):
    assert left_over(before, now, POLICY_ARGUMENTS, share='') == ''


@pytest.fixture
def share(tmp_path):
    """Where the package has a file of defaults; somebody's own file lies beside the folder."""
    (tmp_path / 'config').mkdir()
    text = '/**:\n  ros__parameters:\n    dry_run: false\n    control_rate: 30.0\n'
    for folder in (tmp_path, tmp_path / 'config'):
        (folder / 'spec_vla.yaml').write_text(text)
    return tmp_path


@pytest.fixture
def of_all(tmp_path):
    path = tmp_path / 'of_all.yaml'
    path.write_text(
        '/**: {ros__parameters: {dry_run: true}}\nother: {ros__parameters: {control_rate: 9}}\n'
    )
    return path


@pytest.mark.parametrize('how', ['file', 'value'])
def test_defaults_that_would_overrule_what_is_set_for_all_nodes_are_refused(share, of_all, how):
    """Without a file of its own the node would not run dry, and nobody would be told."""
    given = [of_all] if how == 'file' else [('use_sim_time', True), ('dry_run', True)]
    file = str(share / 'config' / 'spec_vla.yaml')
    with pytest.raises(RuntimeError, match=r'dry_run True would be in no force.*the False'):
        refuse_overruled(given, file, node='/lab/spec_vla', share=str(share))


def test_somebodys_own_file_may_overrule_them_and_the_same_value_is_no_matter(share, of_all):
    file = str(share / 'spec_vla.yaml')
    refuse_overruled([of_all], file, node='/spec_vla', share=str(share))
    file = str(share / 'config' / 'spec_vla.yaml')
    refuse_overruled([('control_rate', 30.0)], file, node='/spec_vla', share=str(share))
