# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""What the control loop does when something is wrong: it halts, says why, and counts."""

import dataclasses
import time

import numpy as np
import pytest
from loop_driver import DELTA, MODE, PERIOD_NS, began, halted_for, moves
from waiting import PATIENCE, wait_for

from spec_vla_ros.control.poses import Pose
from spec_vla_ros.control.preconditions import EmergencyStop
from spec_vla_ros.control.tick import RUNNING, Halt, Reason
from spec_vla_ros.settings.nodes import PolicySettings

UPRIGHT = np.array([0, 0, 0, 1.0])


class Supervisor:
    """A worker whose troubles are written down by the test."""

    def __init__(self):
        self.trouble = None
        self.given_up = False
        self.restarts = 0
        self.done = []

    def kill(self):
        self.done.append('kill')

    def recover(self):
        self.done.append('recover')

    def close(self):
        self.done.append('close')


def started(drive, **settings):
    """Return a driver that executes an action which takes two seconds."""
    driver = drive(step_duration=2.0, **settings)
    driver.loop.store_instruction('go')
    driver.until(began)
    return driver


def test_pixels_that_stay_the_same_while_it_moves_halt_until_they_change(drive):
    driver = started(drive, image_timeout=0.2)
    driver.frozen = True
    before = len(driver.ticks)  # the first frozen frame comes with the next
    tick = driver.until(halted_for(Reason.FROZEN_IMAGE))
    path = sum(np.linalg.norm(t.twist.linear) for t in driver.ticks[before:]) / 30
    assert f'commanded to move {1e3 * path:.0f} mm' in tick.halt.text
    for _ in range(10):
        assert driver.tick().halt.reason is Reason.FROZEN_IMAGE
        assert not moves(driver.ticks[-1])
    driver.frozen = False
    assert driver.until(began).halt.reason is Reason.NONE


@pytest.mark.parametrize('after', ['the same', 'another'])
def test_only_another_camera_may_begin_with_the_last_picture_of_the_one_before(drive, after):
    driver = started(drive, image_timeout=1.0)
    driver.frozen = True
    for _ in range(3):
        driver.tick()
    driver.until(halted_for(Reason.STALE_IMAGE), frame=False)
    if after == 'another':
        driver.source = 'started again'
        assert driver.until(began).halt.reason is Reason.NONE
    else:
        assert driver.tick().halt.reason is Reason.FROZEN_IMAGE


def test_equal_pixels_are_no_fault_at_rest_nor_when_the_watch_is_off(drive):
    driver = drive(image_timeout=0.2)
    driver.frozen = True
    driver.policy.answer = np.zeros(7)
    driver.loop.store_instruction('hold the cup')
    for _ in range(30):
        driver.tick()
    assert driver.ticks[-1].halt.reason is Reason.NONE
    driver.policy.answer = DELTA
    driver.loop.apply(PolicySettings(**MODE, detect_frozen_image=False, image_timeout=0.2))
    for _ in range(30):
        driver.tick()
    assert driver.ticks[-1].halt.reason is Reason.NONE
    assert any(map(moves, driver.ticks))


def test_a_dry_run_moves_nothing_that_could_show(drive):
    driver = started(drive, image_timeout=0.2, dry_run=True)
    driver.frozen = True
    for _ in range(30):
        assert driver.tick().halt.reason is Reason.NONE


@pytest.mark.parametrize('dry_run', [True, False])
def test_what_a_dry_run_began_ends_with_it_and_the_arm_speeds_up_from_rest(drive, dry_run):
    slow = {'max_acceleration': (0.03,) * 6}
    step = 0.03 * PERIOD_NS / 1e9  # metres a second that a tick may add
    driver = started(drive, dry_run=dry_run, **slow)
    for _ in range(3):
        driver.tick()
    assert np.linalg.norm(driver.ticks[-1].twist.linear) > 2 * step
    driver.loop.apply(PolicySettings(**MODE, step_duration=2.0, dry_run=not dry_run, **slow))
    assert not moves(driver.tick(frame=False))
    driver.until(began)
    assert np.abs(driver.ticks[-1].twist.linear).max() <= 1.001 * step


@pytest.mark.parametrize(
    'tighter', [{'max_acceleration': (0.01,) * 6}, {'max_velocity': (0.004,) * 3 + (1.0,) * 3}]
)
def test_a_tighter_limit_of_speed_ends_the_motion_it_is_too_late_for(drive, tighter):
    driver = started(drive)
    driver.tick()
    driver.loop.apply(PolicySettings(**MODE, step_duration=2.0, **tighter))
    assert not moves(driver.tick(frame=False))
    driver.until(began)  # and the next action is executed under the new limits
    path = np.zeros(3)
    while driver.tick(frame=False).new_action is None and len(driver.ticks) < 300:
        path += driver.ticks[-1].twist.linear / 30
    assert np.linalg.norm(path) <= 1.001 * np.linalg.norm(DELTA[:3])


def test_a_wider_limit_of_speed_leaves_the_motion_as_it_is(drive):
    driver = started(drive)
    driver.loop.apply(PolicySettings(**MODE, step_duration=2.0, max_velocity=(3.0,) * 6))
    assert moves(driver.tick(frame=False))


def test_an_action_that_a_driver_executes_is_not_thought_to_end_by_a_tighter_limit(drive):
    driver = started(drive, command_type='message')
    tighter = {'max_velocity': (0.004,) * 6, 'command_type': 'message'}
    driver.loop.apply(PolicySettings(**MODE, step_duration=2.0, **tighter))
    ticks = len(driver.ticks)
    driver.until(began)
    assert len(driver.ticks) - ticks >= 59  # of the 60 that it lasts


def test_a_target_pose_needs_an_orientation(drive):
    driver = drive(command_type='pose', pose_timeout=1.0)
    driver.loop.store_instruction('go')
    driver.loop.store_pose(Pose(np.zeros(3), np.zeros(4), 'base_link', driver.now_ns))
    assert 'no orientation' in driver.until(halted_for(Reason.POSE_MISSING)).halt.text
    driver.loop.store_pose(Pose(np.full(3, 0.1), UPRIGHT, 'base_link', driver.now_ns))
    driver.until(began)


def test_two_cameras_halt_until_one_falls_silent(drive):
    driver = started(drive, image_timeout=0.2)
    driver.source = 'front'
    driver.tick()
    driver.source = 'wrist'
    assert driver.tick().halt.reason is Reason.TWO_CAMERAS
    driver.source = 'front'
    assert driver.tick().halt.reason is Reason.TWO_CAMERAS
    assert driver.until(began).halt.reason is Reason.NONE


def test_failures_in_a_row_give_up_until_reset(drive):
    driver = drive(max_inference_failures=3, options={'supervisor': Supervisor()})
    driver.policy.answer = RuntimeError('CUDA out of memory')
    driver.loop.store_instruction('go')
    tick = driver.until(halted_for(Reason.TOO_MANY_FAILURES))
    assert 'RuntimeError: CUDA out of memory' in tick.halt.text
    assert driver.loop.counters.inference_errors == 3
    driver.policy.answer = DELTA
    for _ in range(10):
        assert driver.tick().halt.reason is Reason.TOO_MANY_FAILURES
    driver.loop.store_instruction('go')  # repeated by its publisher: no new instruction
    assert driver.tick().halt.reason is Reason.TOO_MANY_FAILURES
    driver.loop.reset()
    for _ in range(5):  # which sets nothing in motion
        assert driver.tick().halt.reason is Reason.NO_INSTRUCTION
    driver.loop.store_instruction('go')
    assert driver.until(began).halt.reason is Reason.NONE


def test_inferences_that_take_too_long_count_as_failures(drive):
    seconds = [0.0]
    options = {'clock': lambda: seconds[0]}
    driver = drive(max_inference_failures=2, inference_timeout=2.0, options=options)
    driver.policy.gate.clear()
    driver.loop.store_instruction('go')
    for asked in (1, 2):
        driver.until(lambda tick, asked=asked: len(driver.policy.seen) == asked)
        seconds[0] += 3.0
        driver.until(halted_for(Reason.INFERENCE_TIMEOUT))
        driver.policy.gate.set()  # it returns, too late
        driver.policy.gate.clear()  # and the next one waits
        driver.until(lambda tick, n=asked: driver.loop.counters.results_discarded == n)
    tick = driver.until(halted_for(Reason.TOO_MANY_FAILURES))
    assert 'longer than inference_timeout=2.0' in tick.halt.text


def test_a_new_instruction_is_a_new_chance(drive):
    driver = drive(max_inference_failures=3)
    driver.policy.answer = np.full(7, np.nan)
    driver.loop.store_instruction('go')
    driver.until(halted_for(Reason.TOO_MANY_FAILURES))
    assert driver.loop.counters.actions_rejected == 3
    driver.policy.answer = DELTA
    driver.loop.store_instruction('go on')
    assert driver.until(began).halt.reason is Reason.NONE


def test_the_same_instruction_given_anew_is_a_new_chance_too(drive):
    driver = drive(max_inference_failures=3)
    driver.policy.answer = RuntimeError('boom')
    driver.loop.store_instruction('go')
    driver.until(lambda tick: driver.loop.counters.inference_errors == 3)
    driver.policy.answer = DELTA
    driver.loop.store_instruction('go', anew=True)
    assert driver.until(began).halt.reason is Reason.NONE


def test_the_same_instruction_given_anew_lets_go_of_frozen_pixels(drive):
    driver = started(drive, image_timeout=0.2)
    driver.frozen = True
    driver.until(halted_for(Reason.FROZEN_IMAGE))
    driver.loop.store_instruction('go')  # a copy
    assert driver.tick().halt.reason is Reason.FROZEN_IMAGE
    driver.loop.store_instruction('go', anew=True)
    assert driver.until(began).halt.reason is Reason.NONE


def test_the_same_instruction_given_anew_changes_nothing_while_the_arm_moves(drive):
    driver = started(drive)
    driver.loop.store_instruction('go', anew=True)
    assert moves(driver.tick())
    assert driver.policy.resets == 1


def test_the_emergency_stop_latches_through_everything_but_a_reset(drive):
    emergency = EmergencyStop()
    driver = started(drive, options={'emergency': emergency})
    driver.loop.emergency_stop('the red button')
    tick = driver.tick()
    assert tick.halt.reason is Reason.EMERGENCY_STOP
    assert 'the red button' in tick.halt.text
    for act in (
        lambda: driver.loop.store_instruction('go'),
        lambda: driver.loop.store_instruction('another'),
        driver.loop.stop,
        lambda: driver.loop.apply(PolicySettings(**MODE, step_duration=1.0)),
    ):
        act()
        for _ in range(3):
            assert driver.tick().halt.reason is Reason.EMERGENCY_STOP
            assert not moves(driver.ticks[-1])
    other = drive(options={'emergency': emergency})  # configured anew
    other.loop.store_instruction('go')
    assert other.tick().halt.reason is Reason.EMERGENCY_STOP
    driver.loop.reset()
    for _ in range(5):  # releasing it sets nothing in motion
        assert driver.tick().halt.reason is Reason.NO_INSTRUCTION
    driver.loop.store_instruction('go')
    assert driver.until(began).halt.reason is Reason.NONE


def test_closing_ends_the_inference_process_too(drive):
    supervisor = Supervisor()
    driver = drive(options={'supervisor': supervisor})
    assert driver.loop.close(timeout=PATIENCE)
    assert supervisor.done == ['close']


def test_images_before_the_first_tick_start_no_inference(drive):
    driver = drive()
    for _ in range(3):
        driver.now_ns += PERIOD_NS
        driver.frame()
        time.sleep(0.01)  # in which a worker that was asked would begin
    assert driver.loop.close(timeout=PATIENCE)
    assert not driver.policy.seen


def test_a_new_instruction_forgets_the_fault_of_the_one_before(drive):
    driver = drive()
    driver.policy.answer = RuntimeError('boom')
    driver.loop.store_instruction('go')
    driver.until(halted_for(Reason.INFERENCE_ERROR))
    driver.policy.gate.clear()
    driver.loop.store_instruction('go on')
    assert driver.tick().halt.reason is Reason.NONE


def test_a_dead_worker_halts_and_says_so(drive):
    supervisor = Supervisor()
    driver = started(drive, options={'supervisor': supervisor})
    supervisor.trouble = 'the inference process ended with SIGKILL'
    supervisor.restarts = 1
    tick = driver.tick()
    assert not moves(tick)
    assert tick.halt.reason is Reason.WORKER_DOWN
    assert 'SIGKILL' in tick.halt.text
    assert driver.loop.counters.worker_restarts == 1
    assert not tick.halt.lasting
    supervisor.given_up = True
    assert driver.tick().halt.lasting  # so that a goal does not wait for ever
    driver.loop.reset()
    assert supervisor.done == ['recover']
    supervisor.trouble = None
    assert driver.tick().halt.reason is Reason.NO_INSTRUCTION
    driver.loop.store_instruction('go')
    assert driver.until(began).halt.reason is Reason.NONE
    driver.loop.reset()  # while it runs, changes nothing
    assert driver.tick().halt.reason is Reason.NONE


def test_a_hanging_inference_is_killed_after_three_times_its_limit(drive):
    supervisor, seconds = Supervisor(), [0.0]
    options = {'supervisor': supervisor, 'clock': lambda: seconds[0]}
    driver = drive(options=options, inference_timeout=2.0)
    driver.policy.gate.clear()
    driver.loop.store_instruction('go')
    driver.until(lambda tick: driver.policy.seen)
    for now, reason, done in (
        (2.0, Reason.NONE, []),
        (2.1, Reason.INFERENCE_TIMEOUT, []),
        (6.0, Reason.INFERENCE_TIMEOUT, []),
        (6.1, Reason.INFERENCE_TIMEOUT, ['kill']),
    ):
        seconds[0] = now
        assert driver.tick().halt.reason is reason
        assert supervisor.done == done
    assert driver.loop.counters.inference_timeouts == 1


def test_acceleration_limits_keep_the_path_and_a_halt_is_at_once(drive):
    driver = drive(max_acceleration=(0.9,) * 3 + (9.0,) * 3, step_duration=0.5)
    driver.loop.store_instruction('go')
    driver.until(began)
    driver.policy.answer = np.zeros(7)
    while driver.until(began).new_action.sequence < 3:
        pass
    np.testing.assert_allclose(driver.travelled(), DELTA[:6], rtol=1e-9)
    driver.policy.answer = DELTA * 2
    driver.until(began)
    driver.until(lambda tick: tick.twist.linear[0] > 0.03)
    driver.loop.store_instruction('')
    assert not moves(driver.tick())
    assert driver.loop.counters.acceleration_clamps > 0


def test_the_next_image_shows_the_arm_after_it_has_slowed_down(drive):
    driver = drive(max_acceleration=(0.3,) * 3 + (3.0,) * 3)
    driver.loop.store_instruction('go')
    driver.until(began)
    driver.until(began)
    last = max(i for i, tick in enumerate(driver.ticks[:-1]) if moves(tick))
    ended_ns = driver.now_ns - (len(driver.ticks) - 1 - (last + 1)) * PERIOD_NS
    assert driver.policy.seen[1].stamp_ns >= ended_ns


def test_a_new_instruction_stops_the_arm_at_once_whatever_the_acceleration(drive):
    driver = started(drive, max_acceleration=(0.3,) * 3 + (3.0,) * 3, max_gripper_rate=0.1)
    driver.policy.answer = np.array([*DELTA[:6], 1.0])
    driver.until(began)
    for _ in range(5):
        assert driver.tick().gripper is not None
        assert moves(driver.ticks[-1])
    driver.policy.gate.clear()
    driver.loop.store_instruction('another')
    tick = driver.tick()
    assert tick.halt.reason is Reason.NONE
    assert not moves(tick)
    assert tick.gripper is None


SLOW = (0.05,) * 3 + (2.5,) * 3


def test_an_action_that_is_the_command_is_within_the_velocity_limits(drive):
    driver = drive(command_type='message', max_velocity=SLOW, max_acceleration=(0.1,) * 6)
    driver.loop.store_instruction('go')
    new = driver.until(began).new_action
    wanted = [0.005, 0.0, -0.005, 0.0, 0.1, 0.0, 0.25]
    np.testing.assert_allclose(new.action.values, wanted, atol=1e-12)
    driver.until(began)  # it has rested
    assert driver.loop.counters.velocity_clamps == 2  # once for each action
    assert driver.loop.counters.acceleration_clamps == 0
    np.testing.assert_allclose(driver.travelled()[:3], [0.005 + 0.005 / 3, 0, -0.02 / 3])


@pytest.mark.parametrize(('x', 'left'), [(0.0, 0.01), (0.096, 0.003), (0.2, 0.0)])
def test_an_action_that_is_the_command_does_not_leave_the_workspace(drive, x, left):
    driver = drive(command_type='message', **BOX)
    driver.loop.store_instruction('go')
    tick = None
    while tick is None or not began(tick):  # a pose that is a third of a step old
        position = np.array([x, 0.0, 0.05])
        driver.loop.store_pose(Pose(position, UPRIGHT, 'base_link', driver.now_ns))
        tick = driver.tick()
    values = tick.new_action.action.values
    np.testing.assert_allclose(values[:3], [left, 0, -0.01], atol=1e-9)
    assert driver.loop.counters.workspace_clamps == (left < 0.01)


def test_an_action_that_is_the_command_holds_the_gripper_in_its_range_and_rate(drive):
    limits = {'gripper_min': 0.2, 'gripper_max': 0.9, 'max_gripper_rate': 1.0}
    driver = drive(command_type='message', gripper_type='none', **limits)
    driver.policy.answer = np.array([*DELTA[:6], 1.0])
    driver.loop.store_instruction('go')
    opened = driver.until(began)
    driver.policy.answer = np.array([*DELTA[:6], 0.0])
    driver.loop.store_instruction('close')
    closing = driver.until(began)
    assert opened.new_action.action.values[6] == pytest.approx(0.9)
    assert closing.new_action.action.values[6] == pytest.approx(0.8)  # 0.1 s of it
    assert driver.loop.counters.gripper_clamps >= 2


def test_an_action_that_is_no_command_is_as_the_policy_gave_it(drive):
    driver = drive(max_velocity=SLOW, gripper_min=0.5)
    driver.loop.store_instruction('go')
    np.testing.assert_array_equal(driver.until(began).new_action.action.values, DELTA)


def test_velocity_limits_clamp_and_count(drive):
    driver = drive(max_velocity=(0.05, 0.5, 0.05, 0.5, 0.5, 0.5))
    driver.loop.store_instruction('go')
    twist = driver.until(began).twist
    np.testing.assert_allclose(twist.linear, [0.05, 0, -0.05])
    np.testing.assert_allclose(twist.angular, [0, 0.5, 0])
    assert driver.loop.counters.velocity_clamps == 1


def test_the_workspace_needs_a_pose_and_then_holds(drive):
    driver = drive(workspace_min=(-0.1, -0.1, 0.0), workspace_max=(0.1, 0.1, 0.5))
    driver.loop.store_instruction('go')
    assert 'no end-effector pose' in driver.until(halted_for(Reason.POSE_MISSING)).halt.text

    def pose(x, *, age_ns=0):
        position = np.array([x, 0.0, 0.2])
        driver.loop.store_pose(
            Pose(position, UPRIGHT, 'base_link', driver.now_ns + PERIOD_NS - age_ns)
        )

    pose(0.1)
    while not moves(driver.tick()):
        pose(0.1)
    assert driver.ticks[-1].twist.linear[0] == 0.0
    assert driver.ticks[-1].twist.linear[2] < 0
    assert driver.loop.counters.workspace_clamps >= 1
    pose(0.0, age_ns=300_000_000)
    assert driver.tick().halt.reason is Reason.POSE_MISSING


BOX = {'workspace_min': (-0.1,) * 3, 'workspace_max': (0.1,) * 3}


def test_a_target_does_not_leave_the_workspace_however_far_the_arm_lags(drive):
    driver = drive(**BOX, command_type='pose', step_duration=1.0, detect_frozen_image=False)
    driver.loop.store_instruction('go')
    target, furthest = None, []
    for _ in range(100):
        pose = Pose(np.array([0.095, 0, 0]), UPRIGHT, 'base_link', driver.now_ns + PERIOD_NS)
        driver.loop.store_pose(pose)
        tick = driver.tick(target=target)
        target = pose if began(tick) else target
        if target is not None:
            position = target.position + tick.twist.linear / 30
            target = dataclasses.replace(target, position=position)
            furthest.append(position[0])
    assert max(furthest) == pytest.approx(0.1)
    assert driver.loop.counters.workspace_clamps > 10


def until_the_pose_is_frozen(drive):
    """Return a driver that halts for that, and what stores a pose by its x [m]."""
    driver = drive(**BOX, image_timeout=0.3)
    driver.loop.store_instruction('go')

    def pose(x):
        where = np.array([x, 0.0, 0.05])
        driver.loop.store_pose(Pose(where, UPRIGHT, 'base_link', driver.now_ns + PERIOD_NS))

    for _ in range(100):
        pose(0.0)
        if driver.tick().halt.reason is Reason.POSE_MISSING and driver.travelled().any():
            break
    return driver, pose


def test_a_pose_that_does_not_follow_the_arm_halts(drive):
    """Or the box would hold nothing: the last transform, sent on and on with fresh stamps."""
    driver, pose = until_the_pose_is_frozen(drive)
    assert 'pose has not changed in 0.3' in driver.ticks[-1].halt.text
    assert np.linalg.norm(driver.travelled()[:3]) < 0.05
    for number in range(1, 60):
        pose(1e-4 * number)
        driver.tick()
    assert any(map(moves, driver.ticks[-30:]))
    assert {tick.halt.reason for tick in driver.ticks[-30:]} == {Reason.NONE}


@pytest.mark.parametrize(
    'change',
    [
        {'position': np.array([400.0, 0.0, 0.0])},
        {'frame_id': 'tool0'},
        {'source': 'another'},
        {'stamp_ns': 1},
        {'quaternion': np.zeros(4)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_pose_that_is_refused_is_not_where_the_arm_is(drive, change):
    driver = drive(command_type='pose')
    assert driver.loop.known_pose(driver.now_ns) is None
    good = Pose(np.array([0.4, 0.0, 0.0]), UPRIGHT, 'base_link', driver.now_ns)
    driver.loop.store_pose(good)
    assert driver.loop.known_pose(driver.now_ns) is good
    driver.loop.store_pose(dataclasses.replace(good, **change))
    assert driver.loop.known_pose(driver.now_ns) is None


def test_the_same_instruction_given_anew_lets_go_of_a_frozen_pose(drive):
    driver, pose = until_the_pose_is_frozen(drive)
    driver.loop.store_instruction('go', anew=True)
    for _ in range(5):
        pose(0.0)
        driver.tick()
    assert driver.ticks[-1].halt.reason is Reason.NONE


def test_an_arm_that_may_push_against_something_is_told_so(drive):
    driver = drive(**BOX, image_timeout=0.3, detect_frozen_image=False)
    driver.loop.store_instruction('go')
    for _ in range(60):
        pose = Pose(np.full(3, 0.05), UPRIGHT, 'base_link', driver.now_ns + PERIOD_NS)
        driver.loop.store_pose(pose)
        assert driver.tick().halt.reason is Reason.NONE
    assert np.linalg.norm(driver.travelled()[:3]) > 0.005


def test_the_gripper_is_limited_and_holds_on_a_halt(drive):
    driver = drive(gripper_min=0.5, max_gripper_rate=1.0, step_duration=2.0)
    driver.policy.answer = np.array([*DELTA[:6], 1.0])
    driver.loop.store_instruction('go')
    assert driver.until(began).gripper == 1.0
    driver.policy.answer = DELTA
    driver.loop.store_instruction('close')
    assert driver.until(began).gripper == pytest.approx(1 - 1 / 30)
    assert driver.tick().gripper == pytest.approx(1 - 2 / 30)
    assert driver.loop.counters.gripper_clamps == 3
    driver.loop.store_instruction('')
    assert driver.tick().gripper is None


@pytest.mark.parametrize('pause', ['dry run', 'stop'])
def test_the_gripper_does_not_ramp_from_what_was_commanded_before_a_pause(drive, pause):
    dry = pause == 'dry run'
    driver = drive(max_gripper_rate=0.5, dry_run=dry)
    driver.policy.answer = np.array([*DELTA[:6], 0.0])
    driver.loop.store_instruction('go')
    assert driver.until(began).gripper == 0.0
    driver.policy.answer = np.array([*DELTA[:6], 1.0])  # as the gripper really is by now
    if dry:
        driver.loop.apply(PolicySettings(**MODE, max_gripper_rate=0.5))
    else:
        driver.loop.stop()
    assert driver.until(began).gripper == 1.0


def test_a_bad_answer_stops_the_gripper_where_it_is(drive):
    driver = drive(max_gripper_rate=0.1)
    driver.policy.answer = np.array([*DELTA[:6], 1.0])
    driver.loop.store_instruction('go')
    assert driver.until(began).gripper == 1.0  # unknown before: commanded as it is
    driver.policy.answer = DELTA
    driver.until(began)
    driver.policy.answer = RuntimeError('boom')
    driver.until(halted_for(Reason.INFERENCE_ERROR))
    assert driver.ticks[-2].gripper > 0.9  # on its way to 0.25, where it would be in seconds
    assert driver.ticks[-1].gripper is None
    assert driver.tick().gripper is None


def test_a_bad_answer_while_the_arm_slows_down_leaves_it_at_rest(drive):
    slow = (0.3,) * 3 + (3.0,) * 3
    driver = drive(wait_for_motion=False, max_acceleration=slow)
    driver.loop.store_instruction('go')
    driver.until(began)
    driver.policy.answer = np.zeros(7)
    driver.until(lambda tick: began(tick) and moves(tick))  # the answer is to stand still
    driver.policy.answer = RuntimeError('boom')
    driver.until(halted_for(Reason.INFERENCE_ERROR))
    driver.policy.answer = np.zeros(7)
    driver.until(began)
    assert not moves(driver.ticks[-1])  # nothing is left of the motion before


def test_a_reset_forgets_the_instruction_where_the_arm_halts_without_ticks(drive):
    driver = drive()
    driver.loop.store_instruction('go')
    driver.until(lambda tick: tick.halt is RUNNING)
    halts = driver.loop.counters.halts
    driver.loop.stop(Halt(Reason.CLOCK_STOPPED, 'it stands still'))
    assert driver.loop.instruction == 'go'
    driver.loop.reset()
    assert driver.tick().halt.reason is Reason.NO_INSTRUCTION
    assert driver.loop.counters.halts == halts + 1  # once


def test_an_emergency_stop_takes_no_instruction_that_comes_before_the_reset(drive):
    driver = started(drive)
    driver.loop.emergency_stop('test')
    driver.loop.store_instruction('go')
    driver.loop.reset()  # all between two ticks
    assert driver.loop.instruction == ''
    for _ in range(5):
        assert driver.tick().halt.reason is Reason.NO_INSTRUCTION
        assert not moves(driver.ticks[-1])


def test_an_image_that_is_waited_for_is_inferred_from_at_once(drive):
    finished = []
    driver = drive(options={'on_finished': lambda: finished.append(1)})
    driver.loop.store_instruction('go')
    driver.until(began)
    driver.until(lambda tick: driver.loop.at_rest, frame=False)
    asked = len(driver.policy.seen)
    driver.now_ns += 1_000_000
    driver.frame()
    wait_for(lambda: len(finished) > asked, 'the inference to end')
    assert began(driver.tick(frame=False))


@pytest.mark.parametrize('act', ['stop', 'cancel', 'emergency_stop'])
def test_images_after_a_stop_start_no_inference(drive, act):
    driver = drive(step_duration=0.01)
    driver.loop.store_instruction('go')
    driver.until(began)
    driver.until(lambda tick: driver.loop.at_rest, frame=False)
    {
        'stop': driver.loop.stop,
        'cancel': lambda: driver.loop.store_instruction(''),
        'emergency_stop': lambda: driver.loop.emergency_stop('test'),
    }[act]()
    asked = len(driver.policy.seen)
    for _ in range(5):
        driver.now_ns += PERIOD_NS
        driver.frame()
        time.sleep(0.01)  # in which a worker that was asked would begin
    assert driver.loop.close(timeout=PATIENCE)
    assert len(driver.policy.seen) == asked
