# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The record of one episode, from the messages of robot and policy."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Generic, TypeVar

import numpy as np

Picture = TypeVar('Picture')

SPECULATIVE = 'speculative'
"""Name of the way of decoding that is compared with `AUTOREGRESSIVE`; strict or relaxed."""

MOST_FRAMES = 150
"""Images kept of an episode; five seconds of a camera of 30 Hz. See `ThinnedFrames`."""


class ThinnedFrames(Generic[Picture]):
    """Keeps a limited number of images, evenly spaced, and always the newest.

    If there are too many, it keeps every second one, then every fourth, and so on.

    Args:
        most: how many it keeps; even, so that the images stay evenly spaced.
    """

    def __init__(self, *, most: int = MOST_FRAMES) -> None:
        self._most, self._seen, self._stride = most, 0, 1
        self.frames: list[tuple[float, Picture]] = []

    def add(self, seconds: float, picture: Picture) -> None:
        """Add an image that came after so many seconds."""
        if self.frames and (self._seen - 1) % self._stride:
            self.frames.pop()  # kept only as long as it was the newest
        self.frames.append((seconds, picture))
        self._seen += 1
        if len(self.frames) > self._most:
            del self.frames[1::2]
            self._stride *= 2


@dataclass(slots=True)
class Record:
    """The record of one episode.

    number: of the episode, as the robot counts.
    seed, initial_state: what its scene was laid out from; -1 for no initial state.
    seconds: from the instruction to the end, which is the robot's report of success or a limit; in
        the robot's time.
    wall_seconds: the same in the computer's time.
    simulated_time: whether the robot's time differs from the computer's.
    mode: how the actions were decoded.
    halt: why the policy halted at the end; empty if it did not.
    action_seconds: for each action, when it was published, since the instruction.
    latency_ms: for each action, from the image's stamp to the publication of the action.
    inference_ms: for each action, the time of the inference alone.
    target_passes, draft_passes: for each action, as in DecodeStatistics.
    phases_ms: for each action whose statistics came, name of a phase -> its time.
    command_stamps: of the velocity commands, seconds.
    frames: (seconds since the instruction, (H, W, 3) uint8 RGB), see `ThinnedFrames`.
    """

    number: int
    seed: int
    instruction: str
    initial_state: int = -1
    success: bool = False
    wrong_object: bool = False
    seconds: float = 0.0
    wall_seconds: float = 0.0
    simulated_time: bool = False
    mode: str = ''
    halt: str = ''
    action_seconds: list[float] = field(default_factory=list)
    latency_ms: list[float] = field(default_factory=list)
    inference_ms: list[float] = field(default_factory=list)
    target_passes: list[int] = field(default_factory=list)
    draft_passes: list[int] = field(default_factory=list)
    phases_ms: list[dict[str, float]] = field(default_factory=list)
    command_stamps: list[float] = field(default_factory=list)
    frames: list[tuple[float, np.ndarray]] = field(default_factory=list)

    @property
    def start(self) -> str:
        """Seed or initial state of the scene, in words."""
        if self.initial_state >= 0:
            return f'initial state {self.initial_state}'
        return f'seed {self.seed}'

    @property
    def steps(self) -> int:
        """How many actions were executed."""
        return len(self.latency_ms)
