# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Which draft tokens pass, and which path wins."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from spec_vla_ros.decoding.acceptance import (
    accepted_path,
    exact_match,
    longest_accepted_path,
    per_dimension,
    within_bins,
)
from spec_vla_ros.decoding.draft_tree import DraftTree

ACTIONS = range(100, 356)


def accepted(rule, draft, choice, dimension=0):
    values = [np.array([v]) for v in (draft, choice, dimension)]
    return bool(rule(*values))


@pytest.mark.parametrize('r', [0, 1, 9, 255])
def test_within_bins_takes_exactly_the_distance(r):
    rule = within_bins([r], action_ids=ACTIONS)
    assert accepted(rule, 100 + r, 100)
    assert accepted(rule, 100, 100 + r)
    if r < 255:
        assert not accepted(rule, 100 + r + 1, 100)


def test_distance_goes_by_dimension():
    rule = within_bins([0, 5], action_ids=ACTIONS)
    assert not accepted(rule, 203, 200, dimension=0)
    assert accepted(rule, 203, 200, dimension=1)


@pytest.mark.parametrize(('draft', 'choice'), [(99, 100), (100, 99), (356, 355), (355, 356)])
def test_ids_beside_the_actions_are_not_close(draft, choice):
    rule = within_bins([9], action_ids=ACTIONS)
    assert not accepted(rule, draft, choice)
    assert accepted(rule, draft, draft)


def test_zero_distance_is_exact_match():
    draft, choice = np.random.default_rng(0).integers(90, 370, (2, 5000))
    dimension = np.zeros(5000, np.int64)
    relaxed = within_bins([0], action_ids=ACTIONS)(draft, choice, dimension)
    assert np.array_equal(relaxed, exact_match()(draft, choice, dimension))


@pytest.mark.parametrize('wrong', [-1, 256])
def test_impossible_distances_are_refused(wrong):
    with pytest.raises(ValueError, match='0 to 255'):
        within_bins([3, wrong], action_ids=ACTIONS)


def test_per_dimension():
    assert per_dimension(5, 3) == (5, 5, 0)
    assert per_dimension([1, 2, 3], 3) == (1, 2, 3)
    with pytest.raises(ValueError, match='2 acceptance distances for 3'):
        per_dimension([1, 2], 3)


#       0 root
#    1     2       tokens 110, 120
#   3 4    5       tokens 130, 140, 150
TREE = DraftTree.from_parents(
    torch.tensor([0, 110, 120, 130, 140, 150]), torch.tensor([0, 0, 0, 1, 1, 2]), depth=2
)


def path(choices, distance):
    rule = within_bins([distance] * 3, action_ids=ACTIONS)
    found = longest_accepted_path(TREE, torch.tensor(choices), rule, first_dimension=0)
    return found.tolist()


@given(seed=st.integers(0, 2**32 - 1), nodes=st.integers(1, 24), r=st.integers(0, 40))
def test_a_device_finds_the_same_path_as_a_walk(seed, nodes, r):
    generator = torch.Generator().manual_seed(seed)

    def draw(low, high, count=nodes):
        return torch.randint(low, high, (count,), generator=generator)

    parents = torch.stack([draw(max(0, n - 6), max(n, 1), 1)[0] for n in range(nodes)])
    unordered = DraftTree.from_parents(draw(90, 130), parents, depth=nodes)
    tree = DraftTree.from_parents(*by_depth(unordered), depth=nodes)
    if nodes > 1 and seed % 3 == 0:
        tree = DraftTree.chain(tree.tokens)
    choices, levels = draw(90, 130), int(tree.depths.max()) + 1
    limits = [r] * levels
    walked = longest_accepted_path(
        tree, choices, within_bins(limits, action_ids=ACTIONS), first_dimension=0
    )
    on_device = within_bins(limits, action_ids=ACTIONS, device=torch.device('cpu'))
    path, count = accepted_path(tree, choices, on_device, first_dimension=0, levels=levels)
    assert path[: int(count)].tolist() == walked.tolist()
    assert (path[int(count) :] == walked[-1]).all()


def by_depth(tree):
    """Tokens and parents of the same tree, its nodes in order of depth."""
    order = tree.depths.argsort(stable=True)
    return tree.tokens[order], order.argsort()[tree.parents[order]]


def test_nothing_accepted_leaves_the_root():
    assert path([200, 0, 0, 0, 0, 0], 0) == [0]


def test_longest_path_wins_though_another_is_nearer():
    assert path([110, 300, 150, 0, 0, 0], 10) == [0, 2, 5]


def test_nearest_of_equally_long_paths_wins():
    assert path([112, 137, 150, 0, 0, 0], 10) == [0, 1, 4]
    assert path([120, 140, 150, 0, 0, 0], 10) == [0, 2, 5]


def test_a_child_of_a_rejected_node_is_not_reached():
    assert path([120, 130, 300, 0, 0, 0], 0) == [0, 2]


def test_the_first_dimension_shifts_the_limits():
    rule = within_bins([0, 9, 0], action_ids=ACTIONS)
    choices = torch.tensor([112, 133, 0, 0, 0, 0])
    at_start = longest_accepted_path(TREE, choices, rule, first_dimension=0)
    later = longest_accepted_path(TREE, choices, rule, first_dimension=1)
    assert (at_start.tolist(), later.tolist()) == ([0], [0, 1])
