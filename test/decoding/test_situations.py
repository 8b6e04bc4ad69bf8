# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The table of situations finds the most alike, and forgets the oldest."""

import numpy as np
import pytest

from spec_vla_ros.decoding.situations import SituationTable


@pytest.fixture
def table():
    return SituationTable(key_size=2, choice_size=1, capacity=4)


def choices(table, key, *, count):
    return table.nearest(np.array(key), count=count)[:, 0].tolist()


def test_an_empty_table_knows_nothing(table):
    assert table.nearest(np.zeros(2), count=3).shape == (0, 1)


def test_the_most_alike_comes_first(table):
    for number in (1, 2, 3):
        table.add(np.array([10 * number, 0]), np.array([number]))
    assert choices(table, [21, 0], count=2) == [2, 3]
    assert choices(table, [-5, 0], count=9) == [1, 2, 3]


def test_the_oldest_is_forgotten(table):
    for number in range(6):
        table.add(np.array([number, 0]), np.array([number]))
    assert len(table) == 4
    assert sorted(choices(table, [0, 0], count=4)) == [2, 3, 4, 5]
