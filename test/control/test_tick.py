# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Reasons and counters are those of the message PolicyStatus."""

import dataclasses
import re
from pathlib import Path

from spec_vla_ros.control.tick import RUNNING, Counters, Halt, Reason

MESSAGE = (Path(__file__).parents[2] / 'msg' / 'PolicyStatus.msg').read_text()


def test_the_reasons_are_those_of_the_message():
    numbers = re.findall(r'^uint8 REASON_(\w+)=(\d+)', MESSAGE, re.MULTILINE)
    assert {name: int(number) for name, number in numbers} == {r.name: r.value for r in Reason}


def test_the_counters_are_those_of_the_message_and_begin_at_zero():
    fields = re.findall(r'^uint64 (\w+)', MESSAGE, re.MULTILINE)
    assert fields == [field.name for field in dataclasses.fields(Counters)]
    assert not any(dataclasses.astuple(Counters()))


def test_running_is_no_halt():
    assert Halt(Reason.NONE) == RUNNING
    assert not RUNNING.text
