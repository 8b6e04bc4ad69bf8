# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Ctrl-C as a question that a program asks itself where it can end in good order.

Python's own answer to SIGINT, an exception out of whatever runs, breaks what stands around it: in
the middle of rclpy's making of a subscription it leaves a node that can't be destroyed, and out of
a callback of the garbage collector it is dropped, and the program runs on.
"""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Callable, Iterator
from types import FrameType

INTERRUPTED = 130
"""What a program ends with that was interrupted, as shells have it for Ctrl-C."""

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopRequestedError(RuntimeError):
    """SIGINT or SIGTERM came."""


class StopRequest:
    """Whether one of the signals has come; see `noting_signals`."""

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
