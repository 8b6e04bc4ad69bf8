# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""A parameter that keeps its default leaves the recipe as it is."""

import pytest

from spec_vla_ros.settings.nodes import PolicySettings
from spec_vla_ros.settings.parameter import changed


def test_defaults_change_nothing():
    settings = PolicySettings()
    assert not settings.observation_recipe
    assert settings.recipe_changes == {}


@pytest.mark.parametrize(
    ('name', 'value'),
    [
        ('image_rotation', 0),
        ('image_rotation', 180),
        ('image_crop', 1.0),
        ('gripper_range', (-1.0, 1.0)),
        ('gripper_inverted', True),
        ('action_scale', (0.05, 0.5)),
    ],
)
def test_what_is_said_changes_its_field_alone(name, value):
    settings = changed(PolicySettings(), {name: value}, running=False)
    assert settings.recipe_changes == {name: value}
    with pytest.raises(ValueError, match='read at start only'):
        changed(PolicySettings(), {name: value}, running=True)
