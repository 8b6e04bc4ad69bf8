# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""A recipe is named, read from a file or changed field by field, and says what it means."""

import dataclasses

import numpy as np
import pytest

from spec_vla_ros.models.recipes import (
    BRIDGE,
    LIBERO,
    PLAIN,
    RECIPES,
    Recipe,
    read_recipe,
    suggested_recipe,
)

SAID = np.array([1.0, -0.5, 0.2, 0.1, -0.2, 1.0, 0.75])


def test_plain_changes_nothing():
    assert PLAIN == Recipe() == read_recipe()
    assert PLAIN.in_si_units(SAID) is SAID
    assert str(PLAIN) == 'plain (pictures and actions as they are)'


def test_libero_is_what_its_controller_makes_of_an_action():
    """OSC_POSE: 1.0 is 0.05 m or 0.5 rad."""
    expected = [0.05, -0.025, 0.01, 0.05, -0.1, 0.5, 1.0]
    np.testing.assert_allclose(LIBERO.in_si_units(SAID), expected)
    closed = LIBERO.in_si_units(np.array([0, 0, 0, 0, 0, 0, 0.25]))
    assert closed[-1] == 0.0


def test_the_environment_of_libero_gets_the_published_evaluations_action():
    """There -1 opens and 1 closes, and displacements are parts of the controller's."""
    for gripper in (-0.9, 0.1, 0.49, 0.51, 0.99):
        said = np.array([*SAID[:6], gripper])
        ours = LIBERO.in_si_units(said)
        to_environment = np.array([*ours[:3] / 0.05, *ours[3:6] / 0.5, 1 - 2 * ours[6]])
        published = np.array([*said[:6], -np.sign(2 * gripper - 1)])
        np.testing.assert_allclose(to_environment, published)


def test_bridge_leaves_actions_alone():
    assert not BRIDGE.changes_actions
    assert BRIDGE.in_si_units(SAID) is SAID


@pytest.mark.parametrize(
    ('changes', 'openings'),
    [
        ({'gripper_range': (-1.0, 1.0)}, [0.0, 0.75, 1.0]),
        ({'gripper_range': (-1.0, 1.0), 'gripper_inverted': True}, [1.0, 0.25, 0.0]),
        ({'gripper_range': (-1.0, 1.0), 'gripper_binary': True}, [0.0, 1.0, 1.0]),
        ({'gripper_inverted': True}, [2.0, 0.5, 0.0]),
    ],
)
def test_grippers(changes, openings):
    said = np.zeros((3, 7))
    said[:, -1] = [-1.0, 0.5, 1.0]
    recipe = read_recipe(**changes)
    np.testing.assert_allclose(recipe.in_si_units(said)[:, -1], openings)


def test_what_is_not_a_number_stays_so():
    said = np.full(7, np.nan)
    assert np.isnan(LIBERO.in_si_units(said)).all()


def test_an_own_file(tmp_path):
    file = tmp_path / 'mine.yaml'
    file.write_text('image_rotation: 90\nimage_crop: 1\ngripper_range: [-1, 1]\n')
    found = read_recipe(file)
    assert found == Recipe(name='mine', image_rotation=90, gripper_range=(-1.0, 1.0))
    assert read_recipe(str(file)) == found
    assert str(found) == 'mine (image_rotation 90, gripper_range -1 1)'


def test_every_recipe_can_be_written_as_a_file(tmp_path):
    import yaml

    for recipe in RECIPES.values():
        fields = dataclasses.asdict(recipe)
        plain = {k: list(v) if isinstance(v, tuple) else v for k, v in fields.items()}
        (tmp_path / 'own.yaml').write_text(yaml.safe_dump(plain))
        assert read_recipe(tmp_path / 'own.yaml') == recipe


@pytest.mark.parametrize(
    ('text', 'reason'),
    [
        ('image_crops: 0.9', "field 'image_crops' is none of name, image_rotation"),
        ('image_crop: 90%', "image_crop '90%' is not float"),
        ('gripper_inverted: 1', 'gripper_inverted 1 is not bool'),
        ('- image_crop', 'it holds no fields'),
        ('a: [', 'is no recipe'),
        ('image_crop: 0.9\nimage_crop: 0.8', 'image_crop is given twice, as 0.9 and as 0.8'),
        ('image_crop: 0.9\n---\nimage_crop: 0.9', 'found another document'),
        (
            'name: libero\nimage_crop: 1.0',
            'recipe libero has other values, and a file is based on p',
        ),
        (
            'name: plain\nimage_crop: 0.9',
            'write all fields that differ from plain into it, and a na',
        ),
        ('resampling: area', "resampling 'area' is none of , lanczos"),
    ],
)
def test_bad_files_are_told_by_name(tmp_path, text, reason):
    file = tmp_path / 'bad.yaml'
    file.write_text(text)
    with pytest.raises(ValueError, match=r'bad\.yaml') as refused:
        read_recipe(file)
    assert reason in str(refused.value)


@pytest.mark.parametrize(
    ('changes', 'reason'),
    [
        ({'image_rotation': 45}, 'image_rotation 45 is not 0, 90, 180 or 270'),
        ({'image_crop': 0.0}, 'image_crop 0.0 is not above 0 and at most 1'),
        ({'image_crop': float('nan')}, 'image_crop nan is not above 0 and at most 1'),
        ({'jpeg_quality': 101}, 'jpeg_quality 101 is not 1 to 100, or 0 for none'),
        ({'gripper_range': (1.0, 0.0)}, r'gripper_range \(1.0, 0.0\) is not two numbers, the'),
        ({'gripper_range': (0.0,)}, r'gripper_range \(0.0,\) is not 2 numbers'),
        ({'action_scale': (0.05, 0.0)}, r'action_scale \(0.05, 0.0\) is not above 0'),
        ({'action_scale': 0.05}, 'action_scale 0.05 is not 2 numbers'),
    ],
)
def test_values_that_cannot_be(changes, reason):
    with pytest.raises(ValueError, match=reason):
        read_recipe('libero', **changes)


def test_unknown_names():
    with pytest.raises(ValueError, match="'libreo' is none of plain, libero, bridge, and there"):
        read_recipe('libreo')


def test_one_field_is_changed():
    assert read_recipe('libero', image_crop=1) == dataclasses.replace(LIBERO, image_crop=1)


@pytest.mark.parametrize(
    ('key', 'recipe'),
    [
        ('libero_object', LIBERO),
        ('libero_10_no_noops', LIBERO),
        ('LIBERO_Spatial', LIBERO),
        ('small_libero_object', None),  # shipped, in metres
        ('bridge_orig', BRIDGE),
        ('tabletop', None),
        ('fractal20220817_data', None),
    ],
)
def test_what_a_key_hints_at(key, recipe):
    assert suggested_recipe(key) == recipe


@pytest.mark.parametrize(
    ('recipe', 'keys', 'asked', 'chosen'),
    [
        (PLAIN, ['a', 'libero_goal'], None, None),
        (LIBERO, ['a', 'libero_goal_no_noops'], None, 'libero_goal_no_noops'),
        (LIBERO, ['a', 'libero_goal'], 'a', 'a'),
        (LIBERO, ['libero_10', 'libero_goal'], None, None),
        (BRIDGE, ['fractal20220817_data', 'bridge_orig'], None, 'bridge_orig'),
    ],
)
def test_which_norm_stats_it_chooses(recipe, keys, asked, chosen):
    assert recipe.key_among(keys, asked) == chosen
