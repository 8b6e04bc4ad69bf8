# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""A policy in a process: what comes back, and what happens when the process dies."""

import gc
import os
import signal
import threading
from contextlib import suppress
from pathlib import Path

import numpy as np
import psutil
import pytest
from processes import gone, python_path, start_python
from waiting import PATIENCE, wait_for

from spec_vla_ros.inference import child
from spec_vla_ros.inference.process_policy import ProcessPolicy
from spec_vla_ros.inference.wire import InferenceFailedError, ProcessEndedError
from spec_vla_ros.settings.nodes import PolicySettings
from spec_vla_ros.types import Decoding, InstructionError, Observation, PolicyInfo

RELAXED = Decoding('relaxed', (9, 9, 9, 9, 9, 9, 0))
IMAGE = np.arange(480 * 640 * 3, dtype=np.uint32).astype(np.uint8).reshape(480, 640, 3)

HELPERS = Path(__file__).parents[1] / 'helpers'


@pytest.fixture
def start(monkeypatch):
    monkeypatch.syspath_prepend(HELPERS)
    started = []

    def make(name='obedient', *, pause=0.01, interrupted=lambda: False, **settings):
        factory = f'process_policies:{name}'
        settings = PolicySettings(**settings)
        policy = ProcessPolicy(factory, settings, pause=pause, interrupted=interrupted)
        started.append(policy)
        return policy

    yield make
    for policy in started:
        policy.close()
        assert policy.pid is None


@pytest.fixture
def begun(tmp_path):
    """A file that is there once an inference told so has begun."""
    return tmp_path / 'begun'


def ask(policy, instruction='go', image=IMAGE):
    return policy.infer(Observation(image, instruction, 5), RELAXED)


def test_observations_go_there_and_actions_come_back(start):
    policy = start()
    assert policy.trouble is None
    assert policy.info == PolicyInfo(
        device='cuda:0',
        has_drafter=True,
        device_memory_mb=100.0,
    )
    assert psutil.Process(policy.pid).ppid() == os.getpid()
    assert len(running_policies()) == 1
    action = ask(policy)
    np.testing.assert_array_equal(action.values, [0.012, -0.006, 0.003, 0.03, -0.06, 0.09, 1.0])
    np.testing.assert_array_equal(action.normalised, [IMAGE.sum(), 480, 0])
    assert action.tokens.dtype == np.int64
    assert set(action.tokens) == {9}
    assert action.stats.mode == 'relaxed'
    assert action.stats.accept_lengths == (3, 4)
    assert action.stats.phases_ms == {'vision': 1.5}
    policy.reset()
    bigger = np.full((1080, 1920, 3), 7, np.uint8)
    np.testing.assert_array_equal(ask(policy, image=bigger).normalised, [bigger.sum(), 1080, 1])
    assert ask(policy, image=IMAGE[::2]).normalised[0] == IMAGE[::2].sum()


def test_what_the_policy_says_of_itself_follows_within_a_second(start):
    policy = start()
    ask(policy)
    policy.reset()
    ask(policy)
    wait_for(lambda: ask(policy) and policy.info.device_memory_mb == 101.0)


def test_what_the_policy_raises_comes_back_as_text_and_it_goes_on(start):
    policy = start()
    pid = policy.pid
    with pytest.raises(InferenceFailedError, match=r'^OutOfMemoryError: CUDA out of memory'):
        ask(policy, 'exhaust')
    with pytest.raises(InstructionError, match=r'^no such word$'):
        ask(policy, 'refuse')
    ask(policy)
    assert policy.pid == pid
    assert policy.restarts == 0


@pytest.mark.parametrize('how', ['crash', 'leave'])
def test_a_crash_is_told_and_another_process_takes_over(start, how):
    policy = start(pause=0.5)
    pid = policy.pid
    code = {'crash': 'SIGSEGV', 'leave': 'exit code 3'}[how]
    with pytest.raises(ProcessEndedError, match=f'the inference process ended with {code}'):
        ask(policy, how)
    wait_for(lambda: 'starting it again (1 of 3)' in policy.trouble)
    wait_for(lambda: policy.trouble is None)
    assert policy.pid != pid
    assert policy.restarts == 1
    ask(policy)


def test_where_the_device_failed_another_process_takes_over(start):
    """Whatever is asked of a CUDA device then fails, in that process."""
    policy = start()
    first = policy.pid
    with pytest.raises(InferenceFailedError, match='CUDA error: misaligned address'):
        ask(policy, 'lose_the_device')
    wait_for(lambda: policy.restarts == 1 and policy.trouble is None)
    assert policy.pid != first
    assert ask(policy).stats.mode == 'relaxed'


def test_a_hang_can_be_killed(start, begun):
    policy = start()
    pid = policy.pid
    with pytest.raises(ProcessEndedError, match='was ended, since an inference took several'):
        _while(lambda: ask(policy, f'stall {begun}'), begun=begun, do=policy.kill)
    wait_for(lambda: policy.trouble is None)
    assert policy.pid != pid
    ask(policy)


def test_another_process_does_not_go_on_with_other_files(start, tmp_path):
    checkpoint = tmp_path / 'checkpoint'
    checkpoint.write_text('first')
    policy = start('of_files', checkpoint=str(checkpoint))
    checkpoint.write_text('second')
    os.kill(policy.pid, signal.SIGKILL)
    wait_for(lambda: 'changed since they were configured' in (policy.trouble or ''))
    wait_for(lambda: 'given up after 3 restarts' in policy.trouble)
    with pytest.raises(ProcessEndedError, match='clean up and configure'):
        ask(policy)
    checkpoint.write_text('first')
    policy.recover()
    wait_for(lambda: policy.trouble is None)
    ask(policy)


def test_a_death_between_inferences_is_noticed(start):
    policy = start()
    os.kill(policy.pid, signal.SIGKILL)
    wait_for(lambda: 'SIGKILL, as where memory runs out' in (policy.trouble or ''))
    wait_for(lambda: policy.trouble is None)
    ask(policy)


def test_restarts_are_bounded_and_can_be_asked_for_again(start, monkeypatch):
    policy = start(max_worker_restarts=2)
    waits, wait_for_change = [], policy._changed.wait_for

    def noted(predicate, timeout=None):
        waits.append(timeout)
        return wait_for_change(predicate, timeout)

    monkeypatch.setattr(policy._changed, 'wait_for', noted)
    for _ in range(2):
        with pytest.raises(ProcessEndedError):
            ask(policy, 'crash')
        wait_for(lambda: policy.trouble is None)
    with pytest.raises(ProcessEndedError):
        ask(policy, 'crash')
    wait_for(lambda: 'given up after 2 restarts, until reset' in policy.trouble)
    wait_for(lambda: None in waits, 'it to wait without a time limit')
    assert (policy.pid, policy.restarts, policy.given_up) == (None, 2, True)
    with pytest.raises(ProcessEndedError, match='given up'):
        ask(policy)
    policy.recover()
    # to load may take minutes, for which it must not be told to need another reset
    wait_for(lambda: 'starting it again after a reset' in (policy.trouble or ''))
    assert 'until reset' not in (policy.trouble or '')
    wait_for(lambda: policy.trouble is None)
    assert (policy.restarts, policy.given_up) == (3, False)
    ask(policy)
    # an inference that succeeds begins the count anew
    for _ in range(3):
        with pytest.raises(ProcessEndedError):
            ask(policy, 'crash')
        wait_for(lambda: policy.trouble is None)
        ask(policy)


def test_a_restart_that_cannot_load_gives_up_too(start, tmp_path):
    policy = start('loads_once', checkpoint=str(tmp_path / 'marker'), max_worker_restarts=1)
    with pytest.raises(ProcessEndedError):
        ask(policy, 'crash')
    wait_for(lambda: 'given up' in policy.trouble)
    assert 'RuntimeError: the device is gone' in policy.trouble


@pytest.mark.parametrize(
    ('name', 'error', 'words'),
    [
        ('cannot_load', InferenceFailedError, "ValueError: no checkpoint in '/nowhere'"),
        ('dies_while_loading', ProcessEndedError, 'SIGKILL, as where memory runs out'),
        ('never_loads', TimeoutError, 'configure_timeout=1 s'),
        ('no_such_function', InferenceFailedError, 'AttributeError'),
        ('says_too_much', InferenceFailedError, "TypeError.*'mood'"),
    ],
)
def test_what_cannot_be_loaded_fails_with_the_reason(start, name, error, words):
    timeout = 1.0 if name == 'never_loads' else PATIENCE
    with pytest.raises(error, match=words):
        start(name, checkpoint='/nowhere', configure_timeout=timeout)
    assert not running_policies()


def test_a_process_that_cannot_be_started_fails_with_the_reason_and_leaves_nothing(
    start, monkeypatch
):
    def fail(*args, **kwargs):
        raise OSError(12, 'Cannot allocate memory')

    monkeypatch.setattr(child.subprocess, 'Popen', fail)
    gc.collect()
    before = len(os.listdir('/proc/self/fd'))
    for _ in range(3):
        with pytest.raises(OSError, match='Cannot allocate memory'):
            start()
    assert len(os.listdir('/proc/self/fd')) == before


def test_loading_is_given_up_when_the_node_is_to_end(start):
    running = []

    def interrupted():
        running[:] = running_policies()
        return bool(running)

    with pytest.raises(InferenceFailedError, match='interrupted while it was being loaded'):
        start('never_loads', configure_timeout=PATIENCE, interrupted=interrupted)
    assert running
    assert not running_policies()


def running_policies():
    """Command lines of the policies that this process has started and that still run."""
    found = []
    for process in psutil.Process().children():
        with suppress(psutil.NoSuchProcess):  # ended meanwhile
            found.append(' '.join(process.cmdline()))
    return [command for command in found if 'inference.process_main' in command]


def test_the_process_ends_with_its_parent_even_killed_in_mid_inference(begun):
    program = (
        'import numpy as np\n'
        'from spec_vla_ros.types import Decoding, Observation\n'
        'from spec_vla_ros.inference.process_policy import ProcessPolicy\n'
        'from spec_vla_ros.settings.nodes import PolicySettings\n'
        "policy = ProcessPolicy('process_policies:obedient', PolicySettings())\n"
        'print(policy.pid, flush=True)\n'
        'image = np.zeros((4, 4, 3), np.uint8)\n'
        f"policy.infer(Observation(image, 'stall {begun}'), Decoding('strict'))\n"
    )
    with start_python('-c', program, PYTHONPATH=f'{HELPERS}:{python_path()}') as parent:
        child = psutil.Process(int(parent.stdout.readline()))
        wait_for(begun.exists, 'the inference to begin')
        assert not gone(child)
        parent.kill()
    wait_for(lambda: gone(child), 'its end')


def test_closing_ends_a_running_inference(start, begun):
    policy = start()
    with pytest.raises(ProcessEndedError):
        _while(lambda: ask(policy, f'hang {begun}'), begun=begun, do=policy.close)
    assert policy.pid is None


def _while(action, *, begun, do):
    """Run an inference; once it has begun, do something else."""

    def then():
        wait_for(begun.exists, 'the inference to begin')
        do()

    thread = threading.Thread(target=then)
    thread.start()
    try:
        action()
    finally:
        thread.join()
