# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The inference worker: one at a time, newest wins, discarded results never surface."""

import sys
import threading

import pytest
from waiting import PATIENCE, wait_for

from spec_vla_ros.inference.worker import InferenceWorker


class Gate:
    """An inference that waits until it is let through, and notes what it was asked."""

    def __init__(self):
        self.asked = []
        self.entered = threading.Semaphore(0)
        self.pass_one = threading.Semaphore(0)

    def __call__(self, request):
        self.asked.append(request)
        self.entered.release()
        assert self.pass_one.acquire(timeout=PATIENCE)
        if isinstance(request, Exception):
            raise request
        return f'answer to {request}'

    def wait_until_running(self):
        assert self.entered.acquire(timeout=PATIENCE)


@pytest.fixture
def gate():
    return Gate()


@pytest.fixture
def worker(gate):
    worker = InferenceWorker(gate)
    yield worker
    gate.pass_one.release(100)
    assert worker.close(timeout=PATIENCE)


def test_an_answer_is_handed_out_once(gate, worker):
    assert worker.submit('a')
    gate.pass_one.release()
    finished = wait_for(worker.poll)
    assert finished.request == 'a'
    assert finished.outcome == 'answer to a'
    assert finished.seconds >= 0
    assert worker.poll() is None


def test_one_at_a_time_until_the_answer_is_read(gate, worker):
    assert worker.submit(1)
    gate.wait_until_running()
    assert not worker.submit(2)
    gate.pass_one.release(2)
    wait_for(lambda: not worker.running_for)
    assert not worker.submit(3)
    assert worker.poll().request == 1
    assert worker.submit(4)
    wait_for(worker.poll)
    assert gate.asked == [1, 4]


def test_the_newest_request_replaces_those_that_wait(gate, worker):
    worker.submit('hangs')
    gate.wait_until_running()
    worker.discard()
    for request in (2, 3, 4):
        assert worker.submit(request)
    gate.pass_one.release(2)
    assert wait_for(worker.poll).request == 4
    assert gate.asked == ['hangs', 4]


def test_a_discard_throws_the_running_result_away(gate, worker):
    worker.submit('old instruction')
    gate.wait_until_running()
    worker.discard()
    assert worker.running_for > 0
    worker.submit('new instruction')
    gate.pass_one.release(2)
    finished = wait_for(worker.poll)
    assert finished.request == 'new instruction'
    assert worker.discarded == 1


def test_a_discard_throws_an_unread_result_and_a_waiting_request_away(gate, worker):
    worker.submit('a')
    gate.pass_one.release()
    gate.wait_until_running()
    wait_for(lambda: not worker.running_for)
    worker.discard()
    assert worker.poll() is None
    worker.submit('b')
    gate.wait_until_running()
    worker.discard()
    worker.submit('c')
    worker.discard()
    gate.pass_one.release()
    wait_for(lambda: worker.discarded == 2)
    assert worker.poll() is None
    assert gate.asked == ['a', 'b']


def test_an_exception_comes_back_and_the_worker_goes_on(gate, worker):
    worker.submit(ValueError('no such thing'))
    gate.pass_one.release(2)
    finished = wait_for(worker.poll)
    assert isinstance(finished.outcome, ValueError)
    assert str(finished.outcome) == 'no such thing'
    worker.submit('next')
    assert wait_for(worker.poll).outcome == 'answer to next'


def test_what_would_end_the_thread_comes_back_as_an_error_and_the_worker_goes_on():
    worker = InferenceWorker(sys.exit)
    for code in (3, 4):
        assert worker.submit(code)
        assert str(wait_for(worker.poll).outcome) == f'SystemExit: {code}'
    assert worker.close(timeout=PATIENCE)


def test_who_fails_to_be_told_of_a_result_does_not_end_the_worker(caplog):
    def fail():
        raise ValueError('nobody is there')

    worker = InferenceWorker(str, on_finished=fail)
    for number in (1, 2):
        assert worker.submit(number)
        assert wait_for(worker.poll).outcome == str(number)
    assert worker.close(timeout=PATIENCE)
    assert 'nobody is there' in caplog.text


def test_running_time_is_that_of_the_current_call():
    now = [100.0]
    gate = Gate()
    worker = InferenceWorker(gate, clock=lambda: now[0])
    assert worker.running_for == 0.0
    worker.submit('slow')
    gate.wait_until_running()
    now[0] = 103.5
    assert worker.running_for == 3.5
    gate.pass_one.release()
    finished = wait_for(worker.poll)
    assert finished.seconds == 3.5
    assert worker.running_for == 0.0
    assert worker.close(timeout=PATIENCE)


def test_closing_reports_a_call_that_does_not_return(gate):
    worker = InferenceWorker(gate)
    worker.submit('hangs')
    gate.wait_until_running()
    assert not worker.close(timeout=0.05)
    with pytest.raises(RuntimeError, match='closed'):
        worker.submit('too late')
    gate.pass_one.release()
    assert worker.close(timeout=PATIENCE)
    assert worker.poll() is None
