# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Closed-loop evaluation counts what happened."""

import numpy as np
import pytest

from spec_vla_ros.evaluation.closed_loop import (
    HELD_OUT_SEEDS,
    Episode,
    run_episode,
    summarise,
    wilson_interval,
)
from spec_vla_ros.protocols import Action, DecodeStats
from spec_vla_ros.sim.env import TabletopEnv
from spec_vla_ros.sim.expert import expert_action


class ExpertPolicy:
    """The scripted expert behind the policy's interface: it looks at the simulator itself."""

    def __init__(self, env, *, colour_of):
        self._env, self._colour_of, self.resets = env, colour_of, 0

    def infer(self, observation):
        assert observation.image.shape == (64, 64, 3)
        values = expert_action(self._env, self._colour_of(self._env))
        return Action(values, values, np.zeros(7, int), DecodeStats('autoregressive', 7))

    def reset(self):
        self.resets += 1


@pytest.fixture(scope='module')
def env():
    env = TabletopEnv(image_size=64)
    yield env
    env.close()


def test_success_is_seen(env):
    policy = ExpertPolicy(env, colour_of=lambda e: e.colour)
    episode = run_episode(env, policy, seed=HELD_OUT_SEEDS[0])
    assert episode.success
    assert not episode.wrong_object
    assert 5 < episode.steps < 30
    assert policy.resets == 1


def test_the_wrong_object_is_seen(env):
    policy = ExpertPolicy(env, colour_of=lambda e: e.present[1])
    episode = run_episode(env, policy, seed=HELD_OUT_SEEDS[0])
    assert not episode.success
    assert episode.wrong_object


def test_summary_counts():
    rows = [Episode(i, f'do {i % 2}', i != 3, i == 3, 10 + i, 5.0) for i in range(4)]
    summary = summarise(rows)
    assert summary['success_rate'] == 0.75
    assert summary['wrong_object'] == 1
    assert summary['by_instruction']['do 1'] == {'episodes': 2, 'successes': 1}
    assert summary['failed_seeds'] == [3]
    assert summary['median_steps'] == 11


def test_wilson_interval_against_published_values():
    # Newcombe (1998), Statistics in Medicine 17, table I: 81 of 263 and 15 of 148
    np.testing.assert_allclose(wilson_interval(81, 263), (0.2553, 0.3662), atol=5e-5)
    np.testing.assert_allclose(wilson_interval(15, 148), (0.0624, 0.1605), atol=5e-5)
    with pytest.raises(ValueError, match='at least one'):
        wilson_interval(0, 0)
