# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""What passes between the parts says what it means."""

import numpy as np
import pytest

from spec_vla_ros.types import (
    MAX_INSTRUCTION,
    DecodeStats,
    Decoding,
    Observation,
    accept_length,
    instruction_fault,
)

NOTHING = ('None', 'False', 'true', 'null')
STOPPING = (
    *('stop', 'STOP!', 'Cancel.', 'freeze', 'please stop', 'Stop now!', 'stop, stop', 'E-stop'),
    *('stop moving', 'halt the robot', 'emergency stop'),
)
WORDLESS = ('[]', '{}', '""', '?', '.', '42', '\u200b', '\ufeff', '\u2060')


def test_accept_length_is_counted_as_in_the_paper():
    assert accept_length(7, 7) == pytest.approx(7 / 6)  # autoregressive: six passes after prefill
    assert accept_length(7, 3) == 3.5
    assert accept_length(21, 3 + 4, actions=3) == 21 / 4


@pytest.mark.parametrize('actions', [0, 1, 3])
def test_without_verify_rounds_there_is_no_accept_length(actions):
    assert accept_length(7 * actions, actions, actions=actions) is None


def test_every_pass_commits_and_the_prefill_comes_first():
    assert DecodeStats('strict', 3, accept_lengths=(4, 2)).commits == (1, 4, 2)
    assert DecodeStats('strict', 2, accept_lengths=(3, 4)).commits == (3, 4)
    assert DecodeStats('autoregressive', 7).commits == (1,) * 7


def test_a_mode_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="'speculative' is none of autoregressive, strict"):
        Decoding('speculative')


@pytest.mark.parametrize(
    'bins', [-5, 1.5, float('nan'), '9', True, None, (9, -1, 9, 9, 9, 9, 0), (1.0,) * 7], ids=str
)
def test_a_threshold_that_is_no_number_of_bins_is_refused(bins):
    with pytest.raises(ValueError, match='give whole bins, 0 or more'):
        Decoding('relaxed', bins)


def test_numbers_of_numpy_are_numbers():
    """They were refused as if they were none."""
    by_dimension = Decoding('relaxed', np.full(7, 9))
    assert by_dimension == Decoding('relaxed', (9,) * 7) == Decoding('relaxed', [9] * 7)
    assert type(Decoding('relaxed', np.int64(9)).acceptance_threshold) is int
    limit = np.float32(0.125)
    assert Decoding('relaxed', acceptance_tolerance_rotation=limit) == Decoding(
        'relaxed', acceptance_tolerance_rotation=0.125
    )


@pytest.mark.parametrize('stamp', [1764255911.5, None, '12'])
def test_a_stamp_that_is_no_number_of_nanoseconds_is_refused(stamp):
    with pytest.raises(ValueError, match=f'stamp_ns {stamp!r}: give whole nanoseconds'):
        Observation(np.zeros((64, 64, 3), np.uint8), 'pick up the block', stamp)


@pytest.mark.parametrize('limit', [-0.1, float('nan'), '0.1', True, 1, float('inf')])
def test_a_tolerance_that_is_no_length_is_refused(limit):
    with pytest.raises(ValueError, match='give a number of 0 or more, or None'):
        Decoding('relaxed', acceptance_tolerance_translation=limit)


def test_a_tolerance_in_degrees_is_told_its_unit():
    with pytest.raises(ValueError, match=r'rotation 0\.5: give .*in radians, and at most 0\.2'):
        Decoding('relaxed', acceptance_tolerance_rotation=0.5)


@pytest.mark.parametrize('temporal', ['no', None, 0])
def test_words_for_whether_to_draft_from_the_past_are_refused(temporal):
    """`'no'` was a yes."""
    with pytest.raises(ValueError, match=f'temporal {temporal!r}: give True or False'):
        Decoding('strict', temporal=temporal)


@pytest.mark.parametrize(
    'text',
    [
        '',
        'pick up the red block',
        'stop the ball',
        'wait for the ball',
        'räume den Tisch auf',
        '拿起红色方块',
        '👩‍🍳 x',
        'x' * 500,
    ],
)
def test_words_in_any_language_are_taken(text):
    assert instruction_fault(text) is None


@pytest.mark.parametrize(
    ('text', 'words'),
    [
        ('x' * (MAX_INSTRUCTION + 1), '501 characters'),
        (b'pick \xff\xc0 up'.decode('utf-8', 'replace'), 'not valid UTF-8'),
        ('pick up\x00the block', 'control characters'),
        ('pick up\x1b[2Jthe block', 'control characters'),
        ('pick up the block\nput it down', r"('\n'), as line breaks and tabs are: write one task"),
        *((text, f'is {text!r}, as an empty or a yes-no {{data: }} sends') for text in NOTHING),
        *((text, 'which a policy would try to act out') for text in STOPPING),
        ('pick up the\u200b block', r'invisible characters (U+200B)'),
        ('\ufeffpick up the block', r'invisible characters (U+FEFF)'),
        ('pick up the \u202eblock', r'invisible characters (U+202E)'),
        *((text, "has no words; to cancel, send {data: ''}") for text in WORDLESS),
    ],
)
def test_others_are_refused_with_the_reason(text, words):
    assert words in instruction_fault(text)
