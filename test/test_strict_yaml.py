# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""YAML with one meaning is read; with several, or none, it is refused."""

import math

import pytest

from spec_vla_ros.strict_yaml import read_yaml


@pytest.mark.parametrize(
    ('text', 'value'),
    [
        ('', None),
        ('a: {b: [1, 2.5, yes], c: x}', {'a': {'b': [1, 2.5, True], 'c': 'x'}}),
        ('a: 2024-01-02', {'a': '2024-01-02'}),
        ('a: [5e-2, 1E3, .5e+1, -2.e1, 1e, e5]', {'a': [0.05, 1e3, 5.0, -20.0, '1e', 'e5']}),
        ('{a: 1, a: 1}', {'a': 1}),
        ('a: {x: 1}\na: {y: 2}', {'a': {'x': 1, 'y': 2}}),
        (
            'base: &b {x: 1, y: 2}\na: {<<: *b, x: 3}',
            {'base': {'x': 1, 'y': 2}, 'a': {'y': 2, 'x': 3}},
        ),
    ],
)
def test_what_is_read(text, value):
    assert read_yaml(text) == value


def test_what_is_no_number_is_given_once():
    assert math.isnan(read_yaml('a: {x: .nan}')['a']['x'])


@pytest.mark.parametrize(
    ('text', 'words'),
    [
        ('a: 1\nb: 2\na: 3', r'a is given twice, as 1 and as 3: keep one \(line 3\)'),
        ('a: {x: 1}\na: {x: true}', 'x is given twice, as 1 and as True'),
        ('a: {x: 1}\na: 2', 'a is given twice'),
        ('a: 1\n---\na: 1', 'found another document'),
        ('a: !mine 1', 'could not determine a constructor'),
        ('{[a]: 1}', 'unhashable key'),
        ('a: [', 'expected the node content'),
    ],
)
def test_what_is_refused(text, words):
    with pytest.raises(ValueError, match=words):
        read_yaml(text)
