# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""How one simulated episode goes, and its message."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from spec_vla_ros.msg import EpisodeStatus
from spec_vla_ros.sim.env import Outcome


@dataclass(slots=True, kw_only=True)
class Episode:
    """One layout of the table and what has become of it; see EpisodeStatus."""

    number: int = 0
    seed: int
    instruction: str
    success: bool = False
    wrong_object: bool = False
    lifted: str | None = None
    command_timeouts: int = 0
    commands_received: int = 0
    began: float = field(default_factory=time.monotonic)

    def observe(self, outcome: Outcome, *, timeouts: int) -> None:
        """Take how things stand now; success and a wrong object stay once they were."""
        self.success |= outcome.success
        self.wrong_object |= outcome.wrong_object
        self.lifted = outcome.lifted
        self.command_timeouts = timeouts

    def news(self) -> tuple:
        """Return what is worth a message at once when it changes."""
        return (
            self.number,
            self.success,
            self.wrong_object,
            self.lifted,
            self.command_timeouts,
        )

    def message(self) -> EpisodeStatus:
        """Return it as a message, without a stamp."""
        return EpisodeStatus(
            episode=self.number,
            seed=self.seed,
            instruction=self.instruction,
            success=self.success,
            wrong_object=self.wrong_object,
            lifted=self.lifted or '',
            elapsed=time.monotonic() - self.began,
            commands_received=self.commands_received,
            command_timeouts=self.command_timeouts,
        )
