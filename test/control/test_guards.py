# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""What may move a robot and what may not."""

import numpy as np
import pytest

from spec_vla_ros.control.guards import ActionLimits, refusal

LIMITS = ActionLimits(translation=0.05, rotation=0.3)
GOOD = np.array([0.01, -0.02, 0.03, 0.1, -0.1, 0.2, 1.0])


def changed(index, value):
    values = GOOD.copy()
    values[index] = value
    return values


def test_a_sensible_action_passes():
    assert refusal(GOOD, LIMITS) is None
    assert refusal(np.zeros(7), LIMITS) is None


@pytest.mark.parametrize('index', range(7))
@pytest.mark.parametrize('value', [np.nan, np.inf, -np.inf])
def test_not_finite(index, value):
    assert 'not finite' in refusal(changed(index, value), LIMITS)


@pytest.mark.parametrize(
    ('index', 'value', 'reason'),
    [
        (0, 0.06, 'max_step_translation=0.05'),
        (2, -0.06, 'max_step_translation=0.05'),
        (4, 0.4, 'max_step_rotation=0.3'),
        (6, 1.2, 'gripper opening of 1.2000'),
        (6, -1.0, 'gripper opening of -1.0000'),
    ],
)
def test_out_of_range_names_the_limit(index, value, reason):
    assert reason in refusal(changed(index, value), LIMITS)


def test_the_length_of_the_step_counts_not_its_components():
    assert refusal(np.array([0.04, 0.04, 0, 0, 0, 0, 0]), LIMITS) is not None


@pytest.mark.parametrize('shape', [(6,), (8,), (1, 7), ()])
def test_wrong_shape(shape):
    assert 'expected (7,)' in refusal(np.zeros(shape), LIMITS)


def test_bins_a_little_outside_the_gripper_range_pass():
    assert refusal(changed(6, 1.004), LIMITS) is None
    assert refusal(changed(6, -0.004), LIMITS) is None
