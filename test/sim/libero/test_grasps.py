# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Grasps fit the thing, keep clear of others, and turn and stretch the arm no more than needed."""

import numpy as np
import pytest

from spec_vla_ros.sim.libero.grasps import WIDEST, clearance, downwards, rank_grasps
from spec_vla_ros.sim.libero.scene import lattice

NOTHING = np.empty((0, 3))
BASE = np.array([-0.6, 0.0, 0.0])
NOW, AT_REST = downwards(0.0), downwards(-np.pi / 2)


def box(x, y, z, *, at=(0.0, 0.0), turned=0.0):
    """Return points all over a box of these sides that stands at a place on the floor."""
    cosine, sine = np.cos(turned), np.sin(turned)
    turn = np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1.0]])
    return lattice(np.array([x, y, z]) / 2) @ turn.T + [*at, z / 2]


def bowl(radius=0.055, height=0.05):
    angles = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    heights = np.linspace(0, height, 6)
    return np.array([[radius * np.cos(a), radius * np.sin(a), h] for a in angles for h in heights])


def rank(points, others=NOTHING, *, failed=(), rotation=NOW):
    return rank_grasps(points, others, rotation=rotation, base=BASE, failed=failed)


def width_across(points, grasp):
    return np.ptp(points @ grasp.rotation[:, 1])


@pytest.mark.parametrize('turned', [0.0, 0.5, 1.4, -0.8])
def test_a_long_box_is_grasped_across_its_narrow_side(turned):
    points = box(0.12, 0.05, 0.06, turned=turned)
    best = rank(points)[0]
    assert best.kind == 'body'
    assert width_across(points, best) < 0.06
    np.testing.assert_allclose(best.rotation[:, 2], [0, 0, -1], atol=1e-12)
    np.testing.assert_allclose(best.position[:2], 0, atol=0.003)
    assert 0 < best.position[2] < 0.06


def test_of_equal_ways_the_smaller_turn_is_taken():
    can = box(0.05, 0.05, 0.1)
    turned = downwards(np.pi / 2)
    assert np.allclose(rank(can)[0].rotation, NOW)
    assert np.allclose(rank(can, rotation=turned)[0].rotation, turned)


def test_what_is_too_wide_is_grasped_at_its_rim():
    best = rank(bowl())[0]
    assert best.kind == 'rim'
    assert np.linalg.norm(best.position[:2]) == pytest.approx(0.051, abs=0.003)
    assert abs(best.rotation[:2, 1] @ best.position[:2]) > 0.04  # one finger inside
    assert all(g.kind == 'rim' or width_across(bowl(), g) < WIDEST for g in rank(bowl()))


def test_a_rim_is_grasped_with_whichever_finger_is_nearer_for_a_hand_at_rest():
    """It need never turn by more than a quarter, which its last joint might not allow."""
    for grasp in rank(bowl()):
        assert np.trace(grasp.rotation @ AT_REST.T) >= 1 - 1e-9


@pytest.mark.parametrize('angle', [-1.0, 0.0, 0.3, np.pi / 2])
def test_where_a_rim_is_grasped_does_not_depend_on_the_hand(angle):
    best = rank(bowl(), rotation=downwards(angle))[0]
    assert np.allclose(best.position, rank(bowl())[0].position)
    assert np.allclose(best.rotation, AT_REST)


def test_fingers_keep_clear_of_a_neighbour():
    can = box(0.05, 0.05, 0.1)
    beside = box(0.05, 0.2, 0.1, at=(0.065, 0.0))  # where a finger would be
    best = rank(can, beside)[0]
    assert abs(best.rotation[0, 1]) < 0.7
    assert clearance(beside, best.position, best.rotation, opening=0.045) > 0
    assert clearance(beside, best.position, NOW, opening=0.045) < 0


def test_a_bowl_far_away_is_grasped_at_its_near_side():
    far = bowl() + np.array([0.19, 0.0, 0.0])
    assert rank(far)[0].position[0] < 0.19


def test_what_failed_is_not_tried_again_at_once():
    points = box(0.12, 0.05, 0.06)
    first = rank(points)[0]
    second = rank(points, failed=[first])[0]
    moved = np.linalg.norm(second.position - first.position)
    assert moved > 0.02 or np.trace(first.rotation.T @ second.rotation) < 2.7


def test_room_is_the_distance_from_fingers_and_hand():
    above = np.array([[0.0, 0.0, 0.5]])
    assert clearance(NOTHING, np.zeros(3), NOW, opening=0.045) == np.inf
    assert clearance(above, np.zeros(3), NOW, opening=0.045) == pytest.approx(0.382)
    inside = np.array([[0.0, 0.0, 0.08]])
    assert clearance(inside, np.zeros(3), NOW, opening=0.045) < 0
