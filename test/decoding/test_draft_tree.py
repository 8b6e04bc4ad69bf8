# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Draft trees are well formed, and spend no node on what the acceptance rule forgives anyway."""

from dataclasses import replace

import pytest
import torch

from spec_vla_ros.decoding.draft_tree import (
    DraftTree,
    Level,
    TreeShape,
    attention_mask,
    grow_tree,
    spaced,
)


def grow(seed=0, *, shape=None, spacing=0, ids=256, first_id=0):
    """A tree of a drafter whose predictions are random but sharp."""
    generator = torch.Generator().manual_seed(seed)

    def level(nodes):
        scores = 3 * torch.randn(nodes, ids, generator=generator)
        return Level(scores.log_softmax(-1), torch.zeros(1, nodes, 4), first_id)

    shape = shape or TreeShape()
    shape = replace(shape, spacing=(spacing,) * shape.depth)
    root = torch.tensor([5])
    return grow_tree(root, level(1), lambda tokens, *_: level(len(tokens)), shape=shape)


def check_well_formed(tree):
    size = len(tree)
    assert tree.parents[0] == 0
    assert (tree.parents[1:] < torch.arange(1, size)).all()
    assert torch.equal(tree.depths[1:], tree.depths[tree.parents[1:]] + 1)
    assert (tree.depths.diff() >= 0).all()
    for node in range(size):
        chain = [node]
        while chain[-1]:
            chain.append(int(tree.parents[chain[-1]]))
        assert tree.ancestors[node].nonzero()[:, 0].tolist() == sorted(chain)


@pytest.mark.parametrize('spacing', [0, 9, 100])
@pytest.mark.parametrize('shape', [TreeShape(), TreeShape(1, 4, 4), TreeShape(3, 2, 50)], ids=str)
def test_trees_are_well_formed(shape, spacing):
    for seed in range(5):
        tree = grow(seed, shape=shape, spacing=spacing)
        check_well_formed(tree)
        assert tree.depths.max() <= shape.depth
        assert len(tree) <= shape.nodes + 1


def test_the_node_budget_is_used_up():
    assert len(grow()) == 50


@pytest.mark.parametrize('spacing', [0, 1, 9, 40, 127, 255])
def test_siblings_are_further_apart_than_the_rule_forgives(spacing):
    tree = grow(spacing=spacing)
    siblings = tree.parents[1:, None] == tree.parents[None, 1:]
    distance = (tree.tokens[1:, None] - tree.tokens[None, 1:]).abs()
    different = ~torch.eye(len(tree) - 1, dtype=torch.bool)
    assert (distance[siblings & different] > spacing).all()


def test_first_sibling_is_the_drafters_choice():
    scores = torch.full((1, 256), -5.0)
    scores[0, [10, 14, 100]] = torch.tensor([3.0, 2.9, 2.0])
    level = Level(scores.log_softmax(-1), torch.zeros(1, 1, 4))
    shape = TreeShape(2, 1, 2)
    root = torch.tensor([0])
    exact = grow_tree(root, level, None, shape=shape)
    apart = grow_tree(root, level, None, shape=replace(shape, spacing=(9,)))
    assert exact.tokens.tolist() == [0, 10, 14]
    assert apart.tokens.tolist() == [0, 10, 100]


def test_a_chain_is_a_tree_of_width_one():
    tree = grow(shape=TreeShape(1, 5, 5))
    assert tree.parents.tolist() == [0, 0, 1, 2, 3, 4]
    assert torch.equal(tree.ancestors, torch.ones(6, 6, dtype=torch.bool).tril())


def test_tokens_start_at_the_first_id():
    tree = grow(first_id=1000)
    assert (tree.tokens[1:] >= 1000).all()
    assert (tree.tokens[1:] < 1256).all()


def test_root_only():
    tree = DraftTree.root_only(torch.tensor([7]))
    assert (tree.tokens.tolist(), tree.depths.tolist(), len(tree)) == ([7], [0], 1)


def test_lists_make_the_same_tree_as_tensors():
    tokens, parents = [1, 4, 8, 5, 5, 6, 9, 6], [0, 0, 0, 1, 2, 3, 3, 4]
    listed = DraftTree.from_lists(tokens, parents)
    check_well_formed(listed)
    tensors = DraftTree.from_parents(torch.tensor(tokens), torch.tensor(parents), depth=3)
    assert listed.depth == tensors.depth == 3
    for name in ('tokens', 'parents', 'depths', 'ancestors'):
        assert torch.equal(getattr(listed, name), getattr(tensors, name))


def test_attention_mask():
    tree = DraftTree.from_parents(torch.arange(4), torch.tensor([0, 0, 0, 1]), depth=2)
    mask = attention_mask(tree, past=2, context=2)
    expected = [
        [1, 1, 1, 0, 0, 0, 0],
        [1, 1, 1, 1, 0, 0, 0],
        [1, 1, 1, 1, 1, 0, 0],
        [1, 1, 1, 1, 0, 1, 0],
        [1, 1, 1, 1, 1, 0, 1],
    ]
    assert mask.int().tolist() == expected


@pytest.mark.parametrize('wrong', [{'top_k': 0}, {'depth': 0}, {'nodes': -1}])
def test_empty_shapes_are_refused(wrong):
    with pytest.raises(ValueError, match='at least 1'):
        TreeShape(**wrong)


def test_a_rule_of_trees_knows_the_thresholds_of_what_is_left():
    rule = spaced(TreeShape(2, 3, 6), (1, 2, 3, 4, 5, 6, 0))
    assert rule(7) == TreeShape(2, 3, 6, spacing=(1, 2, 3, 4, 5, 6, 0))
    assert rule(3) == TreeShape(2, 2, 6, spacing=(5, 6, 0))
    assert rule(1) is None
    assert spaced(TreeShape(2, 3, 6), (0,) * 7)(7) == TreeShape(2, 3, 6)
    assert [TreeShape(spacing=(3, 0)).apart(level) for level in range(3)] == [3, 0, 0]
