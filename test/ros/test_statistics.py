# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Decode statistics over DDS, and parameters of decoding that change while the robot moves."""

import numpy as np
import pytest
from harness import ScriptedPolicy
from spec_vla_ros.msg import DecodeStatistics, VlaAction
from waiting import wait_for, wait_for_line

from spec_vla_ros.types import DecodeStats

pytestmark = pytest.mark.dds
NODE = '/spec_vla'


def speculative(decoding):
    """Two verify rounds after the prefill, as a drafter would give; bins as asked for."""
    relaxed = decoding.mode == 'relaxed'
    return DecodeStats(
        mode=decoding.mode,
        target_passes=3,
        draft_passes=5,
        accept_lengths=(4, 2),
        phases_ms={'vision': 1.5, 'prefill': 4.0, 'draft': 2.0, 'verify': 3.0},
        acceptance_thresholds=decoding.acceptance_threshold if relaxed else (),
        guesses=24 if decoding.temporal and decoding.mode != 'autoregressive' else 0,
    )


@pytest.fixture
def policy():
    policy = ScriptedPolicy(has_drafter=True)
    policy.stats = speculative
    return policy


@pytest.fixture
def statistics(world):
    return world.record(DecodeStatistics, 'spec_vla/statistics')


@pytest.fixture
def moving(world, policy, statistics):
    """A node that executes one action after the other."""
    world.policy_node(lambda settings: policy)
    world.camera()
    world.instruct('go')
    statistics.wait()


def test_every_action_comes_with_its_statistics(world, policy, statistics):
    actions = world.record(VlaAction, 'action')
    world.policy_node(lambda settings: policy)
    world.camera()
    world.instruct('go')
    wait_for(lambda: len(statistics.messages) >= 3 and len(actions.messages) >= 3, 'actions')
    for action, found in list(zip(actions.messages, statistics.messages, strict=False))[:3]:
        assert found.sequence == action.sequence
        assert found.header.stamp == action.header.stamp
        assert found.mode == 'relaxed'  # what 'auto' means with a drafter
        assert list(found.acceptance_thresholds) == [15] * 6 + [0]
        assert found.temporal_draft
        assert list(found.accept_lengths) == [4, 2]
        assert found.accept_length == 3.5
        assert (found.target_passes, found.draft_passes) == (3, 5)
        phases = dict(zip(found.phase_names, found.phase_ms, strict=True))
        assert phases == {'vision': 1.5, 'prefill': 4.0, 'draft': 2.0, 'verify': 3.0}
        assert found.inference_ms == action.inference_ms
        assert found.latency_ms == action.latency_ms


def test_drafting_that_measured_costs_have_switched_off_is_told(
    world, policy, statistics, status, stderr
):
    plans = {'relaxed': '- - guesses 0', 'strict': '- 1x1 guesses 8'}
    policy.stats = lambda decoding: DecodeStats(
        mode=decoding.mode,
        target_passes=7,
        draft_plan=plans[decoding.mode],
        drafting_off=decoding.mode == 'relaxed',
    )
    world.policy_node(lambda settings: policy)
    world.camera()
    world.instruct('go')
    assert 'relaxed decoding drafts nothing' in wait_for_line(stderr, 'drafts nothing')
    assert statistics.wait().drafting_off
    assert status.wait().drafting_off
    assert world.remote.set_parameters(NODE, {'decoding_mode': 'strict'}).successful
    strict = statistics.wait(lambda message: message.mode == 'strict')
    assert not strict.drafting_off
    assert strict.draft_plan == plans['strict']
    told = status.wait(lambda message: not message.drafting_off)
    assert told.draft_plan == plans['strict']


def test_they_are_published_in_a_dry_run(world, policy, statistics):
    world.policy_node(lambda settings: policy, dry_run=True)
    world.camera()
    world.instruct('go')
    assert statistics.wait().sequence >= 1


def test_without_a_drafter_auto_is_autoregressive(world, statistics):
    policy = ScriptedPolicy()
    policy.stats = lambda decoding: DecodeStats(decoding.mode, target_passes=7)
    world.policy_node(lambda settings: policy)
    world.camera()
    world.instruct('go')
    found = statistics.wait()
    assert found.mode == 'autoregressive'
    assert list(found.acceptance_thresholds) == [0] * 7
    assert not found.temporal_draft
    assert found.accept_length == pytest.approx(7 / 6)
    for mode in ('strict', 'relaxed'):
        refused = world.remote.set_parameters(NODE, {'decoding_mode': mode})
        assert not refused.successful
        assert f"'{mode}' needs a drafter" in refused.reason
    assert statistics.wait().mode == 'autoregressive'


def test_a_mode_that_needs_a_drafter_does_not_configure_without_one(world):
    world.policy_node(lambda settings: ScriptedPolicy(), active=False, decoding_mode='strict')
    assert not world.remote.configure(NODE)
    assert world.remote.state(NODE) == 'unconfigured'


@pytest.mark.usefixtures('moving')
def test_a_threshold_holds_from_the_next_inference_on(world, policy, statistics):
    """The statistics say which threshold applied, and the policy was asked with that one."""
    policy.open.clear()  # an inference runs with the old threshold
    began = len(policy.decodings)
    wait_for(lambda: len(policy.decodings) > began, 'an inference to begin')
    policy.open.clear()
    before = len(statistics.messages)
    changed = world.remote.set_parameters(
        NODE,
        {
            'acceptance_threshold': 30,
            'acceptance_by_dimension': [-1, 5, -1, -1, -1, 0, 2],
            'temporal_draft': False,
        },
    )
    assert changed.successful
    policy.open.set()
    wait_for(lambda: len(statistics.messages) >= before + 4, 'four more actions')
    old, new = ([15] * 6 + [0], True), ([30, 5, 30, 30, 30, 0, 2], False)
    told = [(list(m.acceptance_thresholds), m.temporal_draft) for m in statistics.messages]
    assert told[before] == old  # it was running when the threshold changed
    assert told[before + 1 : before + 4] == [new] * 3
    assert set(map(str, told)) == {str(old), str(new)}  # never a mixture
    asked = [(list(d.acceptance_threshold), d.temporal) for d in policy.decodings]
    assert told == asked[: len(told)]


@pytest.mark.usefixtures('moving')
def test_many_changes_are_never_mixed(world, statistics):
    """All dimensions always carry the same number, however often it changes."""
    for threshold in range(0, 60, 3):
        same = [threshold] * 7
        result = world.remote.set_parameters(
            NODE, {'acceptance_threshold': threshold, 'acceptance_by_dimension': same}
        )
        assert result.successful
    wait_for(lambda: list(statistics.last.acceptance_thresholds) == same, 'the last one')
    for message in statistics.messages:
        thresholds = list(message.acceptance_thresholds)
        assert thresholds == [15] * 6 + [0] or len(set(thresholds)) == 1
    rising = [m.acceptance_thresholds[0] for m in statistics.messages]
    assert (np.diff(rising[rising.index(57) :]) == 0).all()


@pytest.mark.usefixtures('moving')
def test_the_mode_changes_live(world, statistics):
    for mode in ('autoregressive', 'strict', 'relaxed', 'auto'):
        assert world.remote.set_parameters(NODE, {'decoding_mode': mode}).successful
        real = 'relaxed' if mode == 'auto' else mode
        found = statistics.wait(lambda message, real=real: message.mode == real)
        expected = [15] * 6 + [0] if real == 'relaxed' else [0] * 7
        assert list(found.acceptance_thresholds) == expected
        assert found.temporal_draft == (real != 'autoregressive')


@pytest.mark.usefixtures('moving')
@pytest.mark.parametrize('value', [-1, 65])
def test_a_threshold_out_of_range_is_refused(world, statistics, value):
    assert not world.remote.set_parameters(NODE, {'acceptance_threshold': value}).successful
    assert list(statistics.wait().acceptance_thresholds) == [15] * 6 + [0]
