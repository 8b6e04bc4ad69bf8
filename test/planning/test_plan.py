# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Draft trees grow where verifying is cheap, and vanish where it does not pay."""

import numpy as np
import pytest
import torch
from small_models import TargetAsDrafter, random_drafter, random_prompt, random_target, speculate

from spec_vla_ros.decoding.draft_tree import TreeShape
from spec_vla_ros.decoding.generate import autoregressive_generate
from spec_vla_ros.planning.costs import Costs
from spec_vla_ros.planning.plan import TreePlan, plan_trees

MIDDLING_HIT_RATES = {1: 0.6, 2: 0.7, 4: 0.8, 8: 0.87}
WHOLE = {8: 0.33, 12: 0.38, 16: 0.40, 24: 0.43}
CHEAP_DRAFT = {1: (0.1, 0.1), 2: (0.1, 0.1), 4: (0.1, 0.1), 8: (0.1, 0.1)}


def planned(costs, *, num_tokens=7, hit_rates=MIDDLING_HIT_RATES):
    held = {n: whole_or_nothing(share, num_tokens) for n, share in WHOLE.items()}
    return plan_trees(costs, num_tokens=num_tokens, rate=alike(hit_rates), held=held)


def whole_or_nothing(share, num_tokens=7):
    """How far guesses hold that are right about so many of the actions, and else about nothing."""
    return np.array([1 - share, *[0.0] * (num_tokens - 2), share])


def alike(hit_rates):
    """Rates that depend on the width alone; a width that is not named is never accepted."""
    return lambda width, dimension, level: hit_rates.get(width, 0.0)


def plan(verify, draft=CHEAP_DRAFT, hit_rates=MIDDLING_HIT_RATES):
    return planned(Costs(verify, draft), hit_rates=hit_rates)


def test_flat_costs_choose_wide_and_deep_trees():
    chosen = plan({1: 10.0, 50: 10.0})
    assert chosen(6) == TreeShape(8, 5, 40)
    assert chosen.expected_ms[5] < 6 * 10.0 / 2


def test_proportional_costs_draft_nothing():
    chosen = plan({1: 1.0, 50: 50.0})
    assert set(chosen.shapes) == {None}
    assert chosen.expected_ms[6] == 7.0


def test_steep_costs_choose_chains():
    chosen = plan({1: 10.0, 2: 10.5, 50: 40.0}, hit_rates={1: 0.85, 8: 0.87})
    shape = chosen(6)
    assert (shape.top_k, shape.nodes) == (1, shape.depth)


def test_expensive_drafts_are_left_out():
    assert set(plan({1: 1.0, 50: 1.0}, draft=dict.fromkeys(CHEAP_DRAFT, (9.0, 9.0))).shapes) == {
        None
    }


def test_the_drafters_own_prefill_must_pay():
    for prefill, drafts in ((1.0, True), (60.0, False)):
        costs = Costs({1: 10.0, 50: 10.0}, CHEAP_DRAFT, draft_prefill=prefill)
        chosen = planned(costs)
        assert any(chosen.shapes) == drafts


def test_hidden_states_for_the_drafter_must_pay():
    for features, drafts in ((1.0, True), (60.0, False)):
        chosen = planned(Costs({1: 10.0, 50: 10.0}, CHEAP_DRAFT, features=features))
        assert any(chosen.shapes) == drafts


def test_where_drafts_gain_next_to_nothing_passes_are_plain():
    """Costs are not known to a few hundredths, and plain passes are never slower than they are."""
    plain = plan({1: 10.0, 2: 10.0, 50: 60.0}, draft={1: (6.0, 6.0)}, hit_rates={1: 0.68})
    assert set(plain.shapes) == {None}
    drafting = plan({1: 10.0, 2: 10.0, 50: 60.0}, draft={1: (2.0, 2.0)}, hit_rates={1: 0.68})
    assert any(drafting.shapes)


def test_a_plan_says_what_it_drafts():
    assert str(plan({1: 10.0, 50: 10.0})) == (
        'drafts of 40 tokens, 8 abreast, 24 guesses inside the prefill'
    )
    assert str(plan({1: 1.0, 50: 50.0})).startswith('no drafts, ')


def test_rounds_that_cost_much_beyond_their_passes_are_left_out():
    for overhead, drafts in ((0.1, True), (60.0, False)):
        costs = Costs({1: 10.0, 50: 10.0}, CHEAP_DRAFT, round=overhead)
        chosen = planned(costs)
        assert any(chosen.shapes) == drafts


@pytest.mark.parametrize(
    ('guess', 'expected'), [((0.0, 0.0), 24), ((0.0, 0.3), 12), ((9.0, 0.3), 0), ((0.0, 2.0), 0)]
)
def test_guesses_are_verified_where_they_save_more_than_they_cost(guess, expected):
    chosen = planned(Costs({1: 10.0, 50: 10.0}, CHEAP_DRAFT, guess=guess))
    assert chosen.expected_ms[5] < 25.0
    assert chosen.guesses == expected


def test_guesses_that_hold_in_part_save_the_passes_that_they_spare():
    """Without drafts every token is a pass; one guess that holds for one token spares one."""
    for share, guesses in ((0.4, 6), (0.2, 0)):
        held = np.array([1 - share, share, *[0.0] * 5])
        chosen = plan_trees(
            Costs({1: 10.0, 50: 500.0}, {}, guess=(0.0, 0.5)),
            num_tokens=7,
            rate=alike({}),
            held={6: held},
        )
        assert not any(chosen.shapes)
        assert chosen.guesses == guesses


def test_the_last_token_is_never_drafted():
    assert plan({1: 10.0, 50: 10.0})(1) is None
    assert TreeShape()(1) is None
    assert TreeShape()(3).depth == 2


def test_expected_time_is_right_for_a_chain_of_one():
    costs = Costs({1: 10.0, 2: 12.0}, {1: (1.0, 1.0)})
    chosen = planned(costs, num_tokens=3, hit_rates={1: 0.8})
    assert chosen.shapes[:2] == (None, TreeShape(1, 1, 1))
    assert abs(chosen.expected_ms[1] - (1.0 + 12.0 + 0.2 * 10.0)) < 1e-9


def test_any_plan_decodes_exactly():
    """Rounds without a draft in between, too."""
    wide, chain = TreeShape(4, 2, 8), TreeShape(1, 1, 1)
    for shapes in (
        (None, chain, None, wide, None, chain, None),
        (None,) * 7,
        (None, *(chain,) * 6),
    ):
        for seed in range(5):
            target, prompt = random_target(seed), random_prompt(seed)
            expected = autoregressive_generate(target, prompt, num_tokens=7).tokens
            for drafter in (random_drafter(seed), TargetAsDrafter(target, prompt)):
                decoded = speculate(target, drafter, prompt, tree=TreePlan(shapes, (0.0,) * 7))
                assert torch.equal(decoded.tokens, expected)


def test_a_plain_round_leaves_the_drafter_informed():
    """What was decided meanwhile reaches the drafter with the next proposal."""
    target, prompt = random_target(2), random_prompt(2)
    shapes = (None, None, TreeShape(1, 2, 2), None, TreeShape(1, 1, 1), None, None)
    drafter, plan = TargetAsDrafter(target, prompt), TreePlan(shapes, (0.0,) * 7)
    decoded = speculate(target, drafter, prompt, tree=plan, ids=None)
    assert decoded.accept_lengths == (1, 2, 3)
