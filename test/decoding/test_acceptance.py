# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Which draft tokens pass, and which path wins."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from spec_vla_ros.decoding.acceptance import accepted_path, exact_match, within_bins
from spec_vla_ros.decoding.draft_tree import DraftTree

ACTIONS = range(100, 356)


def accepted(rule, draft, choice, dimension=0):
    values = [torch.tensor([v]) for v in (draft, choice, dimension)]
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
    for behind in (2, 3, 50):  # the action: exact
        assert not accepted(rule, 201, 200, dimension=behind)
        assert accepted(rule, 200, 200, dimension=behind)


@pytest.mark.parametrize(('draft', 'choice'), [(99, 100), (100, 99), (356, 355), (355, 356)])
def test_ids_beside_the_actions_are_not_close(draft, choice):
    rule = within_bins([9], action_ids=ACTIONS)
    assert not accepted(rule, draft, choice)
    assert accepted(rule, draft, draft)


def test_zero_distance_is_exact_match():
    draft, choice = torch.randint(90, 370, (2, 5000), generator=torch.Generator().manual_seed(0))
    dimension = torch.zeros(5000, dtype=torch.int64)
    relaxed = within_bins([0], action_ids=ACTIONS)(draft, choice, dimension)
    assert torch.equal(relaxed, exact_match()(draft, choice, dimension))


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


def decided(tree, choices, rule, *, first_dimension=0):
    """The accepted path; what comes behind its end repeats its last node."""
    path, count = accepted_path(tree, choices, rule, first_dimension=first_dimension)
    assert len(path) == 1 + tree.depth
    assert count.shape == (1,)
    assert (path[int(count) :] == path[int(count) - 1]).all()
    return path[: int(count)].tolist()


def walked(tree, choices, rule, *, first_dimension=0):
    """The same by the definition: every path from the root, one after the other."""
    best = (1, 0, [0])
    for node in range(1, len(tree)):
        path = [node]
        while path[0]:
            path.insert(0, int(tree.parents[path[0]]))
        drafts, wanted = tree.tokens[path[1:]], choices[path[:-1]]
        off = int((drafts - wanted).abs().sum())
        if rule(drafts, wanted, first_dimension + torch.arange(len(drafts))).all():
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


def test_a_chain_goes_by_the_threshold_of_each_dimension():
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


def test_the_first_dimension_shifts_the_thresholds():
    rule = within_bins([0, 9, 0], action_ids=ACTIONS)
    choices = torch.tensor([112, 133, 0, 0, 0, 0])
    assert decided(TREE, choices, rule) == [0]
    assert decided(TREE, choices, rule, first_dimension=1) == [0, 1]
