# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The expert picks and places, smoothly, and recovers from whatever happens to it."""

from dataclasses import replace

import numpy as np
import pytest
from toy_table import ToyTable

from spec_vla_ros.sim.libero.env import controller_input
from spec_vla_ros.sim.libero.expert import FULL_SPEED, LiberoExpert, Phase
from spec_vla_ros.sim.libero.motion import Disturbance
from spec_vla_ros.sim.libero.scene import Goal


def run(table, *, steps=280, disturb=None):
    """Let the expert try; returns it, and its actions (N, 7)."""
    expert, actions = LiberoExpert(), []
    while not table.success and len(actions) < steps:
        actions.append(expert.act(table.scene()))
        table.step(disturb(actions[-1]) if disturb else actions[-1])
    return expert, np.array(actions)


@pytest.mark.parametrize('at', [(0.05, -0.15), (-0.1, 0.0), (0.15, 0.05)])
def test_it_picks_and_places(at):
    table = ToyTable(at=at)
    expert, actions = run(table)
    assert table.success
    assert expert.failed_grasps == 0
    assert table.highest > 0.06
    assert len(actions) < 160


def test_its_motion_is_smooth_and_never_at_the_controllers_bounds():
    _, actions = run(ToyTable())
    inputs = np.array([controller_input(a)[:6] for a in actions])
    assert np.abs(inputs).max() < 0.95
    assert np.abs(np.diff(inputs[:, :3], axis=0)).max() < 0.3


def test_what_slips_is_fetched_again():
    table = ToyTable(slips=(60,))
    expert, _ = run(table)
    assert table.success
    assert expert.failed_grasps == 1


def test_what_is_moved_while_it_reaches_is_grasped_where_it_is():
    table, expert = ToyTable(), LiberoExpert()
    for step in range(280):
        if step == 15:
            table.box[:2] = -0.1, -0.2
        table.step(expert.act(table.scene()))
        if table.success:
            break
    assert table.success
    assert expert.failed_grasps == 0


@pytest.mark.parametrize('seed', range(5))
def test_it_goes_on_from_where_noise_leaves_it(seed):
    table = ToyTable()
    noise = Disturbance(np.random.default_rng(seed), level=0.15, full=FULL_SPEED)
    run(table, disturb=noise)
    assert table.success


def test_it_waits_when_all_is_done():
    table, expert = ToyTable(at=(0.05, 0.2)), LiberoExpert()
    table.box[2] = 0.04
    assert table.success
    np.testing.assert_allclose(expert.act(table.scene()), [0, 0, 0, 0, 0, 0, 1.0], atol=1e-12)
    assert expert.phase is Phase.REACH


def test_what_is_no_placing_is_refused():
    goal = Goal('turnon', 'plate', None, None, done=False)
    scene = replace(ToyTable().scene(), goals=(goal,))
    with pytest.raises(ValueError, match='can only place things: not turnon plate'):
        LiberoExpert().act(scene)


def test_what_it_aims_at_depends_on_the_scene_and_not_on_the_motion_so_far():
    table = ToyTable(at=(0.05, -0.15))
    driving, seen, aims = LiberoExpert(), [], []
    for _ in range(25):
        seen.append(table.scene())
        table.step(driving.act(seen[-1]))
        aims.append(driving.aim)
    assert driving.phase is Phase.REACH
    for scene, aim in list(zip(seen, aims, strict=True))[::6]:
        fresh = LiberoExpert()
        slow = fresh.act(scene)  # it has just begun to move
        np.testing.assert_allclose(fresh.aim, aim, atol=1e-9)
        assert np.linalg.norm(slow[:3]) < np.linalg.norm(aim[:3])


def test_it_aims_at_rest_while_fingers_close_and_up_as_soon_as_they_may_have():
    table = ToyTable(at=(0.05, -0.15))
    expert, aims = LiberoExpert(), []
    while expert.phase is not Phase.CARRY:
        closing = expert.phase is Phase.CLOSE
        table.step(expert.act(table.scene()))
        if closing:
            aims.append(expert.aim)
    assert not aims[0][:6].any()
    assert aims[-1][2] == pytest.approx(FULL_SPEED[2])
    assert all(aim[6] == 0.0 for aim in aims)
