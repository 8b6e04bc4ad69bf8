# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""What was set and counts for nothing is in the log."""

import re
import types

import pytest
from harness import ScriptedPolicy
from waiting import wait_for_line

from spec_vla_ros.ros.no_effect import NoEffect
from spec_vla_ros.ros.policy_node import SpecVlaNode
from spec_vla_ros.settings.nodes import PolicySettings

pytestmark = pytest.mark.dds


def test_what_has_no_effect_is_warned_of_at_configure_and_when_it_is_set(world, stderr):
    given = {'twist_linear_scale': 0.2, 'settle_time': 0.3}
    world.policy_node(lambda settings: ScriptedPolicy(), active=False, **given)
    assert world.remote.configure('/spec_vla')
    line = wait_for_line(stderr, 'has no effect')
    assert '[WARN]' in line
    assert "twist_linear_scale 0.2 has no effect: twist_units is 'speed'" in line
    set_ = world.remote.set_parameters
    assert set_('/spec_vla', {'acceptance_threshold': 5}).successful
    assert "decoding_mode is 'autoregressive'" in wait_for_line(stderr, 'acceptance_threshold 5')
    assert 'settle_time' not in stderr()
    assert set_('/spec_vla', {'wait_for_motion': False}).successful
    line = wait_for_line(stderr, 'settle_time')
    assert 'settle_time 0.3 has no effect: wait_for_motion is False' in line
    assert stderr().count('twist_linear_scale') == 1


def test_a_remap_that_has_no_effect_is_warned_of(world, stderr):
    remaps = ['gripper_cmd:=/hand/gripper_cmd', 'delta_twist_cmds:=/servo/twists']
    words = [word for remap in remaps for word in ('-r', remap)]
    world.spin(
        lambda context: SpecVlaNode(
            make_policy=lambda settings: ScriptedPolicy(),
            context=context,
            cli_args=['--ros-args', *words],
        )
    )
    assert world.remote.configure('/spec_vla')
    line = wait_for_line(stderr, 'is remapped to')
    assert 'gripper_cmd is remapped to /hand/gripper_cmd, and has no effect' in line
    assert "gripper_type is 'position'" in line
    assert '/servo/twists, and has no effect' not in stderr()


class Remapped:
    """Stands in for a node: `to` maps names to what they are remapped to."""

    def __init__(self, **to):
        self.warnings, self._to = (
            [],
            {name.replace('__', '/'): there for name, there in to.items()},
        )

    def get_namespace(self):
        return '/arm'

    def resolve_topic_name(self, name):
        return self._to.get(name, f'/arm/{name}')

    def get_logger(self):
        return types.SimpleNamespace(warning=self.warnings.append)


RAW, PACKED = {'image': '/wrist/image_raw'}, {'image__compressed': '/wrist/image_raw/compressed'}


@pytest.mark.parametrize(
    ('transport', 'to', 'told'),
    [
        ('compressed', RAW, 'image is remapped to /wrist/image_raw, .* reads image/compressed'),
        ('raw', PACKED, 'image/compressed is remapped to /wrist/.* reads image: remap that one'),
        ('raw', RAW, None),
        ('compressed', PACKED, None),
        ('compressed', RAW | PACKED, None),
        ('raw', RAW | PACKED, None),
        ('compressed', {}, None),
    ],
)
def test_the_remap_of_images_that_are_not_read_is_warned_of(transport, to, told):
    node = Remapped(**to)
    NoEffect(node).look(PolicySettings(image_transport=transport))
    assert len(node.warnings) == (told is not None)
    assert not told or re.match(told, node.warnings[0])
