# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The control loop, tick by tick, on a clock of our own."""

import numpy as np
import pytest
from loop_driver import DELTA, MODE, PERIOD_NS, began, halted_for, moves

from spec_vla_ros.control.tick import Reason
from spec_vla_ros.settings.nodes import PolicySettings
from spec_vla_ros.types import MAX_INSTRUCTION, Decoding, InstructionError, UnreadableError


def test_halts_in_order_until_there_is_everything(drive):
    driver = drive()
    assert driver.tick(frame=False).halt.reason is Reason.NO_INSTRUCTION
    driver.loop.store_instruction('go')
    assert driver.tick(frame=False).halt.reason is Reason.NO_IMAGE
    assert driver.tick().halt.reason is Reason.NONE
    assert driver.loop.counters.halts == 0  # nothing ran before


def test_an_action_is_played_over_its_ticks_and_not_again(drive):
    driver = drive()
    driver.loop.store_instruction('go')
    first = driver.until(began)
    assert first.new_action.sequence == 1
    assert first.new_action.step_duration == pytest.approx(0.1)
    assert first.new_action.instruction == 'go'
    driver.policy.answer = np.zeros(7)
    while driver.until(began).new_action.sequence < 4:
        pass
    np.testing.assert_allclose(driver.travelled(), DELTA[:6], rtol=1e-9)
    assert sum(map(moves, driver.ticks)) == 3


def test_a_loop_that_finishes_ends_what_it_has_begun_and_begins_no_more(drive):
    driver = drive(wait_for_motion=False, step_duration=0.5)
    driver.loop.store_instruction('go')
    driver.until(began)
    driver.loop.finish()
    driver.until(lambda tick: driver.loop.at_rest)
    assert not any(began(driver.tick()) for _ in range(5))
    np.testing.assert_allclose(driver.travelled(), DELTA[:6], rtol=1e-9)
    driver.loop.store_instruction('go on')
    driver.until(began)


def test_observations_are_from_after_the_motion(drive):
    driver = drive(settle_time=0.2)
    driver.loop.store_instruction('go')
    driver.until(began)
    last_moving = driver.now_ns + 2 * PERIOD_NS
    second = driver.until(began)
    settled_ns = last_moving + PERIOD_NS + 200_000_000
    assert second.new_action.observation_stamp_ns >= settled_ns


def test_a_new_threshold_holds_from_the_next_inference_on(drive):
    driver = drive(decoding_mode='relaxed', acceptance_threshold=3)
    driver.loop.store_instruction('go')
    driver.until(lambda tick: driver.policy.seen)
    driver.loop.apply(
        PolicySettings(decoding_mode='strict', acceptance_threshold=5, temporal_draft=False)
    )
    driver.until(lambda tick: len(driver.policy.seen) > 1)
    assert driver.policy.decodings[:2] == [
        Decoding('relaxed', (3,) * 6 + (0,), temporal=True),
        Decoding('strict', (5,) * 6 + (0,), temporal=False),
    ]


def test_without_waiting_it_infers_while_the_arm_moves(drive):
    driver = drive(wait_for_motion=False, step_duration=1.0)
    driver.loop.store_instruction('go')
    first_at = (driver.until(began), driver.now_ns)[1]
    second = driver.until(began)
    assert second.new_action.observation_stamp_ns < first_at + 1_000_000_000
    # and the first delta was played to its end
    np.testing.assert_allclose(
        driver.travelled() - np.concatenate([second.twist.linear, second.twist.angular]) / 30,
        DELTA[:6],
        rtol=1e-9,
    )


def test_a_stale_image_drops_the_rest_of_the_delta(drive):
    driver = drive(step_duration=2.0, image_timeout=0.2)
    driver.loop.store_instruction('go')
    driver.until(began)
    tick = driver.until(halted_for(Reason.STALE_IMAGE), frame=False)
    assert not moves(tick)
    assert not moves(driver.tick(frame=False))
    driver.policy.gate.clear()
    assert driver.tick().halt.reason is Reason.NONE
    assert not moves(driver.tick())
    assert driver.loop.counters.halts == 1


def test_a_new_instruction_drops_motion_and_inference(drive):
    driver = drive(step_duration=2.0)
    driver.loop.store_instruction('old')
    driver.until(began)
    driver.loop.store_instruction('new')
    driver.policy.gate.clear()
    assert not moves(driver.tick())
    driver.policy.gate.set()
    assert driver.until(began).new_action.instruction == 'new'
    assert driver.policy.resets == 2


def test_the_same_instruction_again_changes_nothing(drive):
    driver = drive(step_duration=2.0)
    driver.loop.store_instruction('go')
    driver.until(began)
    driver.loop.store_instruction(' go ')
    assert moves(driver.tick())
    assert driver.policy.resets == 1


@pytest.mark.parametrize(
    ('text', 'reason'),
    [
        ('', Reason.NO_INSTRUCTION),
        ('  \n', Reason.NO_INSTRUCTION),
        ('x' * (MAX_INSTRUCTION + 1), Reason.BAD_INSTRUCTION),
    ],
)
def test_a_cancelling_or_bad_instruction_halts(drive, text, reason):
    driver = drive(step_duration=2.0)
    driver.loop.store_instruction('go')
    driver.until(began)
    driver.loop.store_instruction(text)
    tick = driver.tick()
    assert tick.halt.reason is reason
    assert not moves(tick)
    assert driver.loop.instruction == ''
    driver.loop.store_instruction('go')
    assert driver.until(began).halt.reason is Reason.NONE


def test_a_slow_inference_halts_and_its_result_is_not_used(drive):
    driver = drive(inference_timeout=0.3)
    driver.policy.gate.clear()
    driver.loop.store_instruction('go')
    driver.until(halted_for(Reason.INFERENCE_TIMEOUT))
    driver.tick()
    assert driver.loop.counters.inference_timeouts == 1
    first_seen = driver.policy.seen[0].stamp_ns
    driver.policy.gate.set()
    assert driver.until(began).new_action.observation_stamp_ns > first_seen
    assert driver.loop.counters.results_discarded == 1


@pytest.mark.parametrize(
    ('answer', 'reason', 'words'),
    [
        (RuntimeError('out of memory'), Reason.INFERENCE_ERROR, 'RuntimeError: out of memory'),
        (np.full(7, np.inf), Reason.ACTION_REJECTED, 'not finite'),
        (DELTA[:6], Reason.ACTION_REJECTED, 'shape'),
    ],
)
def test_a_bad_answer_halts_until_a_good_one(drive, answer, reason, words):
    driver = drive()
    driver.policy.answer = answer
    driver.loop.store_instruction('go')
    tick = driver.until(halted_for(reason))
    assert words in tick.halt.text
    assert not any(map(moves, driver.ticks))
    driver.policy.answer = DELTA
    assert driver.until(began).halt.reason is Reason.NONE


def test_limits_are_those_in_force_when_the_action_would_begin(drive):
    driver = drive()
    driver.policy.gate.clear()
    driver.loop.store_instruction('go')
    while not driver.policy.seen:
        driver.tick()
    driver.loop.apply(PolicySettings(**MODE, max_step_translation=0.001))
    driver.policy.gate.set()
    driver.until(halted_for(Reason.ACTION_REJECTED))
    assert not any(tick.new_action for tick in driver.ticks)


def test_stopping_forgets_images_but_not_the_instruction(drive):
    driver = drive(step_duration=2.0)
    driver.loop.store_instruction('go')
    driver.until(began)
    driver.loop.stop()
    assert driver.tick(frame=False).halt.reason is Reason.NO_IMAGE
    assert driver.until(began).new_action.instruction == 'go'


def test_unknown_words_are_a_bad_instruction_at_once(drive):
    driver = drive(max_inference_failures=2)
    driver.loop.store_instruction('hiss')
    driver.policy.answer = InstructionError("the policy does not know the words 'hiss'")
    halt = driver.until(halted_for(Reason.BAD_INSTRUCTION)).halt
    assert "'hiss'" in halt.text
    for _ in range(5):
        assert driver.tick().halt == halt
    assert len(driver.policy.seen) == 1
    driver.policy.answer = DELTA
    driver.loop.store_instruction('go')
    driver.until(moves)


def test_what_cannot_be_read_is_told_at_once_and_never_given_up(drive):
    driver = drive(max_inference_failures=2)
    driver.loop.store_instruction('go')
    driver.policy.answer = UnreadableError('no picture')
    assert driver.until(halted_for(Reason.INFERENCE_ERROR)).halt.lasting
    for _ in range(10):
        assert driver.tick().halt.reason is Reason.INFERENCE_ERROR
    assert driver.loop.counters.inference_errors > 2
    driver.policy.answer = DELTA
    driver.until(moves)


@pytest.mark.parametrize('at_rest', [False, True])
def test_a_clock_set_back_does_not_wait_for_the_old_time(drive, at_rest):
    driver = drive()
    driver.loop.store_instruction('go')
    driver.until(began)
    if at_rest:  # and no image has shown it yet
        driver.until(lambda tick: driver.loop.at_rest, frame=False)
    driver.now_ns -= 500_000_000_000
    sequence = driver.loop.counters.actions_published
    assert driver.until(began).new_action.sequence == sequence + 1
