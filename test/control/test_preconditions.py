# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Instructions that are refused, latches that stay, and why the arm must not move."""

import pytest

from spec_vla_ros.control.preconditions import (
    MAX_INSTRUCTION,
    EmergencyStop,
    FailureLatch,
    Preconditions,
    instruction_fault,
)
from spec_vla_ros.control.tick import Reason
from spec_vla_ros.settings.nodes import PolicySettings


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


def test_failures_in_a_row_latch_until_cleared():
    latch = FailureLatch()
    for _ in range(2):
        latch.failed('boom', limit=3)
    latch.succeeded()
    for _ in range(2):
        latch.failed('boom', limit=3)
    assert latch.latched is None
    latch.failed('crash', limit=3)
    assert '3 inferences in a row failed' in latch.latched
    assert 'crash' in latch.latched
    latch.succeeded()  # a late success does not unlatch
    assert latch.latched is not None
    latch.clear()
    assert latch.latched is None


def test_the_emergency_stop_says_who_pressed_it():
    stop = EmergencyStop()
    assert not stop.pressed
    stop.press('topic emergency_stop')
    assert stop.pressed
    assert 'topic emergency_stop' in stop.text
    stop.release()
    assert not stop.pressed


@pytest.fixture
def stopped():
    """Preconditions of a loop that has an instruction, with the emergency stop pressed."""
    made = Preconditions(same_pixels=lambda before, now: before == now, emergency=EmergencyStop())
    assert made.store_instruction('go')
    made.emergency.press('test')
    return made


def test_an_emergency_stop_comes_before_every_other_reason(stopped):
    for _ in range(2):
        assert stopped.halt(PolicySettings(), now_ns=0).reason is Reason.EMERGENCY_STOP
        stopped.cancel()
    stopped.emergency.release()
    assert stopped.halt(PolicySettings(), now_ns=0).reason is Reason.NO_INSTRUCTION


@pytest.mark.parametrize('text', ['another', '', 'x' * (MAX_INSTRUCTION + 1)])
def test_no_instruction_is_taken_while_the_emergency_stop_is_pressed(stopped, text):
    assert not stopped.store_instruction(text)
    assert stopped.instruction == 'go'
