# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Parameters: declared with description and range, refused with a reason, taken as a whole."""

import dataclasses

import pytest
from harness import ScriptedPolicy
from rcl_interfaces.srv import DescribeParameters, ListParameters
from waiting import wait_for_line

from spec_vla_ros.ros.parameters import _doubles
from spec_vla_ros.settings.nodes import PolicySettings
from spec_vla_ros.settings.parameter import meaning_of


@pytest.fixture
def node(world):
    return world.policy_node(lambda settings: ScriptedPolicy(), active=False)


@pytest.mark.dds
class TestOverDds:
    def test_every_parameter_is_described(self, world, node):
        names = [field.name for field in dataclasses.fields(PolicySettings)]
        listed = world.remote.call(
            ListParameters, '/spec_vla/list_parameters', ListParameters.Request()
        )
        assert set(names) <= set(listed.result.names)
        response = world.remote.call(
            DescribeParameters,
            '/spec_vla/describe_parameters',
            DescribeParameters.Request(names=names),
        )
        for field, found in zip(
            dataclasses.fields(PolicySettings), response.descriptors, strict=True
        ):
            meaning = meaning_of(field)
            assert meaning.description in found.description
            assert not found.read_only  # what is read at start can change until it is
            ranges = [*found.integer_range, *found.floating_point_range]
            if meaning.low is None:
                assert not ranges
            else:
                assert [(r.from_value, r.to_value) for r in ranges] == [
                    (meaning.low, meaning.high)
                ]

    @pytest.mark.parametrize(
        ('values', 'reason'),
        [
            ({'image_timeout': 99.0}, 'image_timeout'),
            ({'image_timeout': 'soon'}, 'Wrong parameter type'),
            ({'no_such_thing': 1}, 'undeclared parameter'),
        ],
    )
    def test_a_bad_one_is_refused_with_a_reason(self, world, node, values, reason):
        result = world.remote.set_parameters('/spec_vla', values)
        assert not result.successful
        assert reason in result.reason

    @pytest.mark.parametrize('values', [{'control_rate': 60.0}, {'device': 'cuda'}])
    def test_what_is_read_at_start_can_change_until_it_is_read(self, world, node, values):
        (name,) = values
        assert world.remote.configure('/spec_vla')
        refused = world.remote.set_parameters('/spec_vla', values)
        assert not refused.successful
        assert f'{name}: read at start only' in refused.reason
        assert world.remote.clean_up('/spec_vla')
        assert world.remote.set_parameters('/spec_vla', values).successful
        assert node.get_parameter(name).value == values[name]
        assert not world.remote.set_parameters('/spec_vla', {'control_rate': 0.0}).successful

    def test_a_change_is_in_the_log(self, world, node, stderr):
        changes = {'max_gripper_rate': 0.0, 'image_timeout': 0.25}  # the first is none
        assert world.remote.set_parameters('/spec_vla', changes).successful
        line = wait_for_line(stderr, ' -> ')
        assert line.endswith('image_timeout: 0.5 -> 0.25')

    @pytest.mark.parametrize(
        ('values', 'words'),
        [
            ({'image_timeout': 99.0}, 'image_timeout: 99.0 is outside'),
            ({'max_velocity': '[0.1, a]'}, 'max_velocity: expected tuple, got str'),
            ({'max_velocity': '[1, 0.1]'}, 'max_velocity: 2 numbers given, 6 are needed'),
        ],
    )
    def test_a_change_that_is_refused_is_in_the_log(self, world, node, stderr, values, words):
        assert not world.remote.set_parameters('/spec_vla', values).successful
        line = wait_for_line(stderr, 'a change is refused')
        assert 'WARN' in line
        assert words in line

    def test_a_set_is_taken_as_a_whole_or_not_at_all(self, world, node):
        good = {'image_timeout': 0.25, 'settle_time': 0.1}
        assert world.remote.set_parameters('/spec_vla', good).successful
        bad = {'image_timeout': 0.7, 'settle_time': -1.0}
        assert not world.remote.set_parameters('/spec_vla', bad).successful
        assert node.get_parameter('image_timeout').value == 0.25
        assert node.get_parameter('settle_time').value == 0.1


VELOCITY = next(f for f in dataclasses.fields(PolicySettings) if f.name == 'max_velocity')


@pytest.mark.parametrize(
    ('text', 'taken'),
    [
        ('[0.1, 1]', [0.1, 1.0]),
        ('[1e-1, -2]', [0.1, -2.0]),
        ('[0.1, true]', None),
        ('[0.1, a]', None),
        ('[0.1', None),
        ('0.1', None),
        ('[]', None),
        ('', None),
    ],
)
def test_a_list_of_numbers_in_a_string_is_taken_for_doubles(text, taken):
    assert _doubles(text, VELOCITY) == (text if taken is None else taken)
