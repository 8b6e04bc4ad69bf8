# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""A tree of guesses holds their combinations, the most probable ones first."""

import itertools

import numpy as np
import pytest

from spec_vla_ros.decoding.guesses import as_tree, rank_guesses


def guess_tree(*args, **options):
    return as_tree(rank_guesses(*args, **options))


GUESSES = np.array([[10, 20, 30], [11, 25, 30], [19, 20, 39]])
RATES = np.array([[0.9, 0.5, 0.8], [0.6, 0.7, 0.4], [0.3, 0.2, 0.5]])


def paths(tree):
    """Each node as the ids from the first level down to it."""
    rows = tree.ancestors.numpy()
    return [tuple(tree.tokens[row.nonzero()[0][1:]].tolist()) for row in rows[1:]]


def test_all_combinations_fit_into_a_large_tree():
    tree = guess_tree(GUESSES, RATES, apart=[0, 0, 0], nodes=100)
    levels = [{10, 11, 19}, {20, 25}, {30, 39}]
    expected = {p for n in (1, 2, 3) for p in itertools.product(*levels[:n])}
    assert set(paths(tree)) == expected
    assert len(paths(tree)) == len(expected)
    assert tree.depths.tolist() == sorted(tree.depths.tolist())


@pytest.mark.parametrize('threshold', [0, 1, 5, 9])
def test_siblings_are_further_apart_than_the_accepted_distance(threshold):
    tree = guess_tree(GUESSES, RATES, apart=[threshold] * 3, nodes=100)
    for parent in range(len(tree)):
        children = tree.tokens[1:][tree.parents[1:] == parent].tolist()
        assert all(abs(a - b) > threshold for a, b in itertools.combinations(children, 2))


def test_a_small_tree_holds_the_most_probable_beginnings():
    # First dimension: 10 at 0.9, 11 at 0.06, 19 at 0.012. Second: 25 at 0.7, 20 at 0.15.
    tree = guess_tree(GUESSES, RATES, apart=[0, 0, 0], nodes=4)
    assert set(paths(tree)) == {(10,), (10, 25), (10, 25, 30), (10, 20)}


@pytest.mark.parametrize('nodes', [1, 2, 5, 17])
def test_every_node_has_its_parent_above_it(nodes):
    rng = np.random.default_rng(nodes)
    guesses, rates = rng.integers(0, 9, (4, 6)), rng.random((4, 6))
    tree = guess_tree(guesses, rates, apart=[0] * 6, nodes=nodes)
    assert len(tree) == nodes + 1
    parents = tree.parents[1:]
    assert (tree.depths[1:] == tree.depths[parents] + 1).all()
    for path in paths(tree):
        assert all(token in guesses[:, level] for level, token in enumerate(path))


def test_one_guess_is_a_chain():
    tree = guess_tree(GUESSES[:1], RATES[:1], apart=[9, 9, 9], nodes=16)
    assert paths(tree) == [(10,), (10, 20), (10, 20, 30)]
