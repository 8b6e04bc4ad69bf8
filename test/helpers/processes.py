# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Python programs in processes of their own, and what becomes of them."""

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import psutil
from waiting import PATIENCE, wait_for

ROOT = Path(__file__).parents[2]

# Memory of more than 32 MiB goes back to the system once it is freed. The matrices of a large
# model are of that size; where a peak of memory is measured, those of the tests' models are to be
# treated like them.
RETURNED_WHEN_FREED = {'MALLOC_MMAP_THRESHOLD_': '65536'}

KILOBYTES = """
def kilobytes(field):
    lines = open('/proc/self/status').read().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field))
"""
"""What a program begins with that says how much memory it takes: `kilobytes('VmHWM')`."""


def python_path():
    """Return a PYTHONPATH that holds the source tree and what this process has."""
    return ':'.join([str(ROOT), *filter(None, sys.path)])


def start_python(*arguments, output=subprocess.PIPE, **environment):
    """Start Python with standard output and error in one, in text."""
    return subprocess.Popen(
        [sys.executable, *map(str, arguments)],
        stdout=output,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, 'PYTHONPATH': python_path(), **environment},
    )


def assert_runs(process):
    """Fail with all that a process of start_python has said, if it has ended."""
    assert process.poll() is None, process.communicate()[0]


def wait_until_active(program, folder):
    """Wait for the policy node that a running program has started, by its log in the folder."""

    def active():
        assert_runs(program)
        logs = [path.read_text() for path in folder.rglob('*policy_node*.log')]
        return any('active: commands at' in log for log in logs)

    wait_for(active, 'activation')


def run_python(*arguments, check=True, **environment):
    """Run Python to its end and return what subprocess.run returns, in text.

    check: it must end well.
    """
    done = subprocess.run(
        [sys.executable, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=3 * PATIENCE,  # some show a robot at work
        env={**os.environ, 'PYTHONPATH': python_path(), **environment},
    )
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done


def kill_outright(pid):
    """SIGKILL a process, and remove the shared memory it could not clean up itself."""
    locks = []
    for path in Path(f'/proc/{pid}/fd').iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed in the meantime
            locks.append(path.readlink())
    process = psutil.Process(pid)
    process.kill()
    wait_for(lambda: gone(process), 'the killed process to end')
    for lock in locks:  # Fast DDS's owner of a segment holds the lock beside it
        if lock.match('/dev/shm/fast*_*_el') and 'port' not in lock.name:
            lock.with_name(lock.name.removesuffix('_el')).unlink(missing_ok=True)
            lock.unlink(missing_ok=True)


def command_line(process):
    """Return the words of a process's command; none of one that has ended meanwhile."""
    with contextlib.suppress(psutil.NoSuchProcess):  # a zombie is one, too
        return process.cmdline()
    return []


def gone(process):
    """Whether a process, given as a psutil.Process or by its id, has ended."""
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(process) if isinstance(process, int) else process
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    return True
