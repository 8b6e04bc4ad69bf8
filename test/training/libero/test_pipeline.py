# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The pipeline for a suite on next to nothing: layouts of its own, labels that fit, a policy."""

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip('libero')

from spec_vla_ros.policy import load_policy
from spec_vla_ros.sim.libero.env import LiberoEnv
from spec_vla_ros.sim.libero.expert import FULL_SPEED
from spec_vla_ros.sim.libero.suites import read_tasks
from spec_vla_ros.training.libero.collect import collect_libero, named_things
from spec_vla_ros.training.libero.frames import load_libero_frames
from spec_vla_ros.training.libero.pipeline import RECIPE, design_for, train_libero_policy
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


def test_suites_that_do_more_than_to_place_a_thing_are_refused():
    assert len(set(named_things(read_tasks(SUITE)))) == 10
    with pytest.raises(ValueError, match='more than placing one thing'):
        named_things(read_tasks('libero_10'))


def test_frames_are_labelled_for_what_lies_in_the_scene():
    env = LiberoEnv(SUITE)
    try:
        found = collect_libero(env, 0, range(5, 6), named=named_things(env.tasks))
    finally:
        env.close()
    labelled = ~np.isnan(found.actions[..., 0])
    assert labelled[0].sum() == 6  # the soup and the five things beside it
    assert np.all(labelled[np.arange(len(found)), found.wanted])
    assert np.abs(found.actions[labelled][:, :6]).max() <= FULL_SPEED.max() * 1.01
    # Where the hand is far from a thing, it aims there.
    way = (found.things[0] - found.end_effector[0, :3])[labelled[0], :2]
    aim = found.actions[0, labelled[0], :2]
    cosine = (way * aim).sum(1) / np.linalg.norm(way, axis=1) / np.linalg.norm(aim, axis=1)
    assert cosine.min() > 0.9


def test_where_the_learner_drives_the_expert_still_says_what_it_would_do():
    asked = []

    def rises(picture, instruction):
        asked.append((picture.shape, instruction))
        return np.array([0, 0, 0.02, 0, 0, 0, 1.0])

    env = LiberoEnv(SUITE)
    try:
        options = {'named': named_things(env.tasks)}
        found = collect_libero(env, 0, range(5, 6), learner=rises, **options)
        expert = collect_libero(env, 0, range(5, 6), **options)
    finally:
        env.close()
    assert {shape for shape, _ in asked} == {(128, 128, 3)}
    assert {instruction for _, instruction in asked} <= set(found.wanted.tolist())
    assert len(asked) > len(found)  # every second step is a frame: it drives most of the time
    assert found.end_effector[:, 2].max() > expert.end_effector[:, 2].max() + 0.05
    high = np.argmax(found.end_effector[:, 2])
    assert found.actions[high, found.wanted[high], 2] < 0  # down to what it is to grasp


def test_from_seed_to_checkpoint(tmp_path):
    once = replace(RECIPE.vision, iterations=2)
    stages = dict.fromkeys(('vision', 'vision_again', 'language', 'grounding'), once)
    recipe = replace(RECIPE, files=1, own_files=1, episodes_per_file=2, **stages)
    work, reports = tmp_path / 'work', []
    for _ in range(2):  # the second time everything is there already
        train_libero_policy(
            SUITE, recipe, work=work, out=tmp_path / 'out', processes=1, report=reports.append
        )
    assert sum('2/2' in text for text in reports) == 4
    frames = load_libero_frames(sorted(work.glob('*.npz')))
    assert min(frames.episodes) >= 2_000_000
    policy = load_policy(tmp_path / 'out', device='cpu')
    task = read_tasks(SUITE)[3]
    action = policy.infer(Observation(frames.images[0], task.instruction))
    assert np.all(np.abs(action.values[:6]) <= FULL_SPEED.max() * 1.01)
