# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Each convention that is wrong is named by what it does to an action, and right ones are not."""

import re

import numpy as np
import pytest

from spec_vla_ros.evaluation.recorded.agreement import agreements, verdict
from spec_vla_ros.evaluation.recorded.agreement_report import plot, table
from spec_vla_ros.models.recipes import read_recipe
from spec_vla_ros.types import DIMENSION_NAMES


def motion(count=200, seed=0):
    """Smooth steps of centimetres and tenths of radians, a gripper that opens and shuts."""
    rng = np.random.default_rng(seed)
    steps = np.cumsum(rng.normal(size=(count, 6)), axis=0)
    steps -= steps.mean(axis=0)
    steps *= np.array([0.01] * 3 + [0.1] * 3) / np.abs(steps).max(axis=0)
    gripper = (np.arange(count) // 25) % 2
    return np.column_stack((steps, gripper))


RECORDED = motion()


def policy_says(*, seed=1):
    """What a policy says that has learnt the motion but for some noise."""
    noise = np.random.default_rng(seed).normal(size=(len(RECORDED), 6))
    said = RECORDED.copy()
    said[:, :6] += noise * 0.1 * RECORDED[:, :6].std(axis=0)
    return said


def suspicions(predicted, recorded=RECORDED):
    return {a.name: a.suspicion for a in agreements(predicted, recorded) if a.suspicion}


def test_what_agrees_is_left_alone():
    found = agreements(policy_says(), RECORDED)
    assert [a.name for a in found] == list(DIMENSION_NAMES)
    assert not suspicions(policy_says())
    assert all(a.correlation > 0.95 for a in found)
    assert all(a.same_sign > 0.9 for a in found)
    assert 'All of the 7 dimensions' in verdict(found)


def test_a_gripper_the_wrong_way_round():
    said = read_recipe(gripper_inverted=True).in_si_units(policy_says())
    inverted = 'gripper inverted: gripper_inverted, or --gripper-open?'
    assert suspicions(said) == {'gripper': inverted}
    assert agreements(said, RECORDED)[-1].same_sign == 0.0


@pytest.mark.parametrize(
    ('closed', 'opened', 'said'),
    [(-1.0, 1.0, '50% outside [0, 1]: gripper_range?'), (0.5, 1.0, 'moves a part of the way')],
)
def test_a_gripper_of_another_range(closed, opened, said):
    predicted = policy_says()
    predicted[:, 6] = np.where(predicted[:, 6] > 0.5, opened, closed)
    found = suspicions(predicted)
    assert found.keys() == {'gripper'}
    assert said in found['gripper']


@pytest.mark.parametrize(
    ('opened', 'ends'), [(0.04, '0 to 0.04'), (255.0, '0 to 255'), (-1.0, '-1 to 0')]
)
def test_a_recorded_gripper_in_another_unit_is_no_fault_of_the_policy(opened, ends):
    recorded = RECORDED.copy()
    recorded[:, 6] = recorded[:, 6] * opened + 0.0
    said = f'recorded from {ends}, not 0 to 1: --gripper-closed, --gripper-open?'
    assert suspicions(policy_says(), recorded) == {'gripper': said}


@pytest.mark.parametrize(('scale', 'said'), [(20.0, r'by (\d+)x'), (1 / 50, r'by 1/(\d+)x')])
def test_a_scale(scale, said):
    predicted = policy_says()
    predicted[:, :3] *= scale
    found = suspicions(predicted)
    assert found.keys() == {'x', 'y', 'z'}
    for text in found.values():
        times = float(re.search(said, text)[1])
        assert times == pytest.approx(max(scale, 1 / scale), rel=0.15)  # there is noise
        assert 'action_scale' in text
    assert '3 of 7 dimensions' in verdict(agreements(predicted, RECORDED))


def test_a_policy_that_hedges_is_not_a_scale():
    predicted = policy_says()
    predicted[:, :6] *= 0.5
    assert not suspicions(predicted)


def test_another_frame():
    predicted = policy_says()
    predicted[:, [0, 1]] = predicted[:, [1, 0]] * (1, -1)
    found = suspicions(predicted)
    assert 'follows y: image_rotation, or another frame?' in found['x']
    assert 'follows -x' in found['y']
    predicted = policy_says()
    predicted[:, 2] *= -1
    assert 'inverted' in suspicions(predicted)['z']


def test_a_policy_that_sees_something_else():
    predicted = motion(seed=9)[np.random.default_rng(2).permutation(len(RECORDED))]
    found = agreements(predicted, RECORDED)
    assert 'No dimension follows' in verdict(found)
    assert all(a.suspicion == 'does not follow the recording' for a in found)


def test_what_stands_still_says_nothing():
    recorded = RECORDED.copy()
    recorded[:, 1:] = 0
    found = agreements(policy_says(), recorded)
    assert [a.suspicion for a in found[1:]] == ['hardly moves in the recording'] * 6
    assert [a.correlation for a in found[1:]] == [None] * 6
    assert found[1].same_sign is None
    assert 'All of the 1 dimensions' in verdict(found)
    recorded[:, 0] = 0
    assert 'nothing can be said' in verdict(agreements(policy_says(), recorded))


def test_a_constant_speed_is_not_taken_for_an_arm_that_stands():
    recorded = np.zeros_like(RECORDED)
    recorded[:, 0] = 0.01 + np.random.default_rng(3).normal(size=len(recorded)) * 1e-8  # rounding
    found = agreements(policy_says(), recorded)
    assert found[0].suspicion == 'recorded speed is constant: no correlation'
    assert 'moves at a constant speed' in verdict(found)


def test_a_policy_that_says_one_thing():
    found = agreements(np.full_like(RECORDED, 0.01), RECORDED)
    assert 'The policy says the same in every step' in verdict(found)


@pytest.mark.parametrize('steady', [True, False])
def test_poses_in_millimetres(steady):
    """A scale to follow them would move an arm a thousand times too far."""
    recorded = RECORDED.copy()
    recorded[:, :3] = (10.0, 0.0, 0.2) if steady else recorded[:, :3] * 1000
    found = agreements(policy_says(), recorded)
    said = [a.suspicion for a in found if a.name in ('x', 'z')]
    assert said == ['recorded steps are too far: poses in millimetres?'] * 2
    assert not any('scale' in a.suspicion for a in found)
    assert 'look like millimetres' in verdict(found)
    assert ('goes 10 m between' in verdict(found)) == steady


def test_a_gripper_that_was_not_recorded_is_left_out():
    recorded = RECORDED.copy()
    recorded[:, 6] = np.nan
    assert len(agreements(policy_says(), recorded)) == 6


def test_too_few():
    with pytest.raises(ValueError, match='19 pairs'):
        agreements(policy_says()[:19], RECORDED[:19])


def test_table_and_picture(tmp_path):
    said = read_recipe(gripper_inverted=True).in_si_units(policy_says())
    found = agreements(said, RECORDED)
    lines = table(found).splitlines()
    assert len(lines) == 2 + 7
    assert len({len(line) for line in lines}) == 1
    assert '| gripper [opening] | 1        | 1         | -1.00       | 0%        | 1' in lines[-1]
    plot(said, RECORDED, found, tmp_path / 'all.png')
    plot(said, RECORDED, found[:6], tmp_path / 'arm.png')
    assert (tmp_path / 'all.png').stat().st_size > (tmp_path / 'arm.png').stat().st_size > 10_000
