# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Which instructions are refused, and how it is said."""

import pytest

from spec_vla_ros.control.instruction import MAX_INSTRUCTION, instruction_fault


@pytest.mark.parametrize(
    'text',
    ['', 'pick up the red block', 'räume den Tisch auf', '拿起红色方块', '👩‍🍳 x', 'x' * 500],
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
    ],
)
def test_others_are_refused_with_the_reason(text, words):
    assert words in instruction_fault(text)
