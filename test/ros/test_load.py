# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""From the node's parameters to a policy: what they say of conventions reaches it."""

import json
import sys

import numpy as np
import pytest
from toy_checkpoint import write_tiny, write_tiny_drafter

from spec_vla_ros.checkpoints import TABLETOP, libero_checkpoint
from spec_vla_ros.ros.load import policy_from_settings
from spec_vla_ros.settings.nodes import PolicySettings
from spec_vla_ros.types import Decoding

LIBERO_OBJECT = libero_checkpoint('libero_object')


def settings(folder, **changes):
    return PolicySettings(checkpoint=str(folder), device='cpu', **changes)


def test_the_recipe_and_what_differs_from_it(tmp_path):
    folder = write_tiny(tmp_path / 'tiny')
    assert policy_from_settings(settings(folder)).info.recipe.startswith('plain (pictures')
    asked = settings(
        folder, observation_recipe='bridge', image_rotation=90, gripper_range=(-1.0, 1.0)
    )
    found = policy_from_settings(asked).info.recipe
    assert found == (
        'bridge (image_rotation 90, jpeg_quality 95, resampling lanczos, gripper_range -1 1)'
    )


def test_a_published_fine_tune_needs_its_recipe_to_be_chosen(tmp_path):
    """The arm would move, too far and by pictures that the model has never seen."""
    folder = write_tiny(tmp_path / 'tiny')
    config = json.loads((folder / 'config.json').read_text())
    (stats,) = config['norm_stats'].values()
    config['norm_stats'] = {'libero_spatial_no_noops': stats}
    (folder / 'config.json').write_text(json.dumps(config))
    key = {'unnorm_key': 'libero_spatial_no_noops'}
    for changes in ({}, key, {'image_crop': 0.9}, {'gripper_range': (-1.0, 1.0)}):
        with pytest.raises(ValueError, match=r'give observation_recipe:=libero, or .*=plain for'):
            policy_from_settings(settings(folder, **changes))
    for changes in ({}, {'image_crop': 0.9}):
        asked = settings(folder, observation_recipe='plain', **changes)
        assert policy_from_settings(asked).info.recipe.startswith('plain')


def with_bounds(folder, key, bounds, **changes):
    """Give a checkpoint one data set, whose arm goes from and to these, one or six."""
    low, high = (np.broadcast_to(b, 6).tolist() for b in bounds)
    action = {'q01': [*low, 0.0], 'q99': [*high, 1.0], 'mask': [True] * 6 + [False]}
    config = json.loads((folder / 'config.json').read_text())
    config['norm_stats'] = {key: {'action': {**action, **changes}}}
    (folder / 'config.json').write_text(json.dumps(config))
    return folder


@pytest.mark.parametrize(
    ('key', 'most', 'words'),
    [
        ('my_robot', 0.94, 'a step of 0.94 cannot be metres'),
        ('modified_libero_rlds', 0.94, "as LIBERO's have, which the recipe libero is for"),
        ('LIBERO_Spatial', 0.94, "'LIBERO_Spatial' are those of the recipe libero"),
        ('in_mm', 15.0, 'a step of 15.00 cannot be metres'),
        ('in_degrees', [0.01] * 3 + [3.0] * 3, 'a turn of 3.00 cannot be radians'),
    ],
)
def test_actions_that_cannot_be_metres_need_their_scale_to_be_said(tmp_path, key, most, words):
    """A warning in the log keeps no arm from moving twenty times too far."""
    folder = with_bounds(write_tiny(tmp_path / 'tiny'), key, (-np.array(most), most))
    for changes in ({}, {'image_crop': 0.9}):
        with pytest.raises(ValueError, match='observation_recipe') as refused:
            policy_from_settings(settings(folder, **changes))
        assert words in str(refused.value)
    assert policy_from_settings(settings(folder, observation_recipe='plain'))
    if key != 'LIBERO_Spatial':
        assert policy_from_settings(settings(folder, action_scale=(0.05, 0.5)))


ABSOLUTE = ([0.2, -0.1, 0.05, 2.5, -0.3, -0.4], [0.29, 0.1, 0.3, 3.1, 0.3, 0.4])


@pytest.mark.parametrize('recipe', ['', 'plain'])
def test_an_arm_that_could_never_stand_still_is_not_driven(tmp_path, recipe):
    """As with absolute poses, which no scale makes displacements of."""
    folder = with_bounds(write_tiny(tmp_path / 'tiny'), 'mine', ABSOLUTE)
    asked = settings(folder, observation_recipe=recipe)
    words = r"'mine': 0 is not in .*x \(0.2 to 0.29\), z .*, roll .*: are these absolute poses"
    with pytest.raises(ValueError, match=words):
        policy_from_settings(asked)


def test_a_file_of_pictures_does_not_say_what_actions_are(tmp_path):
    file = tmp_path / 'mine.yaml'
    file.write_text('image_rotation: 180')
    for key, words in (('libero_goal', 'says nothing of actions'), ('mine', 'cannot be metres')):
        folder = with_bounds(write_tiny(tmp_path / key), key, (-0.94, 0.94))
        with pytest.raises(ValueError, match=words):
            policy_from_settings(settings(folder, observation_recipe=str(file)))
        asked = {'observation_recipe': str(file), 'action_scale': (0.05, 0.5)}
        assert policy_from_settings(settings(folder, **asked))
    folder = with_bounds(write_tiny(tmp_path / 'in_metres'), 'mine', (-0.02, 0.02))
    assert policy_from_settings(settings(folder, observation_recipe=str(file)))


def test_eight_dimensions_are_told_before_weights_are_read(tmp_path):
    folder = write_tiny(tmp_path / 'tiny')
    (folder / 'model.safetensors').write_bytes(b'')
    config = json.loads((folder / 'config.json').read_text())
    config['norm_stats'] = {'two_hands': {'action': {'q01': [-0.02] * 8, 'q99': [0.02] * 8}}}
    (folder / 'config.json').write_text(json.dumps(config))
    with pytest.raises(ValueError, match=r"'two_hands' has 8 dimensions; .* effector with 7"):
        policy_from_settings(settings(folder))


def test_a_mode_that_lacks_a_drafter_is_told_before_weights_are_read(tmp_path):
    folder = write_tiny(tmp_path / 'tiny')
    drafter = write_tiny_drafter(write_tiny(tmp_path / 'other')) / 'drafter'
    policy_from_settings(settings(folder, decoding_mode='strict', drafter=str(drafter)))
    (folder / 'model.safetensors').write_bytes(b'')
    with pytest.raises(ValueError, match=r"decoding_mode: 'strict' needs a drafter"):
        policy_from_settings(settings(folder, decoding_mode='strict'))


def test_the_shipped_policies_need_no_choice():
    for folder in (TABLETOP, LIBERO_OBJECT):
        policy_from_settings(settings(folder))


def with_statistics(folder, *, base, own):
    """Give a checkpoint data sets of the model that it was made from, and its own."""
    config = json.loads((folder / 'config.json').read_text())
    (stats,) = config['norm_stats'].values()
    config['norm_stats'] = dict.fromkeys(base, stats)
    (folder / 'config.json').write_text(json.dumps(config))
    (folder / 'dataset_statistics.json').write_text(json.dumps(dict.fromkeys(own, stats)))
    return folder


def test_its_recipe_is_asked_for_beside_the_data_sets_of_what_it_was_made_from(tmp_path):
    folder = with_statistics(
        write_tiny(tmp_path / 'tiny'),
        base=['bridge_orig', 'fractal20220817_data'],
        own=['libero_object_no_noops'],
    )
    with pytest.raises(ValueError, match=r"'libero_object_no_noops' are those of the recipe libe"):
        policy_from_settings(settings(folder))
    found = policy_from_settings(settings(folder, observation_recipe='libero')).info
    assert found.unnorm_key == 'libero_object_no_noops'


def test_a_recipe_does_not_choose_norm_stats_of_what_it_was_made_from(tmp_path):
    """The arm would move as far as another robot's data say."""
    folder = with_statistics(
        write_tiny(tmp_path / 'tiny'), base=['bridge_orig', 'fractal20220817_data'], own=['mine']
    )
    for recipe in ('bridge', 'plain'):
        found = policy_from_settings(settings(folder, observation_recipe=recipe)).info
        assert found.unnorm_key == 'mine'
    asked = settings(folder, observation_recipe='bridge', unnorm_key='bridge_orig')
    assert policy_from_settings(asked).info.unnorm_key == 'bridge_orig'


def test_a_draft_plan_is_kept_to(tmp_path):
    folder = write_tiny_drafter(write_tiny(tmp_path / 'tiny'))
    text = '- 1x1 - 1x3 2x2 1x5 1x6 guesses 9'
    policy = policy_from_settings(settings(folder, draft_plan=text))
    assert policy.tree(Decoding('relaxed', 9)).text == text


@pytest.mark.parametrize(
    ('changes', 'reason'),
    [
        ({'draft_plan': 'wide'}, "'wide' is no draft plan"),
        ({'observation_recipe': 'somewhere.yaml'}, 'none of plain, libero, bridge'),
        ({'image_rotation': 45}, 'image_rotation 45 is not 0, 90, 180 or 270'),
        ({'gripper_range': (1.0, 0.0)}, 'the lower first'),
    ],
)
def test_what_cannot_be_ends_before_weights_are_read(tmp_path, changes, reason):
    with pytest.raises(ValueError, match=reason):
        policy_from_settings(settings(tmp_path / 'nothing', **changes))


def test_a_forgotten_virtual_environment_is_told_as_such(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'torch', None)
    with pytest.raises(ValueError, match=r'torch is not installed for .*: activate the virtual'):
        policy_from_settings(settings(tmp_path))
