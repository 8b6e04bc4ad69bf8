# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Which draft tokens pass, and which path wins."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from spec_vla_ros.decoding.acceptance import (
    accepted_path,
    exact_match,
    following_motion,
    within_bins,
    within_budgets,
)
from spec_vla_ros.decoding.draft_tree import DraftTree

ACTIONS = range(100, 356)
ALONE = torch.ones(1, 1, dtype=torch.bool)  # one token, right below the root


def accepted(rule, draft, choice, place=0):
    values = [torch.tensor([v]) for v in (draft, choice, place)]
    return bool(rule(*values, ALONE))


@pytest.mark.parametrize('r', [0, 1, 9, 255])
def test_within_bins_takes_exactly_the_distance(r):
    rule = within_bins([r], action_ids=ACTIONS)
    assert accepted(rule, 100 + r, 100)
    assert accepted(rule, 100, 100 + r)
    if r < 255:
        assert not accepted(rule, 100 + r + 1, 100)


def test_distance_goes_by_dimension():
    rule = within_bins([0, 5], action_ids=ACTIONS)
    assert not accepted(rule, 203, 200, place=0)
    assert accepted(rule, 203, 200, place=1)
    for behind in (2, 3, 50):  # the action: exact
        assert not accepted(rule, 201, 200, place=behind)
        assert accepted(rule, 200, 200, place=behind)


@pytest.mark.parametrize(('draft', 'choice'), [(99, 100), (100, 99), (356, 355), (355, 356)])
def test_ids_beside_the_actions_are_not_close(draft, choice):
    rule = within_bins([9], action_ids=ACTIONS)
    assert not accepted(rule, draft, choice)
    assert accepted(rule, draft, draft)


def test_zero_distance_is_exact_match():
    draft, choice = torch.randint(90, 370, (2, 5000), generator=torch.Generator().manual_seed(0))
    place = torch.zeros(5000, dtype=torch.int64)
    alone = torch.eye(1, dtype=torch.bool).expand(5000, 5000)
    relaxed = within_bins([0], action_ids=ACTIONS)(draft, choice, place, alone)
    assert torch.equal(relaxed, exact_match()(draft, choice, place, alone))


@pytest.mark.parametrize('wrong', [-1, 256])
def test_impossible_distances_are_refused(wrong):
    with pytest.raises(ValueError, match='0 to 255'):
        within_bins([3, wrong], action_ids=ACTIONS)


#       0 root
#    1     2       tokens 110, 120
#   3 4    5       tokens 130, 140, 150
TREE = DraftTree.from_parents(
    torch.tensor([0, 110, 120, 130, 140, 150]), torch.tensor([0, 0, 0, 1, 1, 2]), depth=2
)


def path(choices, distance):
    rule = within_bins([distance] * 3, action_ids=ACTIONS)
    return decided(TREE, torch.tensor(choices), rule)


def decided(tree, choices, rule, *, first_place=0):
    """The accepted path; what comes behind its end repeats its last node."""
    path, count = accepted_path(tree, choices, rule, first_place=first_place)
    assert len(path) == 1 + tree.depth
    assert count.shape == (1,)
    assert (path[int(count) :] == path[int(count) - 1]).all()
    return path[: int(count)].tolist()


def walked(tree, choices, rule, *, first_place=0):
    """The same by the definition: every path from the root, one after the other."""
    best = (1, 0, [0])
    for node in range(1, len(tree)):
        path = [node]
        while path[0]:
            path.insert(0, int(tree.parents[path[0]]))
        drafts, wanted = tree.tokens[path[1:]], choices[path[:-1]]
        off = int((drafts - wanted).abs().sum())
        below = torch.ones(len(drafts), len(drafts), dtype=torch.bool).tril()
        if rule(drafts, wanted, first_place + torch.arange(len(drafts)), below).all():
            best = max(best, (len(path), -off, path), key=lambda found: found[:2])
    return best[2]


@given(seed=st.integers(0, 2**32 - 1), nodes=st.integers(1, 24), r=st.integers(0, 40))
def test_the_path_is_the_longest_and_then_the_nearest(seed, nodes, r):
    tree, choices, draw = random_case(seed, nodes)
    rule = within_bins(draw(0, r + 1, tree.depth + 1).tolist(), action_ids=ACTIONS)
    assert decided(tree, choices, rule) == walked(tree, choices, rule)


def random_case(seed, nodes):
    """A tree or a chain, the target's choices, and what draws more numbers."""
    generator = torch.Generator().manual_seed(seed)

    def draw(low, high, count=nodes):
        return torch.randint(low, high, (count,), generator=generator)

    parents = torch.stack([draw(max(0, n - 6), max(n, 1), 1)[0] for n in range(nodes)])
    unordered = DraftTree.from_parents(draw(90, 130), parents, depth=nodes)
    tree = DraftTree.from_parents(*by_depth(unordered), depth=int(unordered.depths.max()))
    if nodes > 1 and seed % 3 == 0:
        tree = DraftTree.chain(tree.tokens)
    return tree, draw(90, 130), draw


def by_depth(tree):
    """Tokens and parents of the same tree, its nodes in order of depth."""
    order = tree.depths.argsort(stable=True)
    return tree.tokens[order], order.argsort()[tree.parents[order]]


def test_a_chain_goes_by_the_threshold_of_each_place():
    chain = DraftTree.chain(torch.tensor([0, 110, 120, 130]))
    rule = within_bins([0, 9, 0], action_ids=ACTIONS)
    assert decided(chain, torch.tensor([110, 129, 130, 0]), rule) == [0, 1, 2, 3]
    assert decided(chain, torch.tensor([111, 120, 130, 0]), rule) == [0]


def test_nothing_accepted_leaves_the_root():
    assert path([200, 0, 0, 0, 0, 0], 0) == [0]


def test_longest_path_wins_though_another_is_nearer():
    assert path([110, 300, 150, 0, 0, 0], 10) == [0, 2, 5]


def test_longest_path_wins_though_it_is_the_farthest_of_all():
    tree = DraftTree.from_parents(
        torch.tensor([0, 110, 120, 150]), torch.tensor([0, 0, 0, 2]), depth=2
    )
    rule = within_bins([10] * 3, action_ids=ACTIONS)
    assert decided(tree, torch.tensor([110, 0, 150, 0]), rule) == [0, 2, 3]


def test_nearest_of_equally_long_paths_wins():
    assert path([112, 137, 150, 0, 0, 0], 10) == [0, 1, 4]
    assert path([120, 140, 150, 0, 0, 0], 10) == [0, 2, 5]


def test_a_child_of_a_rejected_node_is_not_reached():
    assert path([120, 130, 300, 0, 0, 0], 0) == [0, 2]


def test_the_first_place_shifts_the_thresholds():
    rule = within_bins([0, 9, 0], action_ids=ACTIONS)
    choices = torch.tensor([112, 133, 0, 0, 0, 0])
    assert decided(TREE, choices, rule) == [0]
    assert decided(TREE, choices, rule, first_place=1) == [0, 1]


XYZ, ROTATION = range(3), range(3, 6)


def budgeted(budget, *, thresholds=(9, 9, 9, 9, 9, 9, 0), groups=(XYZ, ROTATION)):
    return within_budgets(thresholds, budgets=dict.fromkeys(groups, budget), action_ids=ACTIONS)


def chain_of(*offs, first_place=0, rule):
    """How many tokens of a chain pass whose drafts are so far off the target's choices."""
    tokens = torch.tensor([0, *(200 + off for off in offs)])
    choices = torch.full((len(tokens),), 200)
    return len(decided(DraftTree.chain(tokens), choices, rule, first_place=first_place)) - 1


def test_distances_of_a_group_add_up():
    rule = budgeted(12)
    assert chain_of(4, -4, 4, rule=rule) == 3
    assert chain_of(4, -4, 5, rule=rule) == 2
    assert chain_of(9, 4, 0, rule=rule) == 1
    assert chain_of(10, rule=rule) == 0  # each by itself
    assert chain_of(9, 3, 0, rule=rule) == 3


def test_each_group_has_a_budget_of_its_own_and_the_gripper_none():
    rule = budgeted(9)
    assert chain_of(9, 0, 0, 0, 9, 0, 0, rule=rule) == 7
    assert chain_of(9, 0, 0, 5, 5, 0, 0, rule=rule) == 4
    assert chain_of(0, 0, 0, 0, 0, 0, 1, rule=rule) == 6
    both = within_budgets([9] * 7, budgets={XYZ: 4, ROTATION: 8}, action_ids=ACTIONS)
    assert chain_of(2, 2, 0, 4, 4, 0, 9, rule=both) == 7
    assert chain_of(2, 2, 1, rule=both) == 2


def test_a_round_inside_a_group_may_spend_what_is_surely_left():
    """Its root is the target's own choice; only what lies before that may have spent."""
    rule = budgeted(12)
    assert chain_of(9, 3, first_place=1, rule=rule) == 2
    assert chain_of(9, 4, first_place=1, rule=rule) == 1
    assert chain_of(3, 9, first_place=2, rule=rule) == 2  # z, then the rotations
    assert chain_of(4, first_place=2, rule=rule) == 0
    assert chain_of(9, first_place=2, rule=budgeted(18)) == 1
    assert chain_of(9, 3, first_place=4, rule=rule) == 2
    assert chain_of(4, first_place=5, rule=rule) == 0
    assert chain_of(0, 1, first_place=6, rule=rule) == 1


def test_budgets_go_by_the_path_in_a_tree():
    rule = budgeted(9)
    assert decided(TREE, torch.tensor([115, 135, 155, 0, 0, 0]), rule) == [0, 1]
    assert decided(TREE, torch.tensor([116, 134, 155, 0, 0, 0]), rule) == [0, 2, 5]
    assert decided(TREE, torch.tensor([114, 135, 155, 0, 0, 0]), rule) == [0, 1, 3]


def test_impossible_budgets_are_refused():
    with pytest.raises(ValueError, match='must not be negative'):
        budgeted(-1)
    with pytest.raises(ValueError, match='0 to 255'):
        budgeted(3, thresholds=[256] * 7)


def budget_walked(tree, choices, thresholds, budgets, first_place):
    """By the definition: every path from the root, each token after the other."""
    best = (0, 0, [0])
    for node in range(1, len(tree)):
        path = [node]
        while path[0]:
            path.insert(0, int(tree.parents[path[0]]))
        far, total, spent = False, 0, dict.fromkeys(budgets, 0)
        for group in budgets:  # what came before the root may have spent what it could
            before = [thresholds[d] for d in group if d < first_place - 1]
            spent[group] = min(budgets[group], sum(before))
        for place, (above, here) in enumerate(pairwise(path), first_place):
            draft, choice = int(tree.tokens[here]), int(choices[above])
            off, total = abs(draft - choice), total + abs(draft - choice)
            r = thresholds[place] if place < len(thresholds) else 0
            far |= off > r or (off > 0 and not (draft in ACTIONS and choice in ACTIONS))
            for group, budget in budgets.items():
                if place in group:
                    spent[group] += off
                    far |= spent[group] > budget
        if not far:
            best = max(best, (len(path), -total, path), key=lambda found: found[:2])
    return best[2]


@given(
    seed=st.integers(0, 2**32 - 1),
    nodes=st.integers(1, 24),
    budget=st.integers(0, 60),
    first_place=st.integers(0, 7),
)
def test_budgets_equal_the_definition(seed, nodes, budget, first_place):
    tree, choices, draw = random_case(seed, nodes)
    thresholds = draw(0, 31, 7).tolist()
    rule = budgeted(budget, thresholds=thresholds)
    found = decided(tree, choices, rule, first_place=first_place)
    budgets = dict.fromkeys((XYZ, ROTATION), budget)
    assert found == budget_walked(tree, choices, thresholds, budgets, first_place)


@given(seed=st.integers(0, 2**32 - 1), nodes=st.integers(2, 24), budget=st.integers(0, 60))
def test_budgets_never_accept_more_than_bins(seed, nodes, budget):
    tree, choices, draw = random_case(seed, nodes)
    choices = torch.where(draw(0, 2) > 0, choices, tree.tokens)
    thresholds = draw(0, 31, 7).tolist()
    near = tree.tokens[1:], choices[tree.parents[1:]], tree.depths[1:] - 1, tree.ancestors[1:, 1:]
    wide = within_bins(thresholds, action_ids=ACTIONS)(*near)
    assert not (budgeted(budget, thresholds=thresholds)(*near) & ~wide).any()
    many = budgeted(7 * 31, thresholds=thresholds)(*near)
    assert torch.equal(many[wide], wide[wide])


@given(seed=st.integers(0, 2**32 - 1), nodes=st.integers(1, 24))
def test_nothing_to_spend_is_exact(seed, nodes):
    tree, choices, draw = random_case(seed, nodes)
    choices = torch.where(draw(0, 2) > 0, choices, tree.tokens.roll(-1))
    exact = decided(tree, choices, exact_match())
    groups = (range(7),)  # the gripper, too
    assert decided(tree, choices, budgeted(0, thresholds=[31] * 7, groups=groups)) == exact
    assert decided(tree, choices, budgeted(60, thresholds=[0] * 7)) == exact


STILL = np.full(7, 200)
WIDE = (15, 15, 15, 15, 15, 15, 0)


def moved(*speeds):
    """Choices so many ids from rest in the arm's fastest dimension, the gripper far away."""
    return [STILL + np.array([1, -speed, 0, 0, speed // 2, 0, 99]) for speed in speeds]


@pytest.mark.parametrize(
    ('speeds', 'r'),
    [
        ((), 0),  # it begins
        ((120,), 0),  # it has just begun, or the gripper has changed
        ((120, 120), 15),
        ((120, 40), 8),  # a quarter is 10
        ((40, 120), 8),
        ((120, 16), 4),
        ((120, 15), 2),
        ((120, 4), 1),
        ((120, 3), 0),
        ((120, 0), 0),
    ],
)
def test_thresholds_follow_the_motion(speeds, r):
    found = following_motion(WIDE, moved(*speeds), resting_ids=STILL, share=0.25)
    assert found == (r,) * 6 + (0,)


def test_thresholds_only_fall():
    given_ones = (3, 0, 9, 30, 1, 15, 2)
    found = following_motion(given_ones, moved(64, 64), resting_ids=STILL, share=0.25)
    assert found == (3, 0, 9, 16, 1, 15, 2)
    assert following_motion(WIDE, moved(9, 9), resting_ids=STILL, share=0.0) == (0,) * 7
