# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The launch file of two arms: a node for each, arguments that exist, valid parameters."""

import dataclasses
import runpy
import sys
import types
from pathlib import Path

import pytest
import yaml

from spec_vla_ros.settings.launch import POLICY_ARGUMENTS
from spec_vla_ros.settings.nodes import PolicySettings
from spec_vla_ros.settings.parameter import changed

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / 'examples' / 'two_arms.launch.py'


class Made:
    """What the stand-in for the launch system makes of anything."""

    def __init__(self, kind, given, named):
        self.kind, self.given, self.named = kind, given, named


class StandIn(types.ModuleType):
    """A module that has every name, each making a `Made`."""

    def __getattr__(self, name):
        if name.startswith('__'):
            raise AttributeError(name)
        return lambda *given, **named: Made(name, given, named)


@pytest.fixture
def description(monkeypatch):
    for name in ('launch', 'launch.actions', 'launch.launch_description_sources'):
        monkeypatch.setitem(sys.modules, name, StandIn(name))
    monkeypatch.setitem(sys.modules, 'launch.substitutions', StandIn('launch.substitutions'))
    packages = StandIn('ament_index_python.packages')
    packages.get_package_share_directory = lambda name: str(ROOT)
    monkeypatch.setitem(sys.modules, 'ament_index_python', StandIn('ament_index_python'))
    monkeypatch.setitem(sys.modules, 'ament_index_python.packages', packages)
    return runpy.run_path(str(EXAMPLE))['generate_launch_description']().given[0]


def arguments_of(group):
    (include,) = group.given[0]
    (source,) = include.given
    assert Path(source.given[0]) == ROOT / 'launch' / 'spec_vla.launch.py'
    return dict(include.named['launch_arguments'])


def test_each_arm_has_a_node_of_its_own(description):
    left, right = (arguments_of(made) for made in description if made.kind == 'GroupAction')
    own = ('namespace', 'image_topic', 'command_topic', 'command_frame', 'params_file')
    assert all(left[name] != right[name] for name in own)
    assert left['emergency_stop_topic'] == right['emergency_stop_topic'] == '/emergency_stop'


def test_both_are_given_what_their_checkpoint_needs(description):
    declared = {made.given[0] for made in description if made.kind == 'DeclareLaunchArgument'}
    assert {'checkpoint', 'unnorm_key', 'observation_recipe', 'device'} <= declared
    for group in (made for made in description if made.kind == 'GroupAction'):
        assert declared <= arguments_of(group).keys()


def test_the_arguments_exist(description):
    for group in (made for made in description if made.kind == 'GroupAction'):
        assert set(arguments_of(group)) <= POLICY_ARGUMENTS.keys()


@pytest.mark.parametrize('arm', ['left_arm', 'right_arm'])
def test_the_parameters_are_valid(arm, description):
    content = yaml.safe_load((EXAMPLE.parent / f'{arm}.yaml').read_text())
    given = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in content['/**']['ros__parameters'].items()
    }
    settings = changed(PolicySettings(), given, running=False)
    assert settings.dry_run
    corners = zip(settings.workspace_min, settings.workspace_max, strict=True)
    assert all(low < high for low, high in corners)
    assert dataclasses.asdict(settings).keys() >= given.keys()
