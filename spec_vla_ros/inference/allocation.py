# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""What becomes of memory that is freed."""

from __future__ import annotations

import ctypes
import os

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h
_LARGEST, _KEPT = 32 * 2**20, 256 * 2**20


def keep_freed_memory() -> bool:
    """Let this process keep the memory that it frees, up to a bound, for what it needs next.

    An image is a megabyte, needed several times over on its way through a process. glibc gives
    memory of that size back to the system when it is freed, which then hands out every page anew:
    that takes longer than the copying. Other C libraries are left alone, and so is glibc where the
    environment sets it up (`MALLOC_...`, `GLIBC_TUNABLES`).

    Returns whether it does.
    """
    if any(name.startswith(('MALLOC_', 'GLIBC_TUNABLES')) for name in os.environ):
        return False
    mallopt = getattr(ctypes.CDLL(None), 'mallopt', None)
    if mallopt is None:
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, _LARGEST) and mallopt(_M_TRIM_THRESHOLD, _KEPT))
