# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The state of a simulated episode, and its message."""

from __future__ import annotations

from dataclasses import dataclass

from spec_vla_ros.msg import EpisodeStatus
from spec_vla_ros.sim.environment import EpisodeOutcome


@dataclass(slots=True, kw_only=True)
class Episode:
    """An episode from one layout of the scene, and how it goes; see EpisodeStatus.

    began: when it began, seconds of the robot's time.
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
        """Count a velocity command that the robot obeys."""
        self.commands_received += 1

    def observe(self, outcome: EpisodeOutcome, *, timeouts: int) -> None:
        """Note the present state; success and a wrong object stay true once they have been."""
        self.success |= outcome.success
        self.wrong_object |= outcome.wrong_object
        self.lifted = outcome.lifted
        self.command_timeouts = timeouts

    def news(self) -> tuple:
        """Return the values whose change is published at once."""
        return (
            self.number,
            self.success,
            self.wrong_object,
            self.lifted,
            self.command_timeouts,
        )

    def message(self, *, now: float) -> EpisodeStatus:
        """Return the episode as a message without a stamp; now: seconds of the robot's time."""
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
