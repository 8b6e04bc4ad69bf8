# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The frames of an episode: evenly thinned, and its end is never lost."""

import itertools

import pytest

from spec_vla_ros.ros.demo.record import ThinnedFrames


def filmed(count, *, most):
    frames = ThinnedFrames(most=most)
    for k in range(count):
        frames.add(k / 30, k)
    return frames.frames


def test_a_short_film_is_kept_whole():
    assert filmed(8, most=8) == [(k / 30, k) for k in range(8)]
    assert filmed(0, most=8) == []


@pytest.mark.parametrize('count', [*range(9, 40), 100, 1001])
def test_a_long_film_is_thinned_evenly_and_ends_with_the_newest(count):
    pictures = [picture for _, picture in filmed(count, most=8)]
    assert 4 < len(pictures) <= 8
    assert pictures[0] == 0
    assert pictures[-1] == count - 1
    (step,) = {b - a for a, b in itertools.pairwise(pictures[:-1])}
    assert 0 < pictures[-1] - pictures[-2] <= step
