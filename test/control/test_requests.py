# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""From which image the policy is asked, and what it is asked."""

import threading
import time
from dataclasses import replace

import numpy as np
import pytest
from loop_driver import MODE, PATIENCE, Policy

from spec_vla_ros.control.requests import Inference, Request, Requests
from spec_vla_ros.control.watches import StampedImage
from spec_vla_ros.settings.nodes import PolicySettings
from spec_vla_ros.types import Decoding

SECOND = 1_000_000_000
WAIT = PolicySettings(**MODE)
SETTLE = PolicySettings(**MODE, settle_time=0.5)
AT_ONCE = PolicySettings(**MODE, wait_for_motion=False)


def image(stamp_ns, *, pixels=0):
    return StampedImage(np.full((2, 2, 3), pixels, np.uint8), stamp_ns, stamp_ns)


@pytest.fixture
def gate():
    """Lets inferences through; open at first."""
    gate = threading.Event()
    gate.set()
    return gate


@pytest.fixture
def requests(gate):
    def infer(request):
        assert gate.wait(PATIENCE)
        return f'{request.instruction} in task {request.task}'

    made = Requests(infer, clock=time.monotonic, on_finished=lambda: None)
    yield made
    gate.set()
    assert made.close(timeout=PATIENCE)


def finished(requests):
    deadline = time.monotonic() + PATIENCE
    while (found := requests.poll()) is None:
        assert time.monotonic() < deadline
        time.sleep(0.001)
    return found


def wait_until_running(requests):
    deadline = time.monotonic() + PATIENCE
    while not requests.running_for:
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_an_image_is_used_once(requests):
    assert not requests.ask(None, 'go', WAIT)
    first = image(SECOND)
    assert requests.ask(first, 'go', WAIT)
    assert finished(requests).outcome == 'go in task 0'
    assert not requests.ask(first, 'go', WAIT)
    assert requests.ask(image(SECOND), 'go', WAIT)  # another one of the same time


def test_an_image_is_no_newer_than_its_arrival(requests):
    """The clock of a camera may be ahead; what it saw while the arm moved is old all the same."""
    requests.motion_began()
    requests.motion_ended(2 * SECOND)
    ahead = StampedImage(np.zeros((2, 2, 3), np.uint8), 3 * SECOND, 2 * SECOND - 1)
    assert not requests.ask(ahead, 'go', WAIT)
    assert requests.ask(replace(ahead, arrival_ns=2 * SECOND), 'go', WAIT)


def test_one_inference_at_a_time(requests, gate):
    gate.clear()
    assert requests.ask(image(1), 'go', WAIT)
    wait_until_running(requests)
    second = image(2)
    assert not requests.ask(second, 'go', WAIT)
    gate.set()
    finished(requests)
    assert requests.ask(second, 'go', WAIT)  # it was not used up by asking in vain


def test_what_is_discarded_is_another_task_and_may_use_the_image_again(requests, gate):
    gate.clear()
    first = image(SECOND)
    assert requests.ask(first, 'old', WAIT)
    wait_until_running(requests)
    requests.discard()
    assert requests.ask(first, 'new', WAIT)
    gate.set()
    assert finished(requests).outcome == 'new in task 1'
    assert requests.discarded == 1


@pytest.mark.parametrize(
    ('settings', 'stamp_ns', 'used'),
    [
        (WAIT, 10 * SECOND - 1, False),
        (WAIT, 10 * SECOND, True),
        (SETTLE, 10 * SECOND + SECOND // 2 - 1, False),
        (SETTLE, 10 * SECOND + SECOND // 2, True),
        (AT_ONCE, 1, True),
    ],
)
def test_an_image_must_be_of_after_the_motion(requests, settings, stamp_ns, used):
    assert requests.at_rest
    requests.motion_began()
    assert not requests.at_rest
    requests.motion_ended(10 * SECOND)
    requests.motion_ended(20 * SECOND)  # it has been at rest since
    assert requests.at_rest
    assert requests.ask(image(stamp_ns), 'go', settings) == used


@pytest.mark.parametrize('settings', [WAIT, AT_ONCE])
def test_an_image_of_the_motion_is_used_only_without_waiting(requests, settings):
    requests.motion_began()
    assert requests.ask(image(SECOND), 'go', settings) == (settings is AT_ONCE)


def test_a_clock_set_back_does_not_wait_for_the_old_time(requests):
    requests.motion_began()
    requests.motion_ended(10 * SECOND)
    requests.motion_ended(3 * SECOND)
    assert requests.ask(image(3 * SECOND), 'go', WAIT)


def test_the_policy_forgets_the_task_before_and_is_asked_as_the_settings_say():
    policy = Policy()
    infer = Inference(policy, to_rgb=lambda pixels: pixels + 1)
    settings = PolicySettings(decoding_mode='relaxed', acceptance_threshold=3)
    for task, resets in ((0, 1), (0, 1), (1, 2)):
        infer(Request(image(7, pixels=4), 'go', task, settings))
        assert policy.resets == resets
    seen = policy.seen[-1]
    assert (seen.instruction, seen.stamp_ns, seen.image.max()) == ('go', 7, 5)
    assert policy.decodings[-1] == Decoding('relaxed', (3,) * 6 + (0,))
