# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""How a program of ours begins and ends: its log, its memory, its parent, its interrupt.

Ctrl-C is a question that a program asks itself where it can end in good order. Python's own
answer to SIGINT, an exception out of whatever runs, breaks what stands around it: in the middle of
rclpy's making of a subscription it leaves a node that can't be destroyed, and out of a callback of
the garbage collector it is dropped, and the program runs on.
"""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from itertools import islice
from multiprocessing import active_children, get_context
from types import FrameType
from typing import TypeVar

Job = TypeVar('Job')
Result = TypeVar('Result')

INTERRUPTED = 130
"""What a program ends with that was interrupted, as shells have it for Ctrl-C."""

SIGNALS = (signal.SIGINT, signal.SIGTERM)

_FORMAT = '[%(levelname)s] [%(created).3f] [%(name)s]: %(message)s'  # as the nodes' own log

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h
_LARGEST, _KEPT = 32 * 2**20, 256 * 2**20
_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
_PARENT_PERIOD = 0.5  # seconds


def say(text: str) -> None:
    """Print a line at once, also where the output is a file or a pipe."""
    print(text, flush=True)


def log_to_stderr() -> None:
    """Show what the package says from `INFO` on; other packages' warnings as before.

    For programs; a library leaves logging to whoever uses it. Called again it changes nothing.
    """
    ours = logging.getLogger(__name__.partition('.')[0])
    if ours.handlers:
        return
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter(_FORMAT))
    ours.addHandler(handler)
    ours.setLevel(logging.INFO)
    ours.propagate = False


def keep_freed_memory() -> bool:
    """Let this process keep the memory that it frees, up to a bound, for what it needs next.

    An image is a megabyte, needed several times over on its way through a process. glibc gives
    memory of that size back to the system when it is freed, which then hands out every page
    afresh: that takes longer than the copying. Other C libraries are left alone, and so is glibc
    where the environment sets it up (`MALLOC_...`, `GLIBC_TUNABLES`).

    Returns whether it does.
    """
    if any(name.startswith(('MALLOC_', 'GLIBC_TUNABLES')) for name in os.environ):
        return False
    mallopt = getattr(ctypes.CDLL(None), 'mallopt', None)
    if mallopt is None:
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, _LARGEST) and mallopt(_M_TRIM_THRESHOLD, _KEPT))


class DieWithParent:
    """To be called in a child process: from now on the kernel ends it along with its parent.

    Linux ties this to the thread that started the child, which therefore has to outlive it. Made
    in the parent, or with the parent's process id in hand, so that a parent that has died before
    the call is noticed. Calling it takes no lock, so it may be a `preexec_fn`.

    Args:
        number: the signal the child gets.
        parent: process id; default: this process.
    """

    def __init__(self, number: signal.Signals, *, parent: int | None = None) -> None:
        self._number = int(number)
        self._parent = os.getpid() if parent is None else parent
        self._libc = ctypes.CDLL(None, use_errno=True)

    def __call__(self) -> None:
        """Tie this process to its parent; end it if there is none any more."""
        self._libc.prctl(_PR_SET_PDEATHSIG, self._number)
        if os.getppid() != self._parent:
            os._exit(1)


@contextlib.contextmanager
def worker_processes(count: int) -> Iterator[ProcessPoolExecutor]:
    """Give processes to work side by side.

    They are begun anew, since threads of renderer and torch do not survive a fork, and end with
    this process, however it does: left behind, they would write on into its files. An exception
    ends them in the midst of what they do, which may take hours, and drops what waits for them;
    an interrupt is for this process to answer, not for them.

    Raises:
        BrokenProcessPool: by what waits for a job: a process was ended from outside.
    """
    others = set(active_children())
    pool = ProcessPoolExecutor(
        count, mp_context=get_context('spawn'), initializer=_work_for, initargs=(os.getpid(),)
    )
    try:
        yield pool
    except BaseException:
        for worker in set(active_children()) - others:
            worker.terminate()
        pool.shutdown(cancel_futures=True)
        raise
    pool.shutdown()


def in_fresh_processes(
    function: Callable[[Job], Result], jobs: Iterable[Job], *, count: int
) -> Iterator[Result]:
    """Do each job in a process of its own, some side by side, and yield results as they come.

    For what leaks memory; of `multiprocessing.Pool` one that is killed leaves its job undone, and
    the pool waits for ever. Processes and exceptions are as those of `worker_processes`.
    """
    waiting = iter(jobs)
    with contextlib.ExitStack() as stack:

        def begin(job: Job) -> tuple[Future[Result], ProcessPoolExecutor]:
            pool = stack.enter_context(worker_processes(1))
            return pool.submit(function, job), pool

        running = dict(map(begin, islice(waiting, count)))
        while running:
            for done in wait(running, return_when=FIRST_COMPLETED).done:
                running.pop(done).shutdown()
                result = done.result()
                running.update(map(begin, islice(waiting, 1)))
                yield result


def _work_for(parent: int) -> None:
    """Let this process end within a second of its parent, and leave interrupts to that.

    Not by the kernel, as `DieWithParent`: executors may begin processes in threads of their own,
    and the kernel would end them with these.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_behind, args=(parent,), daemon=True, name='parent').start()


def _end_behind(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_PARENT_PERIOD)
    os._exit(1)


class StopRequestedError(RuntimeError):
    """SIGINT or SIGTERM came."""


class StopRequest:
    """Whether one of the signals has come; without a lock, since handlers note it."""

    def __init__(self) -> None:
        self._came = False

    @property
    def came(self) -> bool:
        """Whether one has."""
        return self._came

    def note(self) -> None:
        """Note that one has."""
        self._came = True

    def check(self) -> None:
        """Raise StopRequestedError if one has."""
        if self._came:
            raise StopRequestedError('interrupted')


@contextlib.contextmanager
def noting_signals() -> Iterator[StopRequest]:
    """Note SIGINT and SIGTERM in the main thread instead of being interrupted by them.

    A second one raises KeyboardInterrupt at once, for those who can't wait.
    """
    stop = StopRequest()

    def note(_number: int, _frame: FrameType | None) -> None:
        stop.note()
        for number in SIGNALS:
            signal.signal(number, signal.default_int_handler)

    # SIGINT too: a shell may have started us with it ignored.
    previous = {number: signal.signal(number, note) for number in SIGNALS}
    try:
        yield stop
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def ending_when_asked(say: Callable[[str], None] = print) -> Iterator[Callable[[], None]]:
    """Give the check to call while waiting; exit with `INTERRUPTED` once it has ended the body.

    say: told that everything is stopped, which the body must see to on its way out.
    """
    with noting_signals() as stop:
        try:
            yield stop.check
        except StopRequestedError:
            say('interrupted; everything is stopped')
            sys.exit(INTERRUPTED)


def all_of(*checks: Callable[[], None]) -> Callable[[], None]:
    """Return one check that makes them all, in their order."""

    def check() -> None:
        for one in checks:
            one()

    return check
