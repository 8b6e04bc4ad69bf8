# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""What a drafter for a suite learns from: pictures of the tasks, driven by the policy itself."""

from collections import Counter
from itertools import groupby
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip('libero')

from spec_vla_ros.sim.libero.env import LiberoEnv
from spec_vla_ros.sim.libero.suites import read_tasks
from spec_vla_ros.training.drafter.sources import libero_examples, libero_starts

pytestmark = pytest.mark.libero

SUITE = 'libero_object'


class Raising:
    """A policy that raises the open hand, and counts."""

    def __init__(self):
        self.seen, self.resets = [], 0

    def reset(self):
        self.resets += 1

    def infer(self, observation, decoding):
        self.seen.append(observation)
        tokens = np.array([len(self.seen)])
        return SimpleNamespace(values=np.array([0, 0, 0.01, 0, 0, 0, 1.0]), tokens=tokens)


def test_the_policy_drives_the_tasks_in_turn_and_every_second_picture_is_given(monkeypatch):
    monkeypatch.setattr(LiberoEnv, 'max_steps', 4)
    starts, reset = [], LiberoEnv.reset
    monkeypatch.setattr(
        LiberoEnv, 'reset', lambda self, **start: starts.append(start) or reset(self, **start)
    )
    policy = Raising()
    begun = libero_starts(SUITE, range(2, 6))
    found = list(libero_examples(policy, begun, suite=SUITE, image_rotation=180))
    assert [e.episode for e in found] == [2, 2, 3, 3, 4, 4, 5, 5]
    assert [name for name, _ in groupby(e.instruction for e in found)] == [
        task.instruction for task in read_tasks(SUITE)[:4]
    ]
    assert policy.resets == 4
    assert [start['seed'] for start in starts] == [2, 3, 4, 5]
    assert all(start.get('initial_state') is None for start in starts)  # no official one
    assert len(policy.seen) == 16
    assert np.array_equal(found[1].image, policy.seen[2].image)
    assert [e.tokens.item() for e in found] == list(range(1, 17, 2))  # each its own answer
    assert not np.array_equal(found[0].image, found[1].image)


@pytest.mark.parametrize('count', [10, 11, 25, 200])
def test_every_task_has_its_part_of_the_episodes(count):
    starts = libero_starts(SUITE, range(7, 7 + count))
    shares = Counter(start.instruction for start in starts)
    assert set(shares) == {task.instruction for task in read_tasks(SUITE)}
    assert max(shares.values()) - min(shares.values()) <= 1
    assert [start.seed for start in starts] == list(range(7, 7 + count))
