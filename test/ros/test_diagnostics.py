# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Diagnostics over DDS: level, reason and figures."""

import dataclasses
import threading
import time

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from harness import FORWARD, ScriptedPolicy
from spec_vla_ros.msg import DecodeStatistics
from waiting import PATIENCE, wait_for

from spec_vla_ros.control.performance import Performance
from spec_vla_ros.control.tick import RUNNING, Counters, Halt, Reason
from spec_vla_ros.ros.diagnostics import Health, diagnostics_message, limits_hit, verdict
from spec_vla_ros.settings.nodes import PolicySettings
from spec_vla_ros.types import DecodeStats, PolicyInfo

NOTHING = Counters()
OK, WARN, ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR


def health(halt=RUNNING, *, counters=NOTHING, **changes):
    health = {
        'halt': halt,
        'settings': PolicySettings(decoding_mode='autoregressive'),
        'info': PolicyInfo(device='cuda:0', device_memory_mb=15_000.0),
        'counters': counters,
        'summary': Performance(now=0.0).summary(counters, now=1.0),
        'images_missed': 3,
    }
    return Health(**{**health, **changes})


def values(message):
    return {item.key: item.value for item in message.status[0].values}


@pytest.mark.parametrize('reason', Reason)
def test_every_reason_has_a_level_and_its_words(reason):
    level, text = verdict(health(Halt(reason, 'some words')))
    waiting = {Reason.NONE: OK, Reason.NO_INSTRUCTION: OK}
    harmless = {Reason.BAD_INSTRUCTION: WARN, Reason.NO_IMAGE: WARN}
    assert level == {**waiting, **harmless}.get(reason, ERROR)
    assert ('some words' in text) == (reason is not Reason.NONE)


def test_inactive_and_dry():
    assert verdict(health(None)) == (OK, 'inactive')
    dry = PolicySettings(decoding_mode='strict', dry_run=True)
    assert verdict(health(settings=dry)) == (OK, 'running, dry')


@pytest.mark.parametrize(('hz', 'level'), [(30.0, OK), (28.0, OK), (24.0, WARN), (None, OK)])
def test_commands_that_come_too_slowly_are_a_warning_that_says_what_it_does(hz, level):
    """A motion is a number of commands, each of which holds for as long as it takes."""
    summary = dataclasses.replace(health().summary, beat_hz=hz)
    found, text = verdict(health(summary=summary))
    assert found == level
    words = '24 Hz in place of control_rate=30, so that a motion lasts 25 % longer'
    assert (words in text) is (level == WARN)


def test_limits_that_took_effect_are_a_warning_and_named():
    counters = Counters(velocity_clamps=4, gripper_clamps=1)
    assert limits_hit(counters) == ['velocity (4 ticks)', 'gripper (1 ticks)']
    level, text = verdict(health(counters=counters))
    assert level == WARN
    assert 'velocity (4 ticks), gripper (1 ticks)' in text


def test_memory_and_missed_images_are_told():
    found = values(diagnostics_message(health(), node_name='brain', now_ns=5))
    assert found['device memory [MB]'] == '15000.00'
    assert found['device memory, peak [MB]'] == '-'
    assert found['images missed'] == '3'
    assert found['latency p99 [ms]'] == '-'


def test_nodes_of_two_arms_have_two_names():
    left, right = (
        diagnostics_message(health(), node_name=f'/{arm}/spec_vla', now_ns=5).status[0].name
        for arm in ('left_arm', 'right_arm')
    )
    assert (left, right) == ('left_arm/spec_vla: policy', 'right_arm/spec_vla: policy')


@pytest.mark.parametrize(
    ('mode', 'off', 'words'),
    [
        ('relaxed', True, 'switched off'),
        ('strict', False, 'on: - 1x1 guesses 8'),
        ('autoregressive', False, 'none'),
    ],
)
def test_drafting_that_measured_costs_have_switched_off_is_told(mode, off, words):
    info = PolicyInfo(has_drafter=True)
    told = health(
        settings=PolicySettings(decoding_mode=mode),
        info=info,
        drafting_off=off,
        draft_plan='- 1x1 guesses 8',
    )
    found = values(diagnostics_message(told, node_name='brain', now_ns=5))
    assert found['drafting'].startswith(words)


@pytest.fixture
def diagnostics(world):
    return world.record(DiagnosticArray, 'diagnostics')


def keeps_up(message):
    figures = values(message)
    rates = [float(figures[f'{name} [Hz]']) for name in ('images', 'commands')]
    return message.status[0].message == 'running' and all(20 < rate < 40 for rate in rates)


@pytest.mark.dds
class TestOverDds:
    def test_figures_of_a_running_node(self, world, diagnostics):
        policy = ScriptedPolicy(has_drafter=True)
        policy.stats = lambda decoding: DecodeStats(decoding.mode, 3, 5, (4, 2))
        world.policy_node(lambda settings: policy, acceptance_threshold=12)
        statistics = world.record(DecodeStatistics, 'spec_vla/statistics')
        world.camera()
        world.instruct('go')
        wait_for(lambda: len(statistics.messages) > 20, 'twenty actions')
        found = diagnostics.wait(keeps_up, 'the rates of a machine that keeps up')
        (status,) = found.status
        assert status.level == OK
        assert status.name == 'spec_vla: policy'
        assert status.hardware_id == 'nowhere'
        figures = values(found)
        assert figures['decoding mode'] == 'relaxed'
        assert figures['acceptance thresholds [bins]'] == '12 12 12 12 12 12 0'
        assert figures['accept length'] == '3.50'
        assert figures['target passes per action'] == '3.00'
        assert figures['draft passes per action'] == '5.00'
        assert figures['drafter'] == 'loaded'
        latency = [float(figures[f'latency {p} [ms]']) for p in ('p50', 'p95', 'p99')]
        assert latency == sorted(latency)
        assert 0 < float(figures['inference p50 [ms]']) < latency[2]
        assert int(figures['actions published']) >= 20
        assert figures['inference errors'] == '0'

    def test_a_fault_is_an_error_with_its_reason(self, world, diagnostics):
        policy = ScriptedPolicy(FORWARD * np.nan)
        world.policy_node(lambda settings: policy)
        world.camera()
        world.instruct('go')
        found = diagnostics.wait(lambda m: m.status[0].level == ERROR)
        assert 'the action is not finite' in found.status[0].message
        assert int(values(found)['actions rejected']) >= 1

    def test_a_missing_camera_is_a_warning(self, world, diagnostics):
        world.policy_node(lambda settings: ScriptedPolicy())
        diagnostics.wait(lambda m: m.status[0].message.startswith('waiting: no instruction'))
        world.instruct('go')
        found = diagnostics.wait(lambda m: m.status[0].level == WARN)
        assert 'no image has arrived' in found.status[0].message

    def test_it_goes_on_while_inactive_and_ends_with_cleanup(self, world, diagnostics):
        world.policy_node(lambda settings: ScriptedPolicy(), active=False)
        assert world.remote.configure('/spec_vla')
        diagnostics.wait(lambda m: m.status[0].message == 'inactive')
        diagnostics.wait(lambda m: m.status[0].message == 'inactive')
        assert world.remote.clean_up('/spec_vla')
        count = len(diagnostics.messages)
        assert world.remote.configure('/spec_vla')
        wait_for(lambda: len(diagnostics.messages) > count, 'diagnostics again')

    def test_a_number_left_out_counts_as_a_missed_image(self, world, diagnostics):
        """A queue of one keeps the newest of what comes while the node is held up."""
        node = world.policy_node(lambda settings: ScriptedPolicy())
        camera = world.camera()
        diagnostics.wait(lambda m: int(values(m)['images received']) > 0)
        held, freed = threading.Event(), threading.Event()
        node.create_guard_condition(lambda: (held.set(), freed.wait(PATIENCE))).trigger()
        assert held.wait(PATIENCE)
        for _ in range(20):
            camera.publish()
        time.sleep(0.2)  # for the middleware to take them in
        freed.set()
        found = diagnostics.wait(lambda m: int(values(m)['images missed']) > 0)
        seen = int(values(found)['images received'])
        assert seen + int(values(found)['images missed']) <= camera.frames
