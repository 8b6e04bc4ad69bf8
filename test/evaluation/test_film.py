# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Films show what the camera saw, upright and in the simulation's time."""

import io

import numpy as np
import pytest
from PIL import Image

from spec_vla_ros.evaluation.film import EVERY, Film
from spec_vla_ros.types import Action, DecodeStats, Observation

ACTION = Action(np.zeros(7), np.zeros(7), np.zeros(7, int), DecodeStats('strict', 3))


def film_of(steps, *, rotation):
    """The camera's picture is bright in its upper left quarter."""
    film = Film('do it\nstrict', rotation=rotation, interval=0.05)
    image = np.zeros((64, 64, 3), np.uint8)
    image[:32, :32] = 255
    for _ in range(steps):
        film.watch(Observation(image, 'do it'), ACTION)
    return film


@pytest.mark.parametrize(('rotation', 'bright'), [(0, (8, 8)), (90, (8, 56)), (180, (56, 56))])
def test_pictures_stand_upright(rotation, bright):
    with Image.open(io.BytesIO(film_of(1, rotation=rotation).webp('success'))) as shown:
        picture = np.asarray(shown.convert('L'))
    corners = {(x, y): picture[y, x] for x in (8, 56) for y in (8, 56)}
    assert max(corners, key=corners.get) == bright
    assert picture.shape[0] > 64  # words below


def test_it_lasts_as_long_as_the_episode_and_shows_the_end():
    durations = []
    with Image.open(io.BytesIO(film_of(3 * EVERY + 1, rotation=0).webp('failure'))) as shown:
        assert shown.n_frames == 4 + 1
        for frame in range(shown.n_frames):
            shown.seek(frame)
            shown.load()
            durations.append(shown.info['duration'])
    assert durations[:-1] == [round(1000 * EVERY * 0.05)] * 4
    assert durations[-1] >= 1000


def test_long_words_are_broken_and_all_pictures_stay_of_one_size():
    film = Film('pick up the alphabet soup and place it', rotation=0, interval=0.05)
    for _ in range(12 * EVERY):
        film.watch(Observation(np.zeros((64, 64, 3), np.uint8), 'do it'), ACTION)
    with Image.open(io.BytesIO(film.webp('failure'))) as shown:
        assert shown.n_frames == 13
        assert shown.size[0] == 64
        assert shown.size[1] > 64 + 5 * 18


def test_without_pictures_there_is_no_film():
    with pytest.raises(ValueError, match='no pictures'):
        film_of(0, rotation=0).webp('success')
