# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The hand goes over what is in between, and lets go above where things shall lie."""

from dataclasses import replace

import numpy as np
import pytest
from toy_table import ToyTable

from spec_vla_ros.sim.libero.approach import (
    NARROW,
    WIDE,
    free_height,
    over_then_down,
    release_height,
    way_from_under,
)
from spec_vla_ros.sim.libero.scene import Goal, Thing, lattice


def test_across_goes_over_what_is_between():
    scene = ToyTable(at=(0.05, 0.05)).scene()
    wall = Thing(np.array([0.0, 0.1, 0.1]), lattice([0.2, 0.01, 0.1]) + np.array([0.0, 0.1, 0.1]))
    scene = replace(scene, things={**scene.things, 'wall': wall})
    at = scene.things['plate'].origin
    over = free_height(scene, at, without=())
    assert over > 0.2
    assert free_height(scene, at, without=('wall',)) < 0.15
    low = np.array([-0.1, 0.0, 0.05])
    way = over_then_down(low, at, over=over, funnel=NARROW)
    np.testing.assert_allclose(way, [0, 0, over - 0.05])
    way = over_then_down(np.array([*at[:2], 0.3]), at, over=over, funnel=NARROW)
    np.testing.assert_allclose(way, [0, 0, at[2] - 0.3])


def test_a_centimetre_aside_of_a_rim_the_hand_still_goes_down():
    at, above = np.array([0.1, 0.2, 0.05]), np.array([0.115, 0.2, 0.07])
    assert over_then_down(above, at, over=0.15, funnel=NARROW)[2] > 0
    assert over_then_down(above, at, over=0.15, funnel=WIDE)[2] == pytest.approx(-0.02)
    aside = np.array([0.11, 0.2, 0.05])
    assert WIDE.reached(aside, at)
    assert not NARROW.reached(aside, at)
    assert not WIDE.reached(aside + np.array([0.0, 0.0, 0.015]), at)


def test_things_are_let_go_above_where_they_shall_lie():
    scene = ToyTable().scene()
    assert release_height(scene, scene.goals[0]) == pytest.approx(0.014)
    inside = Goal('in', 'box', np.array([0.05, 0.2, 0.03]), 'plate', done=False)
    assert release_height(scene, inside) == pytest.approx(0.03)
    table = Goal('on', 'box', np.array([0.3, 0.2, 0.02]), None, done=False)
    assert release_height(scene, table) == pytest.approx(0.026)


def test_a_thing_is_drawn_out_from_under_another():
    scene = ToyTable(at=(0.0, 0.0)).scene()
    assert way_from_under(scene, 'box') is None
    # Covers the box from y = -0.01 down.
    board = lattice([0.1, 0.1, 0.005]) + np.array([0.0, -0.11, 0.1])
    scene = replace(scene, things={**scene.things, 'board': Thing(board.mean(axis=0), board)})
    out = way_from_under(scene, 'box')
    assert out[1] == pytest.approx(0.02, abs=0.01)
    assert abs(out[0]) < 0.01
