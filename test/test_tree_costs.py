# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Everything that a plan needs is measured, for drafters that read all or the end of a prompt."""

import pytest
import torch
from recorded_ops import OpRecorder, torch_only  # noqa: F401 - a fixture
from small_models import random_drafter, random_prompt, random_target

from spec_vla_ros.decoding import tree_costs
from spec_vla_ros.decoding.cuda_graphs import GraphSteps
from spec_vla_ros.decoding.steps import Eager
from spec_vla_ros.decoding.tree_costs import Costs, measure_costs
from spec_vla_ros.decoding.tree_plan import GUESS_RATES, HIT_RATES, plan_trees
from spec_vla_ros.models.packed import PackedDrafter, PackedLlama


@pytest.mark.parametrize('recorded', [False, True])
@pytest.mark.parametrize('window', [None, 2, 50])
def test_measured_costs_are_complete(window, recorded, torch_only):  # noqa: F811
    target = PackedLlama(random_target(0))
    drafter = PackedDrafter(random_drafter(0, window=window))
    steps = GraphSteps(OpRecorder()) if recorded else Eager()
    costs = measure_costs(target, drafter, random_prompt(0), steps=steps, repeats=2)
    assert not recorded or steps.recorded > 20  # each size of pass and tree, and an action
    assert costs.verify.keys() >= {1, 50}
    assert all(ms > 0 for ms in costs.verify.values())
    assert min(costs.round, costs.features, costs.draft_prefill, *costs.guess) >= 0
    for mode, hit_rates in HIT_RATES.items():
        chosen = plan_trees(
            costs, num_tokens=7, hit_rates=hit_rates, guess_rates=GUESS_RATES[mode]
        )
        assert len(chosen.shapes) == 7


def test_between_what_was_measured_costs_are_interpolated():
    costs = Costs({1: 10.0, 3: 14.0}, {1: (2.0, 1.0)}, features=0.5, draft_prefill=0.25)
    assert costs.of_verifying(2) == 12.0
    assert costs.of_reading == 0.75


def test_a_busy_moment_does_not_change_what_passes_cost_beside_each_other(monkeypatch):
    """All are timed in turns: the first third of a second is slow, whatever runs in it."""
    now = 0.0

    def taking(ms):
        def run():
            nonlocal now
            now += (ms + (20 if now < 0.3 else 0)) / 1e3

        return run

    monkeypatch.setattr(tree_costs.time, 'perf_counter', lambda: now)
    watch = tree_costs._Stopwatch(Eager(), torch.device('cpu'), 9)
    least = watch.least_ms({'one row': taking(1.0), 'two rows': taking(1.5)})
    assert least == pytest.approx({'one row': 1.0, 'two rows': 1.5})


def test_a_long_pass_is_timed_in_one_round_only(monkeypatch):
    """Warming up a large model takes long enough."""
    now, runs = 0.0, 0

    def run():
        nonlocal now, runs
        now, runs = now + 2.0, runs + 1

    monkeypatch.setattr(tree_costs.time, 'perf_counter', lambda: now)
    watch = tree_costs._Stopwatch(Eager(), torch.device('cpu'), 9)
    assert watch.least_ms({'prefill': run}) == {'prefill': pytest.approx(2000.0)}
    assert runs == 3
