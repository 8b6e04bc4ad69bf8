# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Fault injection into the inference process of a running policy node."""

import os
import signal
import sys
from pathlib import Path

import pytest
from geometry_msgs.msg import TwistStamped
from harness import halted, new_world
from processes import gone
from safety_bench import NODE, SafetyBench, moving
from spec_vla_ros.msg import PolicyStatus, VlaAction
from toy_checkpoint import write_tiny
from waiting import wait_for, wait_for_line

from spec_vla_ros.inference.process_policy import ProcessPolicy
from spec_vla_ros.ros import qos
from spec_vla_ros.ros.load import make_policy

pytestmark = pytest.mark.dds
TESTS = str(Path(__file__).parents[1] / 'helpers')


class Bench(SafetyBench):
    """The policy runs in a process, and does what the instruction says."""

    def __init__(self, world):
        self.process = None
        super().__init__(
            world,
            self._make,
            inference_timeout=0.5,
            max_inference_failures=3,
            max_worker_restarts=2,
        )

    def _make(self, settings):
        sys.path.insert(0, TESTS)
        try:
            self.process = ProcessPolicy('process_policies:obedient', settings, pause=0.1)
        finally:
            sys.path.remove(TESTS)
        return self.process

    def infer_once(self):
        """Have an inference succeed, after which no earlier restart counts."""
        self.instruct('go')
        self.wait_moving()
        self.instruct('')
        self.wait_halted('NO_INSTRUCTION')

    def put_right(self):
        self.reset()
        wait_for(lambda: self.process.trouble is None, 'the process')
        super().put_right()


@pytest.fixture(scope='module')
def shared(tmp_path_factory):
    with new_world(tmp_path_factory.mktemp('world')) as world:
        yield Bench(world)
        assert world.remote.deactivate(NODE)
        assert world.remote.clean_up(NODE)


@pytest.fixture
def bench(shared):
    shared.put_right()
    return shared


def stamps(bench, predicate):
    return [s for s in bench.status.messages if predicate(s)]


def test_a_killed_worker_halts_at_once_and_is_started_again(bench):
    bench.set(step_duration=5.0)
    bench.instruct('go')
    bench.wait_moving()
    pid, restarts = bench.process.pid, bench.status.last.worker_restarts
    os.kill(pid, signal.SIGKILL)
    down = bench.status.wait(halted(PolicyStatus.REASON_WORKER_DOWN))
    assert 'SIGKILL' in down.reason_text
    zero = bench.twists.wait(lambda t: not moving(t))
    assert zero is not None
    bench.wait_moving()  # by the process that took over
    assert bench.process.pid != pid
    bench.wait_running()
    wait_for(lambda: bench.status.last.worker_restarts == restarts + 1, 'the count')


def test_a_worker_that_dies_again_and_again_is_given_up_until_reset(bench):
    bench.infer_once()
    for _ in range(3):
        wait_for(lambda: bench.process.trouble is None, 'the process')
        os.kill(bench.process.pid, signal.SIGKILL)
        wait_for(lambda: bench.process.trouble is not None, 'its end')
    wait_for(lambda: 'given up after 2 restarts' in bench.process.trouble, 'the end of it')
    wait_for(lambda: 'given up' in bench.status.last.reason_text, 'the status')
    bench.instruct('go')
    bench.assert_stands_still()
    bench.reset()
    wait_for(lambda: bench.process.trouble is None, 'the process')
    bench.wait_halted('NO_INSTRUCTION')  # nothing moves by itself
    bench.instruct('go')
    bench.wait_moving()


def test_that_it_is_given_up_is_in_the_log_though_it_was_down_before(bench, stderr):
    bench.infer_once()
    for _ in range(3):
        pid = wait_for(lambda: bench.process.pid, 'a process')
        os.kill(pid, signal.SIGKILL)  # the later ones while they load
        wait_for(lambda pid=pid: bench.process.pid != pid, 'its end')
    wait_for(lambda: bench.process.given_up, 'the end of it')
    line = wait_for_line(stderr, '; given up')
    assert 'halted: the inference process ended with SIGKILL' in line


def test_an_inference_that_hangs_is_killed_and_does_not_act_afterwards(bench):
    pid, actions = bench.process.pid, len(bench.actions.messages)
    bench.instruct('stall')
    bench.wait_halted('INFERENCE_TIMEOUT')
    bench.wait_halted('WORKER_DOWN')
    assert bench.status.last.inference_timeouts > 0
    wait_for(lambda: gone(pid), 'its end')
    assert len(bench.actions.messages) == actions
    bench.instruct('go')
    bench.wait_moving()


def test_out_of_memory_is_told_and_retries_are_bounded(bench):
    errors, actions = bench.status.last.inference_errors, len(bench.actions.messages)
    bench.instruct('exhaust')
    status = bench.wait_halted('TOO_MANY_FAILURES')
    assert 'OutOfMemoryError: CUDA out of memory' in status.reason_text
    assert status.inference_errors == errors + 3
    bench.assert_stands_still()
    assert bench.status.last.inference_errors == errors + 3
    assert len(bench.actions.messages) == actions
    bench.instruct('go')
    bench.wait_moving()


def test_a_crash_does_not_take_the_node_along(bench):
    bench.instruct('crash')
    assert 'SIGSEGV' in bench.wait_halted('WORKER_DOWN').reason_text
    bench.instruct('go')
    bench.wait_moving()


@pytest.mark.parametrize('worker', ['process', 'thread'])
def test_words_instead_of_an_action_are_refused_and_counted(world, tmp_path, worker):
    twists = world.record(TwistStamped, 'delta_twist_cmds')
    actions = world.record(VlaAction, 'action')
    status = world.record(PolicyStatus, 'status', qos.LATCHED)
    world.camera()
    world.policy_node(
        make_policy,
        checkpoint=str(write_tiny(tmp_path / 'words', answers='words')),
        inference_worker=worker,
        max_inference_failures=3,
    )
    world.instruct('pick up the red block')
    given_up_for = halted(PolicyStatus.REASON_TOO_MANY_FAILURES)
    given_up = wait_for(lambda: next(filter(given_up_for, status.messages), None), 'the end')
    refused = next(filter(halted(PolicyStatus.REASON_INFERENCE_ERROR), status.messages))
    assert 'answered in words instead of an action' in refused.reason_text
    assert refused.inference_errors >= 1
    assert 'answered in words instead of an action' in given_up.reason_text
    assert given_up.inference_errors == 3
    assert given_up.actions_published == 0
    assert actions.last is None
    assert twists.wait() is not None
    assert not any(map(moving, twists.messages))
    assert world.remote.deactivate(NODE)
    assert world.remote.clean_up(NODE)


def test_a_policy_that_cannot_be_loaded_fails_to_configure_with_the_reason(world):
    world.process(
        'policy',
        'spec_vla_ros.ros.policy_node',
        *('--ros-args', '-p', 'checkpoint:=/no/such/folder'),
        *('-p', 'inference_worker:=process'),
    )
    assert not world.remote.configure(NODE)
    log = (world.directory / 'policy.log').read_text()
    assert 'cannot load the policy: CheckpointError' in log
    assert '/no/such/folder' in log
