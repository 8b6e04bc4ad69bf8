# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The emergency stop: stays pressed until somebody releases it."""

from __future__ import annotations


class EmergencyStop:
    """A latch that outlives whatever is halted by it."""

    def __init__(self) -> None:
        self._text = ''

    @property
    def pressed(self) -> bool:
        """Whether nothing may move."""
        return bool(self._text)

    @property
    def text(self) -> str:
        """Who pressed it, in words; empty while it is not pressed."""
        return self._text

    def press(self, source: str) -> None:
        """Latch; source: who or what asked for it."""
        self._text = f'emergency stop ({source}), until reset'

    def release(self) -> None:
        """Unlatch."""
        self._text = ''
