# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""A recorded action is replayed pass by pass, whatever the weights are."""

import json

import pytest
import torch

from spec_vla_ros.benchmark.random_case import (
    ACTION_IDS,
    GENERATE,
    RandomCase,
    RandomModel,
    passes_of,
)
from spec_vla_ros.benchmark.trace import (
    RECORDED,
    WAYS,
    ActionTrace,
    Trace,
    WayTrace,
    guessed_tree,
    load_trace,
    save_trace,
)
from spec_vla_ros.decoding.draft_tree import TreeShape
from spec_vla_ros.types import AUTOREGRESSIVE

CASE = RandomCase(layers=2, hidden_size=64, intermediate_size=96, prompt_length=12)
CHAINS = (None, *(TreeShape(1, n, n) for n in range(1, 7)))
TREES = (None, *(TreeShape(4, n, 4 * n) for n in range(1, 7)))
GUESSES = (0, 0, 0, 1, 2, 3, 3, 4, 6, 8)  # parents; 5 levels deep
ACTIONS = (
    ActionTrace((), (1, 6)),
    ActionTrace((), (1, 2, 1, 3)),
    ActionTrace((), (1, 1, 1, 1, 1, 1, 1)),
    ActionTrace(GUESSES, (1, 6)),
    ActionTrace(GUESSES, (3, 4)),
    ActionTrace((0, 0, 1, 2, 3, 4, 5), (7,)),
)


@pytest.fixture(scope='module')
def model():
    return RandomModel(CASE, device=torch.device('cpu'), dtype=torch.float32, draft_window=8)


@pytest.mark.parametrize('shapes', [CHAINS, TREES], ids=['chains', 'trees'])
@pytest.mark.parametrize('action', ACTIONS, ids=str)
@pytest.mark.parametrize('way', ['strict', 'relaxed'])
def test_every_pass_commits_what_it_committed(model, action, shapes, way):
    recorded = {way: WayTrace(shapes, (action,))}
    done = model.methods(recorded, acceptance_threshold=9, actions=1)[way](0)
    committed = action.commits if action.guesses else action.commits[1:]
    assert done.stats.accept_lengths == committed
    assert done.stats.target_passes == len(action.commits)
    assert len(done.tokens) == 7


def test_the_passes_that_are_counted_are_those_that_run(model):
    rows = []

    class Counting:
        def __getattr__(self, name):
            return getattr(model.target, name)

        def __call__(self, embeds, **options):
            rows.append(embeds.shape[1])
            return model.target(embeds, **options)

    counted = object.__new__(RandomModel)
    counted.__dict__ = {**model.__dict__, 'target': Counting()}
    for action in ACTIONS:
        way = WayTrace(CHAINS, (action,))
        rows.clear()
        counted.methods({'relaxed': way}, acceptance_threshold=9, actions=1)['relaxed'](0)
        passes = passes_of(way, action, prompt_length=CASE.prompt_length)
        assert [p.rows for p in passes] == rows


def test_an_action_that_the_trees_cannot_hold_is_told(model):
    short = (None, *[TreeShape(1, 1, 1)] * 6)
    way = WayTrace(short, (ActionTrace((), (1, 6)),))
    with pytest.raises(ValueError, match='record it again'):
        model.methods({'strict': way}, acceptance_threshold=9, actions=1)['strict'](0)


def test_guessed_trees_have_the_recorded_form():
    tree = guessed_tree(ActionTrace(GUESSES, (1, 6)), action_ids=ACTION_IDS)
    assert tree.parents.tolist() == list(GUESSES)
    assert tree.depths.max() == 5
    assert guessed_tree(ActionTrace((), (1, 6)), action_ids=ACTION_IDS) is None


def test_a_sample_has_the_mean_of_all():
    actions = [ActionTrace((), (1, 6))] * 60 + [ActionTrace((), (1, 3, 3))] * 40
    way = WayTrace(CHAINS, tuple(actions))
    sample = way.sample(10)
    assert sum(len(a.commits) for a in sample) / 10 == way.mean_passes == 2.4


def test_traces_come_back_as_they_were_saved(tmp_path):
    ways = {'c': {'strict': WayTrace(TREES, ACTIONS)}}
    trace = Trace({'policy': 'p', 'seeds': [1, 2]}, ways, draft_window=8, machines={'c': 'a CPU'})
    save_trace(trace, tmp_path / 'trace.json')
    assert load_trace(tmp_path / 'trace.json') == trace


def test_unusable_traces_are_told(tmp_path):
    with pytest.raises(ValueError, match='--record-trace'):
        load_trace(tmp_path / 'absent.json')
    (tmp_path / 'bad.json').write_text(json.dumps({'cases': {'c': {'strict': {}}}}))
    with pytest.raises(ValueError, match=r'bad\.json is no trace'):
        load_trace(tmp_path / 'bad.json')


def test_the_shipped_trace_is_one():
    trace = load_trace(RECORDED)
    assert trace.about['policy'] == 'tabletop'
    assert trace.machines.keys() == trace.ways.keys()
    for ways in trace.ways.values():
        assert set(ways) == set(WAYS)
        for way in ways.values():
            assert all(sum(a.commits) == 7 for a in way.actions)
            assert len(way.shapes) == 7


def test_a_model_with_eyes_is_timed_from_the_image_on():
    towers = ('spec_vla_conv_vit_patch16_64', 'spec_vla_vit_patch16_64')
    case = RandomCase(2, 64, 96, prompt_length=25, towers=towers, image_size=64)
    model = RandomModel(case, device=torch.device('cpu'), dtype=torch.float32, draft_window=None)
    way = WayTrace(CHAINS, ACTIONS)
    methods = model.methods({'relaxed': way}, acceptance_threshold=9, actions=len(ACTIONS))
    plain, drafted = methods[AUTOREGRESSIVE](0), methods['relaxed'](0)
    assert methods[GENERATE](0).tokens == plain.tokens
    for done in (plain, drafted):
        assert done.stats.phases_ms['vision'] > 0
    assert passes_of(way, ACTIONS[0], prompt_length=25)[0].rows == 25
