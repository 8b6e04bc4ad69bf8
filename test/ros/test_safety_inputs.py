# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Fault injection at the inputs of a running policy node: camera, instruction, parameters."""

import contextlib
import time
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
from harness import STILL_IMAGE, new_world
from rclpy.serialization import serialize_message
from safety_bench import NODE, SafetyBench
from spec_vla_ros.msg import PolicyStatus
from std_msgs.msg import Bool, String
from waiting import wait_for, wait_for_line

from spec_vla_ros.control import repeats
from spec_vla_ros.control.repeats import LONGEST_PAUSE, RepeatWatch
from spec_vla_ros.ros import qos
from spec_vla_ros.ros.converters import rgb_to_image

pytestmark = pytest.mark.dds


@pytest.fixture(scope='module')
def shared(tmp_path_factory):
    with new_world(tmp_path_factory.mktemp('world')) as world:
        yield SafetyBench(world, max_inference_failures=1000, inference_timeout=100.0)


@pytest.fixture
def bench(shared):
    shared.put_right()
    return shared


def image(now_ns, **changes):
    message = rgb_to_image(STILL_IMAGE, stamp_ns=now_ns, frame_id='camera')
    for name, value in changes.items():
        setattr(message, name, value)
    return message


@pytest.fixture
def heard(monkeypatch):
    """Return how often the node has heard an instruction that somebody repeats.

    Whoever repeats it may be held up for a minute here, and is not taken to give it anew.
    """
    monkeypatch.setattr(repeats, 'LONGEST_PAUSE', 60.0)
    is_copy, heard = RepeatWatch.is_copy, Counter()

    def noted(watch, text, **said):
        copy = is_copy(watch, text, **said)
        heard[text] += 1
        return copy

    monkeypatch.setattr(RepeatWatch, 'is_copy', noted)
    return heard


@contextlib.contextmanager
def repeating(bench, text, *, pause=0.1):
    """Have somebody publish an instruction ten times a second, or after pauses of so many seconds.

    Each test has words of its own: where nobody tells who publishes, as on Jazzy, nobody is heard
    with words that have just been repeated.
    """
    node = bench.world.remote.node
    publisher = node.create_publisher(String, 'instruction', qos.COMMAND)
    timer = node.create_timer(pause, lambda: publisher.publish(String(data=text)))
    try:
        yield
    finally:
        node.destroy_timer(timer)
        node.destroy_publisher(publisher)


def silent(heard, *, seconds):
    """Wait, and return whether nothing was heard meanwhile."""
    before = heard.total()
    time.sleep(seconds)
    return heard.total() == before


def wait_for_copies(heard, text):
    """Wait until the node has heard enough to know that somebody repeats it."""
    wait_for(lambda: heard[text] >= 3, 'some copies')


def test_a_frozen_picture_with_fresh_stamps_halts(bench):
    bench.set(image_timeout=0.3)
    bench.instruct('go')
    bench.wait_moving()
    bench.camera.make = image
    status = bench.wait_halted('FROZEN_IMAGE')
    assert 'image_timeout=0.3' in status.reason_text
    assert '/image (sensor_msgs/msg/Image), published by /observer' in status.reason_text
    bench.assert_stands_still()
    bench.put_right()
    bench.instruct('go')
    bench.wait_moving()


def test_the_same_instruction_again_lets_go_of_a_frozen_picture_and_copies_do_not(
    bench, heard, monkeypatch
):
    bench.set(image_timeout=0.3)
    with repeating(bench, 'go ahead'):
        bench.wait_moving()
        wait_for_copies(heard, 'go ahead')
        bench.camera.make = image
        bench.wait_halted('FROZEN_IMAGE')
        bench.assert_stands_still(commands=30)
    monkeypatch.setattr(repeats, 'LONGEST_PAUSE', LONGEST_PAUSE)
    wait_for(lambda: silent(heard, seconds=LONGEST_PAUSE + 0.5), 'a pause')
    bench.instruct('go ahead')
    bench.wait_moving()


@pytest.mark.parametrize('told', [True, False], ids=['told who', 'not told who'])
def test_two_publishers_of_images_halt_until_one_is_silent(bench, monkeypatch, told):
    if not told:  # as on Jazzy
        monkeypatch.setattr('spec_vla_ros.ros.inputs.source_of', lambda info: None)
    bench.instruct('go')
    bench.wait_moving()
    second = bench.world.camera()
    text = bench.wait_halted('TWO_CAMERAS').reason_text
    assert text.count('/observer (sensor_msgs/msg/Image') >= 2
    bench.assert_stands_still()
    second.covered = True
    bench.wait_moving()


@pytest.mark.parametrize(
    ('changes', 'words'),
    [
        ({'data': b'x' * 100}, 'bytes'),
        ({'width': 128}, 'step'),
        ({'width': 0, 'height': 0}, '0'),
        ({'encoding': 'bayer_rggb8'}, 'bayer_rggb8'),
    ],
    ids=['truncated', 'wrong size', 'empty', 'wrong encoding'],
)
def test_a_malformed_image_halts_with_the_reason(bench, changes, words):
    bench.instruct('go')
    bench.wait_moving()
    bench.camera.make = lambda now_ns: image(now_ns, **changes)
    status = bench.wait_halted('INFERENCE_ERROR')
    assert words in status.reason_text
    bench.camera.make = lambda now_ns: image(now_ns, header=image(now_ns).header)
    bench.put_right()
    bench.instruct('go')
    bench.wait_moving()


def test_a_picture_of_one_colour_halts_and_a_good_one_resumes(bench):
    """A covered camera, with the noise that it has."""
    noise = np.random.default_rng(0)
    dark = STILL_IMAGE // 90
    bench.instruct('go')
    bench.wait_moving()
    bench.camera.make = lambda now_ns: rgb_to_image(
        dark + noise.integers(0, 4, dark.shape, np.uint8), stamp_ns=now_ns, frame_id='camera'
    )
    status = bench.wait_halted('INFERENCE_ERROR')
    assert 'of one colour (2, 2, 2): is the camera covered' in status.reason_text
    bench.assert_stands_still()
    bench.camera.make = bench.picture
    bench.wait_moving()


def test_an_instruction_that_is_not_utf8_is_refused(bench):
    bench.instruct('go')
    bench.wait_moving()
    raw = bytes(serialize_message(String(data='pick up'))).replace(b'pick', b'\xff\xfe\xc0\x80')
    bench.publish_raw_instruction(raw)
    assert 'UTF-8' in bench.wait_halted('BAD_INSTRUCTION').reason_text
    bench.instruct('go')
    bench.wait_moving()


@pytest.mark.parametrize('told', [True, False], ids=['told who', 'not told who'])
def test_a_stop_is_not_undone_by_who_repeats_the_instruction(bench, heard, monkeypatch, told):
    if not told:  # as on Jazzy
        monkeypatch.setattr('spec_vla_ros.ros.inputs.source_of', lambda info: None)
    words = f'go on, {told}'
    with repeating(bench, words):
        bench.wait_moving()
        wait_for_copies(heard, words)
        bench.stop()
        bench.wait_halted('NO_INSTRUCTION')
        bench.assert_stands_still(commands=30)
    bench.instruct(f'move, {told}')
    bench.wait_moving()


def test_two_who_repeat_different_instructions_halt_and_are_named(bench, stderr):
    person = bench.world.remote.node.get_fully_qualified_name()
    bench.instruct('go left')
    wait_for_line(stderr, f"instruction 'go left', given by {person}")
    with repeating(bench, 'go up', pause=1.0), repeating(bench, 'go down', pause=1.0):
        text = bench.wait_halted('BAD_INSTRUCTION').reason_text
        assert "'go up'" in text
        assert "'go down'" in text
        assert text.count(person) == 2
        bench.assert_stands_still(commands=30)
        bench.instruct('move left')
        bench.wait_moving()
        time.sleep(1.5)  # in which each of them has said it again
        assert bench.wait_running().instruction == 'move left'


def test_a_reset_does_not_set_off_who_repeats_what_was_refused(bench, heard):
    button = bench.world.remote.node.create_publisher(Bool, 'emergency_stop', qos.LATCHED)
    button.publish(Bool(data=True))
    bench.wait_halted('EMERGENCY_STOP')
    with repeating(bench, 'go off'):
        wait_for_copies(heard, 'go off')  # none of which is taken
        bench.reset()
        bench.wait_halted('NO_INSTRUCTION')
        bench.assert_stands_still(commands=30)
    bench.instruct('move on')
    bench.wait_moving()


def configure_anew(bench, *, meanwhile=lambda: None):
    """Configure the node anew, as to change a start parameter, and activate it."""
    remote = bench.world.remote
    assert remote.deactivate(NODE)
    assert remote.clean_up(NODE)
    meanwhile()
    assert remote.configure(NODE)
    assert remote.activate(NODE)


@pytest.mark.parametrize('told', [True, False], ids=['told who', 'not told who'])
def test_configuring_anew_does_not_bring_back_what_was_ended(bench, monkeypatch, told):
    if not told:  # as on Jazzy
        for room in ('inputs', 'hearing'):
            monkeypatch.setattr(f'spec_vla_ros.ros.{room}.source_of', lambda info: None)
    bench.instruct('go')  # latched
    bench.wait_moving()
    bench.stop()
    configure_anew(bench)
    bench.wait_halted('NO_INSTRUCTION')
    bench.assert_stands_still(commands=30)
    bench.instruct('go')
    bench.wait_moving()


def test_configuring_anew_is_no_pause_of_who_repeats_the_instruction(bench, heard, monkeypatch):
    later = [0.0]
    clock = SimpleNamespace(monotonic=lambda: time.monotonic() + sum(later))
    monkeypatch.setattr('spec_vla_ros.ros.configured.time', clock)
    with repeating(bench, 'go back'):
        bench.wait_moving()
        wait_for_copies(heard, 'go back')
        bench.stop()
        configure_anew(bench, meanwhile=lambda: later.append(3600.0))  # as if it took an hour
        bench.wait_halted('NO_INSTRUCTION')
        bench.assert_stands_still(commands=30)


def test_a_cancel_while_it_infers_discards_the_result(bench):
    bench.policy.open.clear()
    seen = len(bench.policy.observations)
    bench.instruct('go')
    wait_for(lambda: len(bench.policy.observations) > seen, 'the inference to begin')
    actions, discarded = len(bench.actions.messages), bench.status.last.results_discarded
    bench.instruct('')
    bench.wait_halted('NO_INSTRUCTION')
    bench.policy.open.set()
    bench.assert_stands_still()
    assert len(bench.actions.messages) == actions
    wait_for(lambda: bench.status.last.results_discarded == discarded + 1, 'the count')


def test_a_change_of_thresholds_holds_for_whole_inferences(bench):
    old = {
        'decoding_mode': 'relaxed',
        'acceptance_threshold': 1,
        'acceptance_by_dimension': [-1, 1, -1, 1, -1, 1, 0],
    }
    new = {
        'decoding_mode': 'relaxed',
        'acceptance_threshold': 5,
        'acceptance_by_dimension': [-1, 5, -1, 5, -1, 5, 5],
    }
    bench.set(**old)
    bench.policy.open.clear()
    first = len(bench.policy.decodings)
    bench.instruct('go')
    wait_for(lambda: len(bench.policy.decodings) > first, 'the inference to begin')
    bench.set(**new)
    bench.policy.open.set()
    wait_for(lambda: len(bench.policy.decodings) > first + 3, 'more inferences')
    distances = [decoding.acceptance_threshold for decoding in bench.policy.decodings[first:]]
    assert distances[0] == (1, 1, 1, 1, 1, 1, 0)
    assert set(distances[1:]) == {(5,) * 7}


def test_who_subscribes_late_gets_the_status_at_once(bench):
    assert bench.world.remote.deactivate('/spec_vla')
    wait_for(lambda: bench.status.last.state == PolicyStatus.STATE_INACTIVE, 'the end')
    late = bench.world.record(PolicyStatus, 'status', qos.LATCHED)
    wait_for(lambda: late.last is not None, 'the latched status')
    assert late.last == bench.status.last
    bench.instruct('go')  # nothing may come of it now
    count = len(bench.twists.messages)
    assert bench.world.remote.activate('/spec_vla')
    bench.wait_moving()
    assert len(bench.twists.messages) > count


def test_values_that_are_not_finite_never_become_a_command(bench):
    start = len(bench.twists.messages)
    rejected = bench.status.last.actions_rejected
    for bad in (np.nan, np.inf, -np.inf, 1e300):
        bench.policy.action = np.array([bad, 0, 0, 0, 0, 0, 1.0])
        bench.instruct(f'go {bad}')
        bench.wait_halted('ACTION_REJECTED')
    assert all(
        np.isfinite([t.twist.linear.x, t.twist.angular.z]).all() and t.twist.linear.x == 0
        for t in bench.twists.messages[start:]
    )
    wait_for(lambda: bench.status.last.actions_rejected >= rejected + 4, 'the count')
