# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The pipeline for a suite on next to nothing: layouts of its own, labels that fit, a policy."""

from dataclasses import replace

import numpy as np
import pytest
import torch

pytest.importorskip('libero')

from spec_vla_ros.models.recipes import suggested_recipe
from spec_vla_ros.policy import load_policy
from spec_vla_ros.sim.libero.env import LiberoEnv
from spec_vla_ros.sim.libero.expert import FULL_SPEED, Phase
from spec_vla_ros.sim.libero.suites import read_tasks
from spec_vla_ros.training.libero import pipeline
from spec_vla_ros.training.libero.collect import (
    collect_libero,
    empty_hands,
    episode,
    glimpses,
    named_things,
)
from spec_vla_ros.training.libero.frames import load_libero_frames
from spec_vla_ros.training.libero.pipeline import design_for, suite_recipe, train_libero_policy
from spec_vla_ros.training.small_model import small_tokenizer
from spec_vla_ros.types import Observation

pytestmark = pytest.mark.libero

SUITE = 'libero_object'


@pytest.mark.parametrize('suite', [SUITE, 'libero_spatial'])
def test_prompts_of_a_suite_have_one_length_and_one_token_for_what_differs(suite):
    design = design_for(suite)
    tokenizer = small_tokenizer(design)
    ids = [tokenizer.encode(text).ids for text in design.instructions]
    assert {len(i) for i in ids} == {4}
    assert len({tuple(i) for i in ids}) == len(design.instructions)
    assert suggested_recipe(design.name) is None  # its pictures are not those of fine-tunes


def test_suites_that_do_more_than_to_place_a_thing_are_refused():
    assert len(set(named_things(read_tasks(SUITE)))) == 10
    with pytest.raises(ValueError, match='more than placing one thing'):
        named_things(read_tasks('libero_10'))


class SeedsOnly(LiberoEnv):
    """Refuses what a policy is judged by."""

    def reset(self, *, initial_state=None, **start):
        assert initial_state is None, 'an official initial state is learned from'
        return super().reset(**start)


@pytest.fixture
def env():
    made = SeedsOnly(SUITE)
    yield made
    made.close()


def test_frames_are_labelled_for_what_lies_in_the_scene(env):
    found = collect_libero(env, 0, range(5, 6), record=episode)
    labelled = ~np.isnan(found.actions[..., 0])
    assert labelled[0].sum() == 6  # the soup and the five things beside it
    assert np.all(labelled[np.arange(len(found)), found.wanted])
    assert np.abs(found.actions[labelled][:, :6]).max() <= FULL_SPEED.max() * 1.01
    # Where the hand is far from a thing, it aims there.
    way = (found.things[0] - found.end_effector[0, :3])[labelled[0], :2]
    aim = found.actions[0, labelled[0], :2]
    cosine = (way * aim).sum(1) / np.linalg.norm(way, axis=1) / np.linalg.norm(aim, axis=1)
    assert cosine.min() > 0.9


def test_glimpses_are_of_hands_near_things_and_say_when_to_grasp(env):
    found = collect_libero(env, 1, range(5, 25), record=glimpses)
    rows = np.arange(len(found))
    assert len(found) > 60  # where the hand has room
    assert len(np.unique(found.images.reshape(len(found), -1), axis=0)) == len(found)
    assert len(set(found.wanted)) > 3
    hand, thing = found.end_effector[:, :2], found.things[rows, found.wanted, :2]
    away = np.linalg.norm(hand - thing, axis=1)
    assert np.median(away) < 0.06
    closes = found.actions[rows, found.wanted, 6] == 0
    assert 0.05 < closes.mean() < 0.5
    assert away[closes].max() < 0.06  # long things are also held beside their middle
    assert np.all(found.actions[rows, found.wanted, :6][closes] == 0)
    reaching = found.phases == Phase.REACH.value
    assert np.all((~np.isnan(found.actions[reaching, :, 0])).sum(1) == 3)


def test_empty_hands_open_and_go_back_for_the_thing(env):
    found = collect_libero(env, 1, range(5, 15), record=empty_hands)
    rows = np.arange(len(found))
    assert len(found) > 30
    opened = found.end_effector[:, 9] > 0.003
    assert 0.1 < opened.mean() < 0.5
    assert np.all(found.actions[rows, 1, 6] == 1)
    way = found.things[rows, 1, :2] - found.end_effector[:, :2]
    far = np.linalg.norm(way, axis=1) > 0.1
    assert 0.1 < far.mean() < 0.9  # on the way to the basket, and not yet
    assert far[opened].mean() > 0.5  # beside the thing they are closed
    assert np.all((way * found.actions[rows, 1, :2]).sum(1)[far] >= 0)


def test_from_seed_to_checkpoint(tmp_path, monkeypatch):
    monkeypatch.setattr(pipeline, '_LAYOUTS_PER_FILE', 3)
    recipe = suite_recipe(SUITE)
    monkeypatch.setitem(pipeline.SUITE_RECIPES, SUITE, replace(recipe, empty_hands=2))
    usual = recipe.hyperparameters
    once = replace(usual.vision, iterations=2)
    hyperparameters = replace(
        usual, files=2, episodes_per_file=1, vision=once, language=once, grounding=once
    )
    work, reports = tmp_path / 'work', []
    for _ in range(2):  # the second time everything is there already
        train_libero_policy(
            SUITE,
            hyperparameters,
            work=work,
            out=tmp_path / 'out',
            processes=2,
            device=torch.device('cpu'),
            report=reports.append,
        )
    assert sum('2/2' in text for text in reports) == 3
    assert len(list(work.glob(f'{SUITE}_glimpses_*.npz'))) == 2
    assert len(list(work.glob(f'{SUITE}_empty_hands_*.npz'))) == 2
    frames = load_libero_frames(sorted(work.glob('*.npz')))
    assert min(frames.episodes) >= 2_000_000
    policy = load_policy(tmp_path / 'out', device='cpu')
    task = read_tasks(SUITE)[3]
    action = policy.infer(Observation(frames.images[0], task.instruction))
    assert np.all(np.abs(action.values[:6]) <= FULL_SPEED.max() * 1.01)
