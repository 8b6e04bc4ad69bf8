# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Logs the progress of loading a checkpoint, since large ones take minutes."""

from __future__ import annotations

import logging
import time
from pathlib import Path

_LOG = logging.getLogger(__name__)
_EVERY = 2.0  # seconds between two lines


class LoggedProgress:
    """A `Progress` that writes to the log every few seconds, and at the end.

    Args:
        folder: the folder that is loaded, for the text.
        every: seconds between two lines.
    """

    def __init__(self, folder: Path, *, every: float = _EVERY) -> None:
        self._folder, self._every = folder, every
        self._began = self._said = time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        """Log the bytes loaded so far and the bytes in all, if it is time to."""
        now = time.monotonic()
        if done < total and now - self._said < self._every:
            return
        self._said = now
        _LOG.info(
            '%s: %.2f of %.2f GB of weights loaded, %.1f s',
            self._folder,
            done / 1e9,
            total / 1e9,
            now - self._began,
        )
