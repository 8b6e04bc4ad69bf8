# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Everything that a plan needs is measured, for drafters that read all or the end of a prompt."""

import numpy as np
import pytest
from recorded_ops import OpRecorder, torch_only  # noqa: F401 - a fixture
from small_models import ACTION_IDS, random_drafter, random_prompt, random_target

from spec_vla_ros.decoding.cuda.graph_runner import GraphRunner
from spec_vla_ros.decoding.drafting import TreeDrafter
from spec_vla_ros.decoding.runner import Runner
from spec_vla_ros.models.layouts.packed import PackedDrafter, PackedLlama
from spec_vla_ros.planning.costs import Costs, measure_costs
from spec_vla_ros.planning.plan import plan_trees
from spec_vla_ros.planning.rates import AcceptanceRates, RateTable


@pytest.mark.parametrize('recorded', [False, True])
@pytest.mark.parametrize('window', [None, 2, 50])
def test_measured_costs_are_complete(window, recorded, torch_only):  # noqa: F811
    target = PackedLlama(random_target(0))
    model = PackedDrafter(random_drafter(0, window=window))
    drafter = TreeDrafter(model, target, ids=ACTION_IDS)
    runner = GraphRunner(OpRecorder()) if recorded else Runner()
    costs = measure_costs(
        target,
        drafter,
        random_prompt(0),
        run=runner.run,
        generate=runner.speculative,
        repeats=2,
    )
    assert not recorded or runner.recorded > 20  # each size of pass and tree, and an action
    assert costs.verify.keys() >= {1, 50}
    assert all(ms > 0 for ms in costs.verify.values())
    assert min(costs.round, costs.features, costs.draft_prefill, *costs.guess) >= 0
    rates = AcceptanceRates(RateTable.neutral(7))
    for threshold in (0, 9):
        rate, held = rates.of_levels((threshold,) * 7), {8: np.full(7, 1 / 7)}
        chosen = plan_trees(costs, num_tokens=7, rate=rate, held=held)
        assert len(chosen.shapes) == 7


def test_between_what_was_measured_costs_are_interpolated():
    costs = Costs({1: 10.0, 3: 14.0}, {1: (2.0, 1.0)}, features=0.5, draft_prefill=0.25)
    assert costs.of_verifying(2) == 12.0
    assert costs.of_reading == 0.75
