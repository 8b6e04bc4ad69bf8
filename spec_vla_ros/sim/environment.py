# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The interface of a simulated robot, which the tabletop and LIBERO implement."""

from __future__ import annotations

from typing import Protocol

import numpy as np


class EpisodeOutcome(Protocol):
    """The state of an episode at one moment."""

    @property
    def success(self) -> bool:
        """Whether the instruction is carried out."""

    @property
    def wrong_object(self) -> bool:
        """Whether an object that the instruction does not mention is lifted."""

    @property
    def lifted(self) -> str | None:
        """Name or colour of the lifted object; None if there is none."""


class Environment(Protocol):
    """A simulated robot that carries out instructions, seen by one camera.

    Not thread-safe: the thread that makes it must also use and close it.
    """

    @property
    def max_steps(self) -> int:
        """How many actions an episode may take."""

    @property
    def interval(self) -> float:
        """Time from one action to the next, seconds."""

    def reset(
        self, *, seed: int = 0, instruction: str | None = None, initial_state: int | None = None
    ) -> str:
        """Begin an episode and return its instruction.

        The same arguments always give the same episode.

        Args:
            seed: lays the scene out, and chooses the instruction if none is given.
            instruction: what is to be done.
            initial_state: number of a layout that a benchmark publishes, instead of the seed's.

        Raises:
            ValueError: there is no such instruction or initial state; the message says which
                there are.
        """

    def step(self, action: np.ndarray) -> None:
        """Apply one action and let its time pass.

        action: (7,) displacement in metres and rotation vector in radians, both in the base
        frame, and the gripper's opening: 1 open, 0 closed.
        """

    def render(self) -> np.ndarray:
        """Return what the camera sees: (H, W, 3) uint8 RGB, a fresh array."""

    def end_effector_pose(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the grasp point's position (3,) in metres and quaternion (4,) x y z w."""

    def intrinsics(self) -> np.ndarray:
        """Return the camera matrix K (3, 3), pixels; a negative focal length mirrors its axis."""

    def outcome(self) -> EpisodeOutcome:
        """Return the present state of the episode."""

    def close(self) -> None:
        """Free the rendering context."""
