# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""What cannot be right for the norm stats is said, and nothing about what can."""

import numpy as np
import pytest

from spec_vla_ros.checkpoints import TABLETOP
from spec_vla_ros.models.checkpoint_files import read_config
from spec_vla_ros.models.recipe_checks import (
    check_dimensions,
    crop_doubt,
    doubts,
    farthest_actions,
    hints,
    pattern_doubt,
    refuse_other_units,
    require_choice,
    restless,
    suggestion,
)
from spec_vla_ros.models.recipes import BRIDGE, LIBERO, PLAIN, RECIPES, fields_said, read_recipe
from spec_vla_ros.norm_stats import NormStats

# As the published checkpoints have them, rounded.
LIBERO_OBJECT = {
    'q01': [-0.745, -0.662, -0.938, -0.107, -0.207, -0.184, 0.0],
    'q99': [0.938, 0.876, 0.932, 0.104, 0.177, 0.146, 1.0],
}
BRIDGE_ORIG = {
    'q01': [-0.0287, -0.0417, -0.0261, -0.0809, -0.0929, -0.2072, 0.0],
    'q99': [0.0283, 0.0409, 0.0402, 0.0819, 0.0779, 0.2038, 1.0],
}

BOUNDS = ('q01', 'q99')


def stats(bounds, key='own', **changes):
    action = {**bounds, 'mask': [True] * 6 + [False], **changes}
    return NormStats.select({key: {'action': action}})


def with_gripper(low, high):
    return stats({name: [*BRIDGE_ORIG[name][:6], v] for name, v in (('q01', low), ('q99', high))})


@pytest.mark.parametrize(
    ('recipe', 'bounds'), [(LIBERO, LIBERO_OBJECT), (BRIDGE, BRIDGE_ORIG), (PLAIN, BRIDGE_ORIG)]
)
def test_what_belongs_together_is_not_doubted(recipe, bounds):
    assert doubts(recipe, stats(bounds)) == []


def test_the_shipped_policy_is_not_doubted():
    found = read_config(TABLETOP).codec(None).stats
    assert doubts(PLAIN, found) == []
    assert suggestion(PLAIN, found) is None


def test_a_scale_of_their_own():
    (line,) = doubts(PLAIN, stats(LIBERO_OBJECT))
    assert 'a step of 0.94 cannot be metres' in line
    assert 'action_scale' in line


def test_an_arm_that_would_never_move():
    nothing = {name: [*[0.0] * 6, v] for name, v in (('q01', 0.0), ('q99', 1.0))}
    (line,) = doubts(PLAIN, stats(nothing))
    assert 'the arm would never move' in line


@pytest.mark.parametrize(
    ('low', 'high', 'named'),
    [
        (0.0049, 0.0051, True),
        (0.005, 0.02, True),
        (-0.02, -0.005, True),
        (0.2, 0.29, True),
        (0.0, 0.02, False),
        (1e-4, 0.02, False),  # mostly at rest
        (-0.02, 5e-7, False),
        (0.0, 0.0, False),
    ],
)
def test_an_arm_that_could_never_stand_still(low, high, named):
    moving = {n: [v, *BRIDGE_ORIG[n][1:]] for n, v in (('q01', low), ('q99', high))}
    said = [line for line in doubts(PLAIN, stats(moving)) if 'never stand still' in line]
    assert len(said) == named
    assert not named or f'the range of x ({low:g} to {high:g})' in said[0]
    assert restless(stats(moving, mask=[False] * 7)) is None


def test_ways_in_which_it_would_never_move_are_named():
    flat = {name: [*BRIDGE_ORIG[name][:3], 0.0, 0.0, *BRIDGE_ORIG[name][5:]] for name in BOUNDS}
    (line,) = doubts(PLAIN, stats(flat))
    assert line.startswith('roll, pitch: q01 and q99 are the same')


# The largest turns that OpenVLA's data sets in metres have: of fractal20220817_data.
FRACTAL = {
    'q01': [-0.2245, -0.1482, -0.2316, -0.3518, -0.4193, -0.4364, 0.0],
    'q99': [0.1782, 0.1494, 0.2184, 0.5893, 0.3527, 0.448, 1.0],
}


@pytest.mark.parametrize('degrees', [3, 9])
def test_rotations_in_degrees(degrees):
    degrees = {
        name: [*BRIDGE_ORIG[name][:3], turn, turn, turn, BRIDGE_ORIG[name][-1]]
        for name, turn in (('q01', -degrees), ('q99', degrees))
    }
    (line,) = doubts(PLAIN, stats(degrees))
    assert f'a turn of {degrees["q99"][3]:.2f} cannot be radians' in line
    assert doubts(PLAIN, stats(FRACTAL)) == []
    assert doubts(read_recipe(action_scale=(1.0, np.pi / 180)), stats(degrees)) == []


def test_rotations_that_no_mask_unnormalises():
    mask = [True] * 3 + [False] * 4
    turn, unmasked = doubts(PLAIN, stats(BRIDGE_ORIG, mask=mask))
    assert 'a turn of 1.00 cannot be radians' in turn
    assert unmasked.startswith('mask is false for roll (-0.0809 to 0.0819), pitch')
    with pytest.raises(ValueError, match=r'a turn of 1\.00 cannot be radians'):
        refuse_other_units(PLAIN, stats(BRIDGE_ORIG, mask=mask))
    own = {n: [*BRIDGE_ORIG[n][:3], v, v, v, 1.0] for n, v in (('q01', -1.0), ('q99', 1.0))}
    assert doubts(read_recipe(action_scale=(1.0, 0.5)), stats(own, mask=mask)) == []


def test_a_scale_that_is_too_much():
    found = doubts(LIBERO, stats(BRIDGE_ORIG))
    assert any('0.042 look like metres as they are' in line and '2.1 mm' in line for line in found)


@pytest.mark.parametrize(
    ('low', 'high', 'said', 'doubt'),
    [
        (-1.0, 1.0, (0.0, 1.0), 'goes from -1 to 1 in the training data, outside'),
        (0.0, 1.0, (-1.0, 1.0), 'a part of gripper_range -1 1 only'),
        (-1.0, 1.0, (-1.0, 1.0), None),
        (0.0, 0.08, (0.0, 0.08), None),
        (0.02, 0.98, (0.0, 1.0), None),
        (0.0, 0.0, (0.0, 1.0), None),  # it never moved: nothing is known
    ],
)
def test_the_grippers_range(low, high, said, doubt):
    found = doubts(read_recipe(gripper_range=said), with_gripper(low, high))
    assert len(found) == (doubt is not None)
    assert not doubt or doubt in found[0]


@pytest.mark.parametrize(
    ('recipe', 'opening'),
    [(PLAIN, '1'), (LIBERO, '1'), (read_recipe(gripper_range=(0.0, 4.0)), '0.25')],
)
def test_a_gripper_that_could_never_move_is_told(recipe, opening):
    bounds = LIBERO_OBJECT if recipe is LIBERO else BRIDGE_ORIG
    still = {name: [*bounds[name][:6], 1.0] for name in BOUNDS}
    said = [f'the gripper would always be at {opening}, whatever the policy says']
    assert doubts(recipe, stats(still, mask=[True] * 7)) == said
    assert doubts(recipe, stats(still)) == []  # the policy's own word


def test_bounds_that_are_not_of_the_data_are_told():
    """Those of another robot, or edited ones: the arm went farther than it ever did."""
    ends = {'min': [-0.4] * 6 + [0.0], 'max': [0.4] * 6 + [1.0]}
    assert doubts(PLAIN, stats(BRIDGE_ORIG, **ends)) == []
    for name, value, bound in (('max', 0.02, 'max 0.02'), ('min', -0.01, 'min -0.01')):
        others = {**ends, name: [ends[name][0], value, *ends[name][2:]]}
        (line,) = doubts(PLAIN, stats(BRIDGE_ORIG, **others))
        assert f'in dimension 1, beyond its {bound}: they are of other data' in line
    for unread in (None, 'none', [0.0], [float('nan')] * 7):
        assert doubts(PLAIN, stats(BRIDGE_ORIG, **{**ends, 'max': unread})) == []


def test_what_no_mask_unnormalises_goes_to_one():
    low, high = farthest_actions(stats(BRIDGE_ORIG))
    assert (low[-1], high[-1]) == (-1.0, 1.0)
    np.testing.assert_allclose(high[:6], BRIDGE_ORIG['q99'][:6])


@pytest.mark.parametrize('recipe', [PLAIN, read_recipe(image_crop=0.9)])
def test_a_hint_is_said_and_not_taken(recipe):
    line = suggestion(recipe, stats(LIBERO_OBJECT, key='libero_object_no_noops'))
    assert 'recipe libero (image_rotation 180' in line
    assert 'suggested, and not applied; in force is plain' in line


def test_a_file_that_says_nothing_of_actions_does_not_choose_them(tmp_path):
    file = tmp_path / 'mine.yaml'
    for text in ('image_rotation: 180\nimage_crop: 0.9', '{}'):
        file.write_text(text)
        said = fields_said(file)
        with pytest.raises(ValueError, match=r'nothing of actions: .*action_scale 0\.05 0\.5'):
            require_choice(['libero_goal'], None, option='', said=said)
        require_choice(['bridge_orig', 'mine'], 'bridge_orig', option='', said=said)
        require_choice(['mine'], None, option='', said=said)
    file.write_text('action_scale: [1, 1]')
    for each in (file, *RECIPES):
        require_choice(['libero_goal'], None, option='', said=fields_said(each))


@pytest.mark.parametrize('recipe', [LIBERO, BRIDGE])
def test_who_has_chosen_gets_no_hint(recipe):
    assert suggestion(recipe, stats(LIBERO_OBJECT, key='libero_object')) is None


def test_an_own_recipe_for_other_norm_stats_is_doubted(tmp_path):
    file = tmp_path / 'lab.yaml'
    file.write_text('image_crop: 0.9\nunnorm_key: lab_*')
    lab, kitchen = read_recipe(file), stats(BRIDGE_ORIG, key='kitchen')
    assert "recipe lab says that it is for norm stats called 'lab_*'" in pattern_doubt(
        lab, kitchen
    )
    assert "'kitchen'" in pattern_doubt(lab, kitchen)
    assert pattern_doubt(lab, stats(BRIDGE_ORIG, key='LAB_2')) is None
    for recipe in (PLAIN, BRIDGE, LIBERO, read_recipe('libero', image_crop=1.0)):
        assert pattern_doubt(recipe, kitchen) is None


def test_the_doubt_is_among_the_hints(tmp_path):
    lab, kitchen = read_recipe(unnorm_key='lab_*'), stats(BRIDGE_ORIG, key='kitchen')
    assert pattern_doubt(lab, kitchen) in hints(lab, kitchen, tmp_path, files={})


def test_other_robots():
    arms = NormStats.select({'arms': {'action': {'q01': [-9] * 14, 'q99': [9] * 14}}})
    assert doubts(PLAIN, arms) == []
    check_dimensions(BRIDGE, arms)
    with pytest.raises(ValueError, match="norm stats 'arms' have 14"):
        check_dimensions(LIBERO, arms)


def test_a_fine_tune_on_crops_is_not_shown_whole_pictures_in_silence(tmp_path):
    folder = tmp_path / 'openvla-7b+mine+b16+lr-0.0005+lora-r32+dropout-0.0--image_aug' / 'merged'
    assert 'image_crop 0.9' in crop_doubt(BRIDGE, folder)
    assert crop_doubt(LIBERO, folder) is None
    assert crop_doubt(PLAIN, tmp_path) is None
