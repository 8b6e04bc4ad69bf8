# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""How programs begin and end: an interrupt is noted wherever it comes, freed memory is kept."""

import gc
import os
import signal
import subprocess
import sys
import weakref

import pytest
from processes import gone, run_python, start_python
from waiting import PATIENCE, wait_for

from spec_vla_ros.programs import (
    StopRequestedError,
    all_of,
    ending_when_asked,
    noting_signals,
)

BOTH = [signal.SIGINT, signal.SIGTERM]


@pytest.fixture(autouse=True)
def same_handlers_afterwards():
    handlers = [signal.getsignal(number) for number in BOTH]
    yield
    assert [signal.getsignal(number) for number in BOTH] == handlers


def test_without_a_signal_nothing_is_raised():
    with noting_signals() as stop:
        stop.check()
        assert not stop.came


@pytest.mark.parametrize('number', BOTH)
def test_a_signal_is_raised_when_asked_for(number):
    with noting_signals() as stop:
        signal.raise_signal(number)
        assert stop.came
        with pytest.raises(StopRequestedError):
            stop.check()


def test_a_signal_is_not_lost_where_exceptions_are():
    """The garbage collector drops what its callbacks raise."""

    class Referred:
        pass

    with noting_signals() as stop:
        thing = Referred()
        reference = weakref.ref(thing, lambda _: signal.raise_signal(signal.SIGINT))
        del thing
        gc.collect()
        assert reference() is None
        assert stop.came


@pytest.mark.parametrize('second', BOTH)
def test_a_second_one_does_not_wait(second):
    with noting_signals():
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(second)


def test_a_program_ends_when_it_asks():
    said, undone = [], []

    def program():
        with ending_when_asked(said.append) as check:
            try:
                signal.raise_signal(signal.SIGTERM)
                check()
            finally:
                undone.append(True)

    with pytest.raises(SystemExit, match='130'):
        program()
    assert said == ['interrupted; everything is stopped']
    assert undone == [True]


def test_a_program_that_does_not_ask_goes_on():
    with ending_when_asked():
        signal.raise_signal(signal.SIGTERM)


def test_of_all_checks_the_first_that_raises_counts():
    made = []

    def ends():
        raise StopRequestedError('first')

    with pytest.raises(StopRequestedError, match='first'):
        all_of(lambda: made.append(1), ends, lambda: made.append(2))()
    assert made == [1]


FAULTS = """
import resource, sys
from spec_vla_ros.programs import keep_freed_memory

if sys.argv[1] == 'keep':
    print(keep_freed_memory())
def image():
    return [bytearray(b'x') * 900_000 for _ in range(5)]
for _ in range(3):
    image()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    image()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def run(*arguments, **environment):
    clean = {k: v for k, v in os.environ.items() if not k.startswith(('MALLOC_', 'GLIBC_'))}
    command = [sys.executable, '-c', FAULTS, *arguments]
    env = {**clean, **environment}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_images_reuse_the_memory_of_those_before():
    kept, faults = run('keep')
    assert kept == 'True'
    (given_back,) = run('leave')
    assert int(given_back) > 1000
    assert int(faults) < int(given_back) / 5


@pytest.mark.parametrize(
    'setting',
    [{'MALLOC_MMAP_THRESHOLD_': '65536'}, {'GLIBC_TUNABLES': 'glibc.malloc.trim_threshold=65536'}],
    ids=str,
)
def test_the_environment_comes_first(setting):
    assert run('keep', **setting)[0] == 'False'


AT_WORK = """
import os, time
from spec_vla_ros.programs import worker_processes

def work(_):
    print(os.getpid(), flush=True)
    time.sleep(300)

if __name__ == '__main__':
    with worker_processes(2) as workers:
        list(workers.map(work, range(2)))
"""


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGKILL], ids=['SIGTERM', 'SIGKILL'])
def test_no_worker_is_left_behind_however_its_parent_ends(tmp_path, number):
    (tmp_path / 'at_work.py').write_text(AT_WORK)
    command = [sys.executable, str(tmp_path / 'at_work.py')]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        workers = [int(parent.stdout.readline()) for _ in range(2)]
        parent.send_signal(number)
        assert parent.wait(60) == -number
        wait_for(lambda: all(map(gone, workers)), 'the workers to end')


ENDS_EARLY = """
import os, signal, sys, time
from spec_vla_ros.programs import worker_processes

def work(job):
    if job == 'wait':
        print('at work', flush=True)
        time.sleep(300)
    elif job == 'fail':
        raise ValueError('as one job does')
    elif job == 'die':
        os.kill(os.getpid(), signal.SIGKILL)

if __name__ == '__main__':
    with worker_processes(2) as workers:
        jobs = [workers.submit(work, job) for job in ('wait', sys.argv[1], *['wait'] * 9)]
        jobs[1].result()
        time.sleep(300)
"""


@pytest.mark.parametrize(
    ('job', 'error'),
    [
        ('fail', 'ValueError: as one job does'),
        ('die', 'BrokenProcessPool'),
        ('wait', 'KeyboardInterrupt'),
    ],
)
def test_an_error_ends_the_workers_in_the_midst_of_their_jobs(tmp_path, job, error):
    """What is left would take hours, and nobody would ask for its results."""
    (tmp_path / 'ends_early.py').write_text(ENDS_EARLY)
    with start_python(tmp_path / 'ends_early.py', job) as program:
        if job == 'wait':
            assert [program.stdout.readline() for _ in range(2)] == ['at work\n'] * 2
            program.send_signal(signal.SIGINT)
        said, _ = program.communicate(timeout=PATIENCE)
    assert program.returncode
    assert said.count('at work') < 3
    assert error in said.splitlines()[-1]


FRESH = """
import os, signal, sys
from spec_vla_ros.programs import in_fresh_processes

def work(job):
    if job == int(sys.argv[1]):
        os.kill(os.getpid(), signal.SIGKILL)
    return job, os.getpid()

if __name__ == '__main__':
    for job, process in in_fresh_processes(work, range(5), count=2):
        print(job, process, flush=True)
"""


def test_each_job_has_a_process_of_its_own(tmp_path):
    (tmp_path / 'fresh.py').write_text(FRESH)
    done = run_python(tmp_path / 'fresh.py', -1)
    jobs, processes = zip(*(line.split() for line in done.stdout.splitlines()), strict=True)
    assert sorted(jobs) == list('01234')
    assert len(set(processes)) == 5


def test_a_job_that_is_killed_is_an_error_and_no_wait_for_ever(tmp_path):
    (tmp_path / 'fresh.py').write_text(FRESH)
    done = run_python(tmp_path / 'fresh.py', 2, check=False)
    assert 'BrokenProcessPool' in done.stderr.splitlines()[-1]
