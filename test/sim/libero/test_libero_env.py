# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""LIBERO behind our protocol: its pixels, units and episodes. Most of it runs LIBERO itself."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from spec_vla_ros.sim.libero.env import LiberoEnv, controller_input, robosuite_image
from spec_vla_ros.sim.libero.expert import LiberoExpert
from spec_vla_ros.sim.libero.grasps import downwards
from spec_vla_ros.sim.libero.suites import MAX_STEPS, read_initial_states, read_tasks

DATA = Path(__file__).parents[2] / 'data' / 'libero_pixels.npz'
STILL = np.array([0, 0, 0, 0, 0, 0, 1.0])


def needs_libero(test):
    absent = find_spec('libero') is None
    return pytest.mark.libero(pytest.mark.skipif(absent, reason='no LIBERO: make libero')(test))


def test_actions_are_parts_of_the_controllers_scale():
    action = np.array([0.05, -0.025, 0.0, 0.5, 0.0, -0.25, 1.0])
    np.testing.assert_allclose(controller_input(action), [1, -0.5, 0, 1, 0, -0.5, -1])
    for opening, gripper in ((0.0, 1), (0.5, 1), (0.51, -1), (1.0, -1)):
        assert controller_input(np.array([0.0] * 6 + [opening]))[6] == gripper


def test_pictures_are_turned_from_what_robosuite_gives():
    upright = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    np.testing.assert_array_equal(robosuite_image(upright, rotation=0), upright[::-1])
    np.testing.assert_array_equal(robosuite_image(upright, rotation=180), upright[:, ::-1])
    assert robosuite_image(upright, rotation=180).flags.c_contiguous


def test_another_turn_is_refused():
    with pytest.raises(ValueError, match='image_rotation 90'):
        LiberoEnv('libero_object', image_rotation=90)


@pytest.fixture(scope='module')
def env():
    env = LiberoEnv('libero_object')
    yield env
    env.close()


@needs_libero
def test_every_suite_has_ten_tasks_of_fifty_initial_states():
    for suite in MAX_STEPS:
        tasks = read_tasks(suite)
        assert len(tasks) == 10
        assert len({task.instruction for task in tasks}) == 10
        assert all(task.instruction == task.instruction.lower() for task in tasks)
        assert read_initial_states(tasks[0]).shape[0] == 50
    assert read_tasks('libero_object')[0].instruction == (
        'pick up the alphabet soup and place it in the basket'
    )


@needs_libero
def test_pixels_are_those_of_mujoco_3_3_2(env):
    """Later versions draw the floor a quarter darker unless told otherwise."""
    env.reset(instruction=env.tasks[0].instruction, initial_state=0)
    picture = env.render()
    assert picture.shape == (256, 256, 3)
    assert picture.dtype == np.uint8
    seen = picture.reshape(64, 4, 64, 4, 3).mean(axis=(1, 3))
    stored = np.load(DATA)['libero_object_0'].astype(float)
    assert np.abs(seen - stored).mean() < 2.0  # drivers differ by less, the dark floor by 35
    np.testing.assert_allclose(picture.mean(axis=(0, 1)), [144.9, 138.7, 132.5], atol=2.0)
    floor = picture[-40:].mean(axis=(0, 1))
    np.testing.assert_allclose(floor, [186.6, 177.8, 169.3], atol=3.0)


@needs_libero
@pytest.mark.parametrize(
    ('suite', 'task'), [('libero_spatial', 5), ('libero_goal', 0), ('libero_10', 0)]
)
def test_the_other_suites_begin_and_are_seen(suite, task):
    other = LiberoEnv(suite)
    try:
        instruction = other.tasks[task].instruction
        assert other.reset(instruction=instruction, initial_state=0) == instruction
        seen = other.render().reshape(64, 4, 64, 4, 3).mean(axis=(1, 3))
        other.step(np.array([0.02, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0]))
        assert not other.outcome().success
    finally:
        other.close()
    assert seen.std() > 20
    if suite == 'libero_spatial':
        stored = np.load(DATA)['libero_spatial_5'].astype(float)
        assert np.abs(seen - stored).mean() < 2.0


@needs_libero
def test_the_same_start_is_the_same_episode(env):
    instruction = env.tasks[0].instruction
    starts = [dict(initial_state=1), dict(seed=7), dict(seed=8)]
    places = []
    for start in [*starts, *starts]:
        assert env.reset(instruction=instruction, **start) == instruction
        things = env.scene().things
        places.append(np.concatenate([things[name].origin for name in sorted(things)]))
    np.testing.assert_array_equal(places[:3], places[3:])
    assert all(np.abs(places[i] - places[j]).max() > 1e-3 for i, j in ((0, 1), (1, 2), (0, 2)))


@needs_libero
def test_an_episode_leaves_nothing_behind(env):
    """Or strict decoding would look as if it went another way than autoregressive decoding."""
    instruction = env.tasks[1].instruction
    seen = []
    for gripper in (0.0, 1.0, 0.0):
        env.reset(instruction=instruction, initial_state=13)
        seen.append((env.render(), *env.end_effector_pose()))
        for _ in range(15):
            env.step(np.array([0.02, 0.01, -0.02, 0.1, 0.0, 0.2, gripper]))
    for picture, position, quaternion in seen[1:]:
        np.testing.assert_array_equal(picture, seen[0][0])
        np.testing.assert_array_equal(position, seen[0][1])
        np.testing.assert_array_equal(quaternion, seen[0][2])


@needs_libero
def test_a_start_that_does_not_exist_is_refused(env):
    with pytest.raises(ValueError, match=r'initial state 50 is none of 0 \.\. 49'):
        env.reset(instruction=env.tasks[0].instruction, initial_state=50)
    with pytest.raises(ValueError, match='is none of libero_object'):
        env.reset(instruction='pick up the moon')


@needs_libero
def test_a_start_that_is_refused_leaves_the_scene_as_it_was(env):
    env.reset(instruction=env.tasks[0].instruction, initial_state=2)
    before = env.scene()
    with pytest.raises(ValueError, match='initial state -3'):
        env.reset(instruction=env.tasks[1].instruction, initial_state=-3)
    assert env.task == env.tasks[0]
    np.testing.assert_array_equal(env.scene().position, before.position)


@needs_libero
def test_nothing_is_asked_before_an_episode_begins():
    fresh = LiberoEnv('libero_spatial')
    assert fresh.max_steps == 220
    assert fresh.interval == 0.05
    with pytest.raises(ValueError, match='reset first'):
        fresh.render()


@needs_libero
def test_displacements_move_the_arm_in_the_base_frame(env):
    env.reset(instruction=env.tasks[0].instruction, initial_state=0)
    before, quaternion = env.end_effector_pose()
    assert np.linalg.norm(quaternion) == pytest.approx(1.0)
    for _ in range(6):
        env.step(np.array([0.02, 0.0, 0.01, 0.0, 0.0, 0.0, 1.0]))
    after, _ = env.end_effector_pose()
    moved = after - before
    assert 0.01 < moved[0] < 0.05
    assert 0.005 < moved[2] < 0.03
    assert abs(moved[1]) < 0.005
    assert env.scene().opening > 0.06
    for _ in range(10):
        env.step(STILL * 0)
    assert env.scene().opening < 0.01
    assert not env.outcome().success
    assert not env.outcome().wrong_object


@needs_libero
@pytest.mark.parametrize('rotation', [0, 180])
def test_the_camera_matrix_tells_where_a_thing_is_in_the_picture(rotation):
    """By the pixels that change when a thing is hidden."""
    env = LiberoEnv('libero_object', image_rotation=rotation)
    try:
        env.reset(instruction=env.tasks[0].instruction, initial_state=0)
        model, camera = env._loaded.model, env._loaded.data.camera('agentview')

        def pixel(place):
            x, y, z = camera.xmat.reshape(3, 3).T @ (place - camera.xpos)
            u, v, w = env.intrinsics() @ np.array([x, -y, -z])
            return np.array([u, v]) / w

        things = {n: t.points for n, t in env.scene().things.items() if t.movable}
        places = {n: pixel((p.min(axis=0) + p.max(axis=0)) / 2) for n, p in things.items()}
        # off the middle in both directions: mirrored the other way it would be elsewhere
        name = max(places, key=lambda n: np.abs(places[n] - 128).min())
        assert np.abs(places[name] - 128).min() > 10
        with_it = env.render().astype(int)
        model.geom_rgba[model.geom_bodyid == model.body(f'{name}_main').id, 3] = 0.0
        changed = np.abs(env.render().astype(int) - with_it).sum(axis=2) > 60
        rows, columns = np.nonzero(changed)
        seen = [np.median(columns), np.median(rows)]
        np.testing.assert_allclose(seen, places[name], atol=8)
    finally:
        env.close()


@needs_libero
def test_the_expert_succeeds_and_success_is_seen(env):
    env.reset(instruction=env.tasks[0].instruction, initial_state=0)
    expert, lifted = LiberoExpert(), set()
    for _ in range(env.max_steps):
        env.step(expert.act(env.scene()))
        lifted.add(env.outcome().lifted)
        if env.outcome().success:
            break
    assert env.outcome().success
    assert not env.outcome().wrong_object
    assert lifted == {None, 'alphabet_soup_1'}


@needs_libero
def test_a_bowl_drawn_into_a_drawer_lies_in_it():
    """LIBERO drops it from a metre above where the furniture is not as it was loaded."""
    env = LiberoEnv('libero_spatial')
    try:
        for seed in (1, 2):
            env.reset(seed=seed, instruction=env.tasks[4].instruction)
            things = env.scene().things
            bowl, plate = things['akita_black_bowl_1'].points, things['plate_1'].points
            assert np.ptp(bowl[:, 2]) < 0.056  # it stands upright
            assert bowl[:, 2].min() - plate[:, 2].min() == pytest.approx(0.165, abs=0.02)
    finally:
        env.close()


@needs_libero
def test_the_hand_is_put_where_it_can_be(env):
    env.reset(seed=3)
    rest = env.scene()
    there = rest.position + np.array([0.1, -0.1, -0.1])
    assert env.place_hand(there, downwards(0.3))
    scene = env.scene()
    np.testing.assert_allclose(scene.position, there, atol=1e-3)
    np.testing.assert_allclose(scene.rotation, downwards(0.3), atol=1e-2)
    assert scene.opening == pytest.approx(0.08, abs=1e-3)
    assert not env.place_hand(rest.position + np.array([2.0, 0, 0]), downwards(0.0))
    np.testing.assert_allclose(env.scene().position, rest.position, atol=1e-6)
