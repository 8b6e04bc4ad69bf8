# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""What the control loop knows of whatever keeps the inference alive."""

from __future__ import annotations

from typing import Protocol


class Supervisor(Protocol):
    """Watches over where inference runs; every method returns at once, but `close`."""

    @property
    def trouble(self) -> str | None:
        """Why no inference can run now; None when one can."""

    @property
    def restarts(self) -> int:
        """How often inference had to be started again."""

    def kill(self) -> None:
        """End an inference that does not return; it is then started again."""

    def recover(self) -> None:
        """Start again after giving up."""

    def close(self) -> None:
        """End whatever runs."""


class Unsupervised:
    """A policy in this process: nothing to watch, and nothing that could be killed."""

    trouble: str | None = None
    restarts = 0

    def kill(self) -> None:
        """Do nothing: a thread cannot be killed."""

    def recover(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""
