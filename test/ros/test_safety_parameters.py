# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Parameters that are in no force are told, and keep the arm from moving."""

import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from harness import ScriptedPolicy
from processes import run_python
from spec_vla_ros.msg import PolicyStatus
from std_srvs.srv import SetBool

from spec_vla_ros.ros.policy_node import SpecVlaNode

pytestmark = pytest.mark.dds
NODE = '/spec_vla'

OTHER_NODE = """
/spec_vla_node:
  ros__parameters:
    dry_run: true
"""
MISSPELT = """
/**:
  ros__parameters:
    dryrun: true
    max_step_translaton: 0.01
"""
WILDCARD_LAST = """
spec_vla: {ros__parameters: {dry_run: true}}
/**: {ros__parameters: {dry_run: false}}
"""
WILDCARD_FIRST = """
/**: {ros__parameters: {use_sim_time: false}}
spec_vla: {ros__parameters: {dry_run: false}}
"""
WHOLE = """
spec_vla:
  ros__parameters:
    step_duration: 1
    max_velocity: [1, 1, 1, 2, 2, 2]
"""


@pytest.fixture
def start(world, tmp_path):
    """Make a policy node that is given a parameter file."""

    def start(text, *words):
        path = tmp_path / 'given.yaml'
        path.write_text(text)
        return world.spin(
            lambda context: SpecVlaNode(
                make_policy=lambda settings: ScriptedPolicy(),
                context=context,
                cli_args=['--ros-args', '--params-file', str(path), *words],
            )
        )

    return start


@pytest.mark.parametrize(
    ('given', 'words'),
    [
        ([OTHER_NODE], ["given.yaml: dry_run is in no force: it is given to '/spec_vla_node'"]),
        ([MISSPELT], ['dryrun is in no force', 'did you mean max_step_translation?']),
        (['# /**:'], ['given.yaml is in no force: it gives no node any parameter']),
        (
            [WHOLE, '-r', 'emergency_stopp:=/estop'],
            ['-r emergency_stopp:=/estop is in no force', 'did you mean emergency_stop?'],
        ),
    ],
    ids=['of another node', 'misspelt', 'empty', 'remap'],
)
def test_what_is_in_no_force_is_told_and_holds_back_activation(world, status, start, given, words):
    diagnostics = world.record(DiagnosticArray, 'diagnostics')
    start(*given)
    assert world.remote.configure(NODE)
    assert not world.remote.activate(NODE)
    enabled = world.remote.call(SetBool, f'{NODE}/enable', SetBool.Request(data=True))
    assert not enabled.success
    assert world.remote.state(NODE) == 'inactive'
    inactive = status.last
    assert inactive.state == PolicyStatus.STATE_INACTIVE
    message = diagnostics.wait().status[0]
    assert message.level == DiagnosticStatus.ERROR
    for each in words:
        assert each in enabled.message
        assert each in inactive.reason_text
        assert each in message.message

    accepted = {'accept_unknown_parameters': True}
    assert world.remote.set_parameters(NODE, accepted).successful
    assert world.remote.activate(NODE)


def test_whole_numbers_are_taken_for_doubles(world, start):
    node = start(WHOLE)
    assert node.get_parameter('step_duration').value == 1.0
    assert list(node.get_parameter('max_velocity').value) == [1.0, 1.0, 1.0, 2.0, 2.0, 2.0]
    for name, whole, doubles in (
        ('image_timeout', 2, 2.0),
        ('max_velocity', [2] * 6, [2.0] * 6),
        ('max_velocity', '[0.1, 0.1, 0.1, 1, 1, 1]', [0.1] * 3 + [1.0] * 3),  # as it is typed
    ):
        assert world.remote.set_parameters(NODE, {name: whole}).successful
        value = node.get_parameter(name).value
        assert (value if isinstance(value, float) else list(value)) == doubles


@pytest.mark.parametrize(
    ('given', 'words'),
    [
        ('dry_run: "true"', 'dry_run'),
        ('checkpoint: 7', 'checkpoint'),
        ('max_velocity: [a, 1]', 'Sequence should be of same type'),
        ('max_velocity: [0.6, 1, 1]', '3 numbers given, 6 are needed'),
    ],
)
def test_a_wrong_type_ends_the_node_with_its_name(world, tmp_path, given, words):
    assert words in error_of(world, tmp_path, f'/**: {{ros__parameters: {{{given}}}}}')


@pytest.mark.parametrize(
    'given', [[WILDCARD_LAST], [WHOLE, '-p', 'dry_run:=true', '-p', 'dry_run:=false']]
)
def test_a_parameter_that_is_given_two_values_ends_the_node_with_both(world, tmp_path, given):
    error = error_of(world, tmp_path, *given)
    assert 'dry_run is given twice, ' in error
    assert 'as True' in error
    assert 'as False' in error


@pytest.mark.parametrize(
    ('text', 'before', 'words'),
    [
        (WILDCARD_FIRST, [], ['-p', 'dry_run:=true']),
        ('/**: {ros__parameters: {dry_run: false}}', ['-p', 'dry_run:=true'], []),
    ],
    ids=['behind a file of two sections', 'before the file'],
)
def test_a_value_that_another_would_overrule_ends_the_node_with_both(
    world, tmp_path, text, before, words
):
    error = error_of(world, tmp_path, text, *words, before=before)
    assert '-p dry_run:=true: dry_run True would be in no force, for ROS takes the False' in error
    assert 'keep one of the two' in error


def error_of(world, tmp_path, text, *words, before=()):
    """What a node says that ends because of its parameters."""
    path = tmp_path / 'given.yaml'
    path.write_text(text)
    arguments = ('--ros-args', *before, '--params-file', str(path), *words)
    program = 'spec_vla_ros.ros.policy_node'
    domain = {'ROS_DOMAIN_ID': str(world.domain_id)}
    ended = run_python('-m', program, *arguments, check=False, **domain)
    assert ended.returncode == 1
    assert 'error: ' in ended.stderr
    assert 'Traceback' not in ended.stderr
    return ended.stderr
