# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Processes that end when their parent does, however it died."""

from __future__ import annotations

import ctypes
import os
import signal

_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


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
