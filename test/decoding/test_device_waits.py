# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""How often the host waits for a device in an action, counted on one that computes nothing."""

from itertools import combinations

import numpy as np
import pytest
import torch
from device_rules import DEVICE, DeviceRules, RuleRecorder
from recorded_engine import SHAPES, Engine
from small_models import merged
from toy_checkpoint import write_tiny

from spec_vla_ros import policy
from spec_vla_ros.decoding.cuda.graph_runner import GraphRunner
from spec_vla_ros.decoding.runner import Runner
from spec_vla_ros.models.checkpoint import load_openvla
from spec_vla_ros.models.drafter import Drafter
from spec_vla_ros.policy_config import PolicyConfig
from spec_vla_ros.types import Decoding, Observation

pytestmark = pytest.mark.slow

TOKENS = 7
COMMITS = [
    tuple(b - a for a, b in zip((0, *ends), (*ends, TOKENS), strict=True))
    for count in range(TOKENS)
    for ends in combinations(range(1, TOKENS), count)
]
"""Every way in which passes can decide seven tokens."""


def passes_of(commits):
    """The passes of an action: how many tokens are decided before each, and by it."""
    before = np.cumsum((0, *commits[:-1])).tolist()
    return set(zip(before, commits, strict=True))


def covering(ways):
    """A few of the ways, with every pass of all: what one does, the others do not change."""
    left, found = set().union(*map(passes_of, ways)), []
    while left:
        found.append(max(ways, key=lambda commits: len(passes_of(commits) & left)))
        left -= passes_of(found[-1])
    return found


def all_at_once(shape):
    """What the host reads of an action that was decoded plainly."""
    return [64] * shape[0]


class Commits:
    """What the host reads of an action whose passes decide certain numbers of tokens."""

    def __init__(self, commits):
        self._left = iter(commits)

    def __call__(self, shape):
        if shape == (1,):  # the last token, without a draft
            return [64]
        return [next(self._left), *[64] * (shape[0] - 1)]


class Watched:
    """An engine on the device; every action says how often the host waited."""

    def __init__(self, *, recorded):
        self._recorder = RuleRecorder()
        runner = GraphRunner(self._recorder) if recorded else Runner()
        self._engine = Engine(0, DEVICE, runner=runner)
        self._prompt = torch.zeros(1, 20, 32, device=DEVICE)

    def autoregressive(self):
        with self._rules(all_at_once) as rules:
            self._engine.autoregressive(self._prompt)
        return rules.waits

    def speculative(self, commits, shape, *, distance=9, guesses=None):
        with self._rules(Commits(commits)) as rules:
            decoded = self._engine.speculative(self._prompt, distance, shape, guesses)
        assert decoded.commits == commits
        return rules.waits

    def _rules(self, answer):
        self._recorder.rules = DeviceRules(answer)
        return self._recorder.rules


def guess_tree():
    rows = torch.tensor([[70, 71, 72, 73, 74, 75], [70, 90, 91, 92, 93, 94]])
    return merged(rows)


def possible(commits, shape, *, guessed):
    """Whether trees of this size can decide so many tokens in each pass."""
    left = TOKENS
    for number, committed in enumerate(commits):
        if number:
            drafted = SHAPES[shape](left)
            most = 1 if drafted is None else 1 + drafted.depth
        else:
            most = TOKENS if guessed else 1
        if committed > most:
            return False
        left -= committed
    return True


@pytest.mark.parametrize('recorded', [False, True])
def test_autoregressive_waits_once(recorded):
    engine = Watched(recorded=recorded)
    for _ in range(4):
        assert len(engine.autoregressive()) == 1


@pytest.mark.parametrize(('distance', 'recorded'), [(0, False), (9, False), (9, True)])
@pytest.mark.parametrize('guessed', [False, True])
@pytest.mark.parametrize('shape', SHAPES)
def test_speculative_waits_once_a_pass(shape, distance, guessed, recorded):
    engine, guesses = Watched(recorded=recorded), guess_tree() if guessed else None
    found = [c for c in COMMITS if possible(c, shape, guessed=guessed)]
    assert found
    for commits in covering(found):
        waits = engine.speculative(commits, shape, distance=distance, guesses=guesses)
        assert len(waits) == len(commits)


def test_from_picture_to_action_the_host_waits_once_a_pass(tmp_path, monkeypatch):
    checkpoint = load_openvla(write_tiny(tmp_path), device='cpu')
    target = checkpoint.model.language_model
    drafter = Drafter(target.config).to(DEVICE).eval().requires_grad_(requires_grad=False)
    checkpoint.model.to(DEVICE)
    recorder = RuleRecorder()
    monkeypatch.setattr(policy, 'runner_for', lambda device, cuda_graphs: GraphRunner(recorder))
    found = policy.SpecVlaPolicy(
        checkpoint, config=PolicyConfig(tree=SHAPES['tree']), drafter=drafter
    )
    picture = np.zeros((48, 64, 3), np.uint8)
    for stamp in range(6):
        for decoding in (Decoding('relaxed', 9, temporal=True), Decoding('strict'), Decoding()):
            plain = decoding.mode == 'autoregressive'
            recorder.rules = DeviceRules(all_at_once if plain else Commits((1, 3, 3)))
            with recorder.rules:
                observation = Observation(picture, 'pick up the red block', stamp * 10**8)
                found.infer(observation, decoding)
            assert len(recorder.rules.waits) == (1 if plain else 3)
