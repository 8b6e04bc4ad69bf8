# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Actions survive the way between two processes, whatever numbers are in them."""

import json
import os

import numpy as np
import pytest

from spec_vla_ros.inference.wire import (
    Channel,
    SharedImage,
    channel_pair,
    plain,
    restored_action,
    restored_decoding,
)
from spec_vla_ros.types import Action, DecodeStats, Decoding


def test_an_action_comes_back_the_same():
    action = Action(
        values=np.array([1 / 3, np.nan, -np.inf, 1e-300, 0, 0, 1]),
        normalised=np.linspace(-1, 1, 7),
        tokens=np.arange(31744, 31751, dtype=np.int64),
        stats=DecodeStats(
            'relaxed',
            np.int64(2),
            5,
            accept_lengths=(3, 4),
            phases_ms={'vision': np.float64(1.5)},
            acceptance_thresholds=(9, 9, 9, 3, 3, 3, 0),
            guesses=24,
            drafting_off=True,
        ),
    )
    back = restored_action(json.loads(json.dumps(plain(action))))
    for name in ('values', 'normalised', 'tokens'):
        np.testing.assert_array_equal(getattr(back, name), getattr(action, name))
        assert getattr(back, name).dtype == getattr(action, name).dtype
    assert back.stats == action.stats


def test_a_decoding_comes_back_the_same():
    decoding = Decoding(
        'relaxed',
        (9, 9, 9, 9, 9, 9, 0),
        temporal=False,
        acceptance_tolerance_translation=(0.1 + 0.2) / 10,
        acceptance_tolerance_rotation=0.125,
    )
    assert restored_decoding(json.loads(json.dumps(plain(decoding)))) == decoding


def test_a_closed_end_is_nothing_to_receive():
    ours, theirs = channel_pair()
    other = Channel(theirs)
    other.send({'a': [1, 2.5, None, 'ü']})
    assert ours.receive() == {'a': [1, 2.5, None, 'ü']}
    with pytest.raises(TimeoutError):
        ours.receive(timeout=0.01)
    other.close()
    assert ours.receive() is None
    with pytest.raises(OSError, match='pipe'):
        ours.send({})
    ours.close()


def test_an_image_is_seen_by_the_other_side_as_it_grows():
    writer = SharedImage()
    reader = SharedImage(os.dup(writer.descriptor))
    for shape in [(2, 3, 3), (48, 64, 3), (4, 4, 3)]:
        image = np.random.default_rng(0).integers(0, 255, shape, np.uint8)
        writer.write(image)
        np.testing.assert_array_equal(reader.read(shape), image)
    reader.close()
    writer.close()
