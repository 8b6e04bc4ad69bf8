# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Suites are those of published figures, and tasks are found by what policies are told."""

import pytest

from spec_vla_ros.sim.libero.suites import (
    MAX_STEPS,
    SETTLING_STEPS,
    Task,
    check_suite,
    find_task,
)

TASKS = tuple(
    Task('libero_object', n, f'pick_up_the_{name}', f'pick up the {name}')
    for n, name in enumerate(('milk', 'butter'))
)


def test_the_published_limits():
    assert MAX_STEPS == {
        'libero_goal': 300,
        'libero_object': 280,
        'libero_spatial': 220,
        'libero_10': 520,
    }
    assert SETTLING_STEPS == 10


def test_an_unknown_suite_lists_those_there_are():
    with pytest.raises(ValueError, match=r"'libero_90' is none of libero_goal, .*libero_10"):
        check_suite('libero_90')


def test_a_task_is_found_whatever_the_case_and_spaces():
    assert find_task(TASKS, ' Pick up  the BUTTER ') is TASKS[1]


def test_an_unknown_instruction_lists_those_there_are():
    with pytest.raises(ValueError, match='pick up the milk; pick up the butter'):
        find_task(TASKS, 'dance')
