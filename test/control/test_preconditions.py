# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Instructions that are refused, latches that stay, and why the arm must not move."""

import numpy as np
import pytest

from spec_vla_ros.control.poses import Pose
from spec_vla_ros.control.preconditions import (
    EmergencyStop,
    FailureLatch,
    Preconditions,
)
from spec_vla_ros.control.schedule import Twist
from spec_vla_ros.control.tick import RUNNING, Reason
from spec_vla_ros.settings.nodes import PolicySettings
from spec_vla_ros.types import MAX_INSTRUCTION


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
    latch.failed('boom', limit=2)  # counted afresh
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


NOW = 100 * 1_000_000_000
FORWARD = Twist(np.array([0.1, 0, 0]), np.zeros(3))
BOXED = PolicySettings(workspace_min=(-1.0,) * 3, workspace_max=(1.0,) * 3)


@pytest.fixture
def made():
    """Preconditions with an instruction; images are equal when their names are."""
    made = Preconditions(same_pixels=lambda before, now: before == now, emergency=EmergencyStop())
    assert made.store_instruction(' go ')
    assert made.instruction == 'go'
    return made


def reason(made, settings=PolicySettings(), *, now_ns=NOW):  # noqa: B008 - frozen
    halt = made.halt(settings, now_ns=now_ns)
    assert bool(halt.text) == (halt is not RUNNING)
    return halt.reason


def see(made, image, *, source='camera', now_ns=NOW):
    made.store_image(image, stamp_ns=0, now_ns=now_ns, source=source)


def test_with_an_instruction_and_a_fresh_image_the_arm_may_move(made):
    assert reason(made) is Reason.NO_IMAGE
    see(made, 'a')
    assert made.halt(PolicySettings(), now_ns=NOW) is RUNNING
    assert reason(made, now_ns=NOW + 10**9) is Reason.STALE_IMAGE


def test_a_bad_instruction_halts_until_a_good_one_even_the_same(made):
    see(made, 'a')
    assert made.store_instruction('go\x00')
    assert made.instruction == ''
    assert made.halt(PolicySettings(), now_ns=NOW).reason is Reason.BAD_INSTRUCTION
    assert made.store_instruction('')  # which cancels, and is not bad
    assert reason(made) is Reason.NO_INSTRUCTION
    assert not made.store_instruction('')
    assert made.store_instruction('go\x00')
    made.cancel()
    assert reason(made) is Reason.NO_INSTRUCTION
    assert made.store_instruction('go')
    assert not made.store_instruction('go  ')
    assert reason(made) is Reason.NONE


def test_two_cameras_halt(made):
    for source in ('front', 'wrist'):
        see(made, source, source=source)
    assert reason(made) is Reason.TWO_CAMERAS


@pytest.mark.parametrize(
    ('image', 'source', 'frozen'),
    [('a', 'camera', True), ('b', 'camera', False), ('a', 'started again', False)],
)
def test_an_image_must_differ_once_the_arm_was_commanded_to_move(made, image, source, frozen):
    see(made, 'a')
    made.commanded(FORWARD, seconds=1.0, now_ns=NOW)
    later = NOW + 2 * 10**9  # by when the first camera counts as silent
    see(made, image, source=source, now_ns=later)
    assert reason(made, now_ns=later) is (Reason.FROZEN_IMAGE if frozen else Reason.NONE)
    unwatched = PolicySettings(detect_frozen_image=False)
    assert reason(made, unwatched, now_ns=later) is Reason.NONE
    made.clear_faults()
    assert reason(made, now_ns=later) is Reason.NONE


@pytest.mark.parametrize(('late', 'frozen'), [(0.4, False), (0.6, True)])
def test_only_what_was_taken_after_a_motion_can_fail_to_show_it(made, late, frozen):
    see(made, 'a')
    made.commanded(FORWARD, seconds=1.0, now_ns=NOW)
    now = NOW + round(0.8 * 1e9)  # with an image_timeout of 0.5 s
    made.store_image('a', stamp_ns=NOW + round(late * 1e9), now_ns=now, source='camera')
    assert reason(made, now_ns=now) is (Reason.FROZEN_IMAGE if frozen else Reason.NONE)


def test_what_was_given_up_is_tried_again_with_a_new_instruction(made):
    see(made, 'a')
    made.failures.failed('boom', limit=1)
    assert reason(made) is Reason.TOO_MANY_FAILURES
    assert not made.store_instruction('go')
    assert reason(made) is Reason.TOO_MANY_FAILURES
    assert made.store_instruction('go on')
    assert reason(made) is Reason.NONE


@pytest.mark.parametrize('settings', [BOXED, PolicySettings(command_type='pose')])
def test_a_pose_is_needed_for_a_box_and_for_target_poses(made, settings):
    see(made, 'a')
    assert reason(made, settings) is Reason.POSE_MISSING
    made.poses.store(Pose(np.ones(3), np.array([0, 0, 0, 1.0]), 'base_link', NOW))
    assert reason(made, settings) is Reason.NONE
    see(made, 'b', now_ns=NOW + 10**9)
    assert reason(made, settings, now_ns=NOW + 10**9) is Reason.POSE_MISSING
