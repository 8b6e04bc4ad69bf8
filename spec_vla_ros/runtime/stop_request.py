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
from types import FrameType, TracebackType

EXIT_CODE = 130
"""What a program ends with that was interrupted, as shells have it for Ctrl-C."""

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopRequestedError(RuntimeError):
    """SIGINT or SIGTERM came."""


class StopRequest:
    """Notes SIGINT and SIGTERM while its context is open; for the main thread.

    A second one raises KeyboardInterrupt at once, for those who can't wait.
    """

    def __init__(self) -> None:
        self._came = False
        self._previous: dict[int, object] = {}

    @property
    def came(self) -> bool:
        """Whether one of the signals has come."""
        return self._came

    def check(self) -> None:
        """Raise StopRequestedError if one of the signals has come."""
        if self._came:
            raise StopRequestedError('interrupted')

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        self._came = True
        for number in SIGNALS:
            signal.signal(number, signal.default_int_handler)

    def __enter__(self) -> StopRequest:
        # SIGINT too: a shell may have started us with it ignored.
        self._previous = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def ending_when_asked(say: Callable[[str], None] = print) -> Iterator[Callable[[], None]]:
    """Give the check to call while waiting; exit with `EXIT_CODE` once it has ended the body.

    say: told that everything is stopped, which the body must see to on its way out.
    """
    with StopRequest() as stop:
        try:
            yield stop.check
        except StopRequestedError:
            say('interrupted; everything is stopped')
            sys.exit(EXIT_CODE)
