# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Closed-loop evaluation sees what happens in the simulator, and counts it."""

import json
from dataclasses import asdict, replace
from importlib.util import find_spec

import numpy as np
import pytest

from spec_vla_ros.action_codec import ActionCodec
from spec_vla_ros.checkpoints import libero_checkpoint
from spec_vla_ros.evaluation.closed_loop import ClosedLoop, Episode, Start, Step, drive
from spec_vla_ros.evaluation.report import (
    dimension_table,
    exactness_lines,
    markdown_table,
    plot_sweep,
)
from spec_vla_ros.evaluation.summary import EpisodeFigures, episode_figures, summarise
from spec_vla_ros.norm_stats import NormStats
from spec_vla_ros.policy import load_policy
from spec_vla_ros.sim.env import TabletopEnv
from spec_vla_ros.sim.expert import expert_action
from spec_vla_ros.sim.libero.env import LiberoEnv
from spec_vla_ros.sim.scene import HELD_OUT_SEEDS
from spec_vla_ros.types import Action, DecodeStats, Decoding

STATS = NormStats('test', -np.ones(7), np.ones(7), np.ones(7, bool))
CODEC = ActionCodec(STATS, vocab_size=320)
PLAIN = DecodeStats('autoregressive', 7, phases_ms={'prefill': 1.0})


class ExpertPolicy:
    """The scripted expert behind the policy's interface: it looks at the simulator itself."""

    def __init__(self, env, *, colour_of):
        self.env, self.resets = env, 0
        self._colour_of = colour_of

    def infer(self, observation, decoding):
        assert observation.image.shape == (64, 64, 3)
        values = expert_action(self.env, self._colour_of(self.env))
        return Action(values, values, CODEC.encode(values), PLAIN)

    def reset(self):
        self.resets += 1


@pytest.fixture
def make_loop():
    env = TabletopEnv(image_size=64)

    def make(colour_of):
        policy, reference = (ExpertPolicy(env, colour_of=colour_of) for _ in range(2))
        return ClosedLoop(policy, reference, env), policy

    yield make
    env.close()


def test_success_is_seen(make_loop):
    loop, policy = make_loop(lambda env: env.colour)
    episode = loop.run(Start(seed=HELD_OUT_SEEDS[0]), Decoding())
    assert episode.success
    assert not episode.wrong_object
    assert 5 < len(episode.steps) < 30
    assert policy.resets == 1
    rise = episode.steps[-1].position[2] - min(s.position[2] for s in episode.steps)
    assert rise > 0.03


def test_the_wrong_object_is_seen(make_loop):
    loop, _ = make_loop(lambda env: env.present[1])
    episode = loop.run(Start(seed=HELD_OUT_SEEDS[0]), Decoding())
    assert not episode.success
    assert episode.wrong_object


def make_step(*, tokens_off=0, stats=PLAIN, x=0.0):
    tokens = np.full(7, 200)
    reference = Action(np.zeros(7), np.zeros(7), tokens, PLAIN)
    action = Action(np.full(7, 0.5), np.zeros(7), tokens + tokens_off, stats)
    return Step(action, reference, 5.0, 10.0, np.array([x, 0.0, 0.0]))


def make_episode(steps, seed=0):
    """The episode of seed 3 fails with a wrong object."""
    wrong = seed == 3
    return Episode(Start(seed=seed), f'do {seed % 2}', not wrong, wrong, tuple(steps), 0.16)


def summarised(*episodes):
    """Figures as they are after they have been kept in a file."""
    kept = [json.loads(json.dumps(asdict(episode_figures(e, CODEC)))) for e in episodes]
    return summarise([EpisodeFigures(**row) for row in kept])


def test_summary_counts():
    steps = tuple(make_step(tokens_off=o, x=0.1 * i) for i, o in enumerate((0, 0, 2, 4)))
    summary = summarised(*(make_episode(steps, i) for i in range(4)))
    assert summary['success_rate'] == 0.75
    assert summary['wrong_object'] == 1
    assert summary['by_instruction']['do 1'] == {'episodes': 2, 'successes': 1}
    assert summary['failed'] == [3]
    assert summary['identical_to_autoregressive'] == 0.5
    assert summary['deviation_bins'] == [1.5] * 7
    assert summary['deviation_values'] == [0.5] * 7
    assert summary['speedup'] == 2.0
    assert summary['mean_squared_jerk'] == pytest.approx(0, abs=1e-12)
    assert summary['exactness'] is None
    assert json.loads(json.dumps(summary))['actions'] == 16


def test_strict_actions_that_differ_from_those_of_the_same_precision_are_counted():
    """The reference may be of another precision; that is none of theirs."""
    steps = []
    for off in (0, 0, 3, 5):
        step = make_step(tokens_off=7)
        steps.append(replace(step, own=replace(step.action, tokens=step.action.tokens - off)))
    summary = summarised(make_episode(tuple(steps)))
    assert summary['exactness'] == {'actions': 4, 'differing': 2, 'largest_bins': 5}
    told = exactness_lines({'strict': summary}, dtype='bfloat16')
    assert '2 of 4 (50.0%), by up to 5 bins' in told
    assert 'strict' in told
    assert 'bfloat16' in told


def test_accept_lengths_are_told_apart_by_where_the_round_began():
    drafted = replace(PLAIN, accept_lengths=(3, 4))  # the prefill gave 3, the next round 4
    plain = replace(PLAIN, accept_lengths=(2, 4))  # the prefill gave 1, without a draft
    episode = make_episode((make_step(stats=drafted), make_step(stats=plain)))
    assert summarised(episode)['accept_length_by_dimension'] == [3, 2, None, 4, None, None, None]


def test_report_names_every_mode(tmp_path):
    steps = tuple(make_step(x=0.1 * i) for i in range(5))
    summary = summarised(make_episode(steps))
    off = summarised(make_episode((make_step(tokens_off=1.5),) * 4))
    names = ('autoregressive', 'strict', 'relaxed r=9', 'relaxed r=9 + temporal')
    results = dict.fromkeys(names, summary)
    table = markdown_table(results)
    assert all(f'| {name} | 1/1 |' in table for name in names)
    assert '| 1.50 | 500.00 | 500.00 |' in markdown_table({'x': off})
    assert '| relaxed r=9 | - |' in dimension_table(results)
    plot_sweep(results, tmp_path / 'sweep.png')
    assert (tmp_path / 'sweep.png').stat().st_size > 10_000


def test_others_decode_only_as_often_as_asked():
    env = TabletopEnv(image_size=64)
    policy, reference = (ExpertPolicy(env, colour_of=lambda env: env.colour) for _ in range(2))
    generated, seen = [], []

    def generate(observation):
        generated.append(observation.stamp_ns)
        return np.full(7, 200)

    loop = ClosedLoop(
        policy,
        reference,
        env,
        own=reference,
        generate=generate,
        compare_every=3,
        max_steps=5,
    )
    try:
        episode = loop.run(
            Start(seed=HELD_OUT_SEEDS[0]), Decoding(), watch=lambda *both: seen.append(both)
        )
    finally:
        env.close()
    assert len(episode.steps) == 5
    assert [o.stamp_ns for o, _ in seen] == [step * 160_000_000 for step in range(5)]
    assert generated == [seen[0][0].stamp_ns, seen[3][0].stamp_ns]
    compared = [step.reference is not None for step in episode.steps]
    assert compared == [True, False, False, True, False]
    assert [step.own is step.reference for step in episode.steps] == [True] * 5
    kept = episode_figures(episode, CODEC)
    assert (kept.compared, kept.identical, kept.exact['differing']) == (2, 2, 0)
    assert len(kept.milliseconds) == 5
    assert len(kept.generate_ms) == len(kept.autoregressive_ms) == len(kept.compared_ms) == 2
    summary = summarise([kept])
    assert summary['speedup_over_generate'] > 0
    assert summary['mean_steps_to_success'] is None  # it was cut off
    assert '| - | ' in markdown_table({'x': summary})


@pytest.mark.libero
@pytest.mark.skipif(find_spec('libero') is None, reason='no LIBERO: make libero')
def test_the_policy_that_ships_for_libero_does_its_task():
    policy = load_policy(libero_checkpoint('libero_object'), device='cpu')
    env = LiberoEnv('libero_object')
    passes = []

    def act(observation):
        action = policy.infer(observation, Decoding('relaxed', 9))
        passes.append(action.stats.target_passes)
        return action.values

    try:
        instruction = 'pick up the cream cheese and place it in the basket'
        env.reset(instruction=instruction, initial_state=20)
        steps = sum(1 for _ in drive(env, instruction, act))
        assert env.outcome().success
    finally:
        env.close()
    assert steps < env.max_steps
    assert np.mean(passes) < 3
