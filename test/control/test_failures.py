# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Failures in a row latch; the emergency stop latches at once."""

from spec_vla_ros.control.emergency_stop import EmergencyStop
from spec_vla_ros.control.failures import FailureLatch


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
