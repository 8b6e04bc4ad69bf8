# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""How one simulated episode goes, and its message."""

from __future__ import annotations

from dataclasses import dataclass

from spec_vla_ros.msg import EpisodeStatus
from spec_vla_ros.sim.environment import EpisodeOutcome


@dataclass(slots=True, kw_only=True)
class Episode:
    """One layout of the scene and what has become of it; see EpisodeStatus.

    began: by the robot's time, seconds.
    """

    number: int = 0
    seed: int
    initial_state: int = -1
    instruction: str
    success: bool = False
    wrong_object: bool = False
    lifted: str | None = None
    command_timeouts: int = 0
    commands_received: int = 0
    began: float

    def commanded(self) -> None:
        """Count a velocity command that the robot takes."""
        self.commands_received += 1

    def observe(self, outcome: EpisodeOutcome, *, timeouts: int) -> None:
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

    def message(self, *, now: float) -> EpisodeStatus:
        """Return it as a message, without a stamp; now: by the robot's time, seconds."""
        return EpisodeStatus(
            episode=self.number,
            seed=self.seed,
            initial_state=self.initial_state,
            instruction=self.instruction,
            success=self.success,
            wrong_object=self.wrong_object,
            lifted=self.lifted or '',
            elapsed=now - self.began,
            commands_received=self.commands_received,
            command_timeouts=self.command_timeouts,
        )
