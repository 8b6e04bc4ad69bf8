# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The points of a training curve are kept line by line and drawn."""

import json

import cv2
import pytest

from spec_vla_ros.training.drafter.curve import CurvePoint, append_point, read_points, write_curve


def point(iteration):
    return CurvePoint(iteration, 1.5, 1.25, (0.5, 0.25), {'chain': 2.0, 'tree': 3.0})


def test_points_are_read_as_they_were_written(tmp_path):
    history = tmp_path / 'history.jsonl'
    assert read_points(history) == []
    for iteration in (10, 20):
        append_point(history, point(iteration))
    assert [p.iteration for p in read_points(history)] == [10, 20]
    assert read_points(history)[0].accept_lengths == {'chain': 2.0, 'tree': 3.0}


def test_a_torn_line_does_not_count(tmp_path):
    history = tmp_path / 'history.jsonl'
    append_point(history, point(10))
    with history.open('a') as file:
        file.write('{"iteration": 20, "lo')
    assert [p.iteration for p in read_points(history)] == [10]
    append_point(history, point(30))
    assert [p.iteration for p in read_points(history)] == [10, 30]


@pytest.mark.parametrize('line', ['{"iteration": 20, "lo', '{"iteration": 20}', '7'])
def test_what_is_no_history_is_named(tmp_path, line):
    history = tmp_path / 'history.jsonl'
    history.write_text(f'{line}\n')
    with pytest.raises(ValueError, match=r'history\.jsonl is no history of a training .*: remove'):
        read_points(history)


def test_the_curve_is_written_as_numbers_and_as_a_picture(tmp_path):
    write_curve([point(10), point(20)], tmp_path)
    assert [p['validation_loss'] for p in json.loads((tmp_path / 'curve.json').read_text())] == [
        1.25,
        1.25,
    ]
    picture = cv2.imread(str(tmp_path / 'curve.png'))
    assert picture.shape[1] > 1000
    assert picture.std() > 0
