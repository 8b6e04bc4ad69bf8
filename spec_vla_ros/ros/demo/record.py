# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""One episode as it was seen from outside, and its frames."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Generic, TypeVar

import numpy as np

Picture = TypeVar('Picture')

SPECULATIVE = 'speculative'
"""The way of decoding that is compared with `AUTOREGRESSIVE`, strict or relaxed."""

MOST_FRAMES = 150
"""Pictures kept of an episode: five seconds of a camera of 30 Hz. Even, so that what is kept of
longer ones stays evenly spaced."""


class ThinnedFrames(Generic[Picture]):
    """Keeps pictures with their times; of too many every second, then every fourth, and so on.

    The newest one is always the last.

    Args:
        most: how many it keeps at most, an even number.
    """

    def __init__(self, *, most: int = MOST_FRAMES) -> None:
        self._most, self._seen, self._stride = most, 0, 1
        self.frames: list[tuple[float, Picture]] = []

    def add(self, seconds: float, picture: Picture) -> None:
        """Note a picture that came after so many seconds."""
        if self.frames and (self._seen - 1) % self._stride:
            self.frames.pop()  # it stood there as the newest only
        self.frames.append((seconds, picture))
        self._seen += 1
        if len(self.frames) > self._most:
            del self.frames[1::2]
            self._stride *= 2


@dataclass(slots=True)
class Record:
    """One episode as it was seen from outside.

    mode: how the actions were decoded. seconds: from the instruction to the end: the robot's word
        of success, or a limit; by the robot's time. wall_seconds: the same by the computer's.
    simulated_time: whether the robot's time is another than the computer's.
    action_seconds: one per action, when it was published, since the instruction.
    latency_ms, inference_ms: one per action, from the image's stamp to the publishing of the
        action, and of the inference alone.
    target_passes, draft_passes: one per action, as in DecodeStatistics.
    phases_ms: of each action whose statistics came, by name of the phase.
    frames: (seconds since the instruction, (H, W, 3) uint8 RGB image) as the camera sent them,
        evenly thinned to at most `MOST_FRAMES`, and the last one.
    halt: why the policy stood still at the end, empty if it did not.
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
        """What the scene was laid out from, in words."""
        if self.initial_state >= 0:
            return f'initial state {self.initial_state}'
        return f'seed {self.seed}'

    @property
    def steps(self) -> int:
        """How many actions were executed."""
        return len(self.latency_ms)
