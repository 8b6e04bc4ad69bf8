# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Frames of LIBERO become frames to train on: under several instructions, in common units."""

import numpy as np
import pytest

from spec_vla_ros.sim.libero.expert import RISING, Phase
from spec_vla_ros.training.libero.frames import LiberoFrames, load_libero_frames

INSTRUCTIONS = 5


def frames(labelled, *, wanted, episodes=None):
    """Return frames where `labelled` (N, I) says which instructions have a label."""
    labelled = np.array(labelled, bool)
    count = len(labelled)
    number = np.arange(INSTRUCTIONS, dtype=np.float32)
    actions = np.broadcast_to(number[None, :, None], (count, INSTRUCTIONS, 7)).copy()
    actions[~labelled] = np.nan
    things = np.where(labelled[..., None], 0.1 * number[:, None], np.nan) * np.ones(3)
    return LiberoFrames(
        images=np.arange(count, dtype=np.uint8)[:, None, None, None] * np.ones(3, np.uint8),
        actions=actions,
        things=things.astype(np.float32),
        places=(things + 0.5).astype(np.float32),
        end_effector=np.full((count, 10), 0.2, np.float32),
        tasks=np.zeros(count, int),
        wanted=np.array(wanted),
        phases=np.ones(count, int),
        episodes=np.zeros(count, int) if episodes is None else np.array(episodes),
    )


def test_nothing_moves_until_the_fingers_have_closed():
    given = frames([[1, 1, 0, 0, 0]] * 6, wanted=[1] * 6, episodes=[7, 7, 7, 7, 7, 8])
    given.end_effector[:, 9] = [0.08, 0.06, 0.045, 0.044, 0.08, 0.01]
    given.phases[:] = [Phase.REACH.value, *[Phase.CLOSE.value] * 5]
    made = given.resting_while_fingers_close()
    # The first still reaches, in the third the fingers hold, the fifth ends an episode.
    moves = made.actions[:, 1, :6].any(axis=1)
    assert moves.tolist() == [True, False, True, True, True, True]
    assert np.all(made.actions[:, 1, 6] == given.actions[:, 1, 6])
    np.testing.assert_array_equal(made.actions[:, 0], given.actions[:, 0])


def test_the_hand_rises_slowly_until_the_thing_is_lifted():
    given = frames([[1, 1, 0, 0, 0]] * 9, wanted=[1] * 9, episodes=[7] * 8 + [8])
    phases = [Phase.REACH, Phase.CLOSE] + [Phase.CARRY] * 5 + [Phase.OPEN, Phase.CARRY]
    given.phases[:] = [phase.value for phase in phases]
    # Where it began, pushed, begins to be lifted, half lifted, lifted, beside, placed; another.
    given.things[:, 1] = [0.5, 0.5, 0.9]
    given.things[2:8, 1, 0] += [0.03, 0.03, 0.03, 0.03, 0.3, 0.3]
    given.things[3:6, 1, 2] += [0.003, 0.0075, 0.06]
    made = given.rising_until_lifted().actions[:, 1]
    expected = [1, 0, 0, 0, 0.5, 1, 1, 0, 0]
    for action, share in zip(made, expected, strict=True):
        np.testing.assert_allclose(action[:6], share + (1 - share) * RISING, atol=1e-5)  # float32
    assert np.all(made[:, 6] == given.actions[:, 1, 6])


def test_only_the_wanted_instruction_rises():
    given = frames([[1, 1, 0, 0, 0]] * 2, wanted=[1] * 2)
    given.phases[:] = Phase.CLOSE.value
    given.things[:, 1] = 0.5
    made = given.rising_until_lifted()
    np.testing.assert_array_equal(made.actions[:, [0, 2, 3, 4]], given.actions[:, [0, 2, 3, 4]])


def test_the_wanted_instruction_comes_first_and_others_only_once():
    made = frames([[1, 1, 1, 0, 1]] * 50, wanted=[2] * 50).under_instructions(3, seed=0)
    assert np.all(made.instructions[:, 0] == 2)
    assert set(made.instructions[:, 1:].flatten()) == {0, 1, 4}
    assert all(len(set(row)) == 3 for row in made.instructions.tolist())
    np.testing.assert_array_equal(made.actions[..., 0], made.instructions)


def test_where_nothing_else_is_labelled_the_wanted_one_stands_in():
    labelled = [[0, 0, 0, 1, 0], [0, 1, 0, 1, 0], [1, 1, 0, 1, 0]]
    made = frames(labelled, wanted=[3, 3, 3]).under_instructions(3, seed=0)
    assert made.instructions[:2].tolist() == [[3, 3, 3], [3, 1, 3]]
    assert not np.isnan(made.actions).any()


def test_where_every_frame_is_labelled_for_one_alone_there_is_one():
    made = frames([[0, 0, 0, 1, 0], [0, 1, 0, 0, 0]], wanted=[3, 1]).under_instructions(3, seed=0)
    assert made.instructions.tolist() == [[3], [1]]


def test_frames_without_a_label_for_what_is_done_are_left_out():
    made = frames([[1, 0, 0, 0, 0], [1, 1, 0, 0, 0]], wanted=[1, 1]).under_instructions(2, seed=0)
    assert made.images[:, 0, 0, 0].tolist() == [1]


def test_the_earliest_seeds_come_first_and_positions_are_in_their_unit():
    given = frames([[1, 1, 1, 1, 1]] * 3, wanted=[0, 1, 2], episodes=[7, 8, 7])
    made = given.under_instructions(1, seed=0)
    assert made.episodes.tolist() == [7, 7, 8]
    assert made.images[:, 0, 0, 0].tolist() == [0, 2, 1]
    np.testing.assert_allclose(made.things[1, 0], [2.0] * 3 + [7.0] * 3)
    np.testing.assert_allclose(made.end_effector[0], [2.0] * 3 + [0.2] * 6 + [5.0])


def test_files_are_joined(tmp_path):
    frames([[1] * INSTRUCTIONS] * 2, wanted=[0, 1]).save(tmp_path / 'a.npz')
    again = load_libero_frames([tmp_path / 'a.npz'] * 2)
    assert again.wanted.tolist() == [0, 1, 0, 1]
    with pytest.raises(FileNotFoundError):
        load_libero_frames([tmp_path / 'b.npz'])
