# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Inferences that fail again and again are given up, until somebody says otherwise."""

from __future__ import annotations


class FailureLatch:
    """Counts failures in a row, and latches when there are too many."""

    def __init__(self) -> None:
        self.clear()

    @property
    def latched(self) -> str | None:
        """Why no more inferences are tried, or None while they are."""
        return self._latched

    def failed(self, reason: str, *, limit: int) -> None:
        """Note a failure; latch when it is the limit's."""
        self._in_a_row += 1
        if self._in_a_row >= limit:
            self._latched = (
                f'{self._in_a_row} inferences in a row failed (max_inference_failures={limit}), '
                f'the last one: {reason}; until reset or a new instruction'
            )

    def succeeded(self) -> None:
        """Note a good action."""
        self._in_a_row = 0

    def clear(self) -> None:
        """Begin anew."""
        self._in_a_row = 0
        self._latched: str | None = None
