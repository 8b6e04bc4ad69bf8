# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Training frames: an image, and the expert's action for each of several instructions."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from PIL import Image

from spec_vla_ros.files import written_whole

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Arrays = TypeVar('Arrays', bound='DataclassInstance')

POSITION = 0.1
"""Unit of the labels of positions, metres."""


@dataclass(frozen=True, slots=True)
class Frames:
    """N frames, each seen under K instructions.

    images: (N, S, S, 3) uint8, resized exactly as the policy's image processor does.
    instructions: (N, K) int64, indices into `Design.instructions`.
    actions: (N, K, 7) float32, the expert's action for each instruction: metres, radians, opening.
    end_effector: (N, 10) float32: position (3), first two columns of the rotation (6), opening.
    things: (N, K, T) float32, where the thing is that each instruction is about.
    episodes: (N,) int64, the seed of the frame's episode.

    Labels of positions are in units of `POSITION`; other labels are scaled to about 1.
    """

    images: np.ndarray
    instructions: np.ndarray
    actions: np.ndarray
    end_effector: np.ndarray
    things: np.ndarray
    episodes: np.ndarray

    def __len__(self) -> int:
        return len(self.images)

    def save(self, path: Path) -> None:
        """Write the frames, see `save_arrays`."""
        save_arrays(self, path)

    def split(self, *, validation_share: float) -> tuple[Frames, Frames]:
        """Split by episode into training and validation frames."""
        held_out = self.episodes % round(1 / validation_share) == 0
        return self.select(~held_out), self.select(held_out)

    def select(self, index: np.ndarray) -> Frames:
        """Return the frames at a boolean (N,) or integer (M,) index."""
        return Frames(**{f.name: getattr(self, f.name)[index] for f in fields(self)})


def save_arrays(frames: DataclassInstance, path: Path) -> None:
    """Write a dataclass of arrays into a .npz file, which appears whole or not at all."""
    # numpy adds .npz to names, but not to open files.
    with written_whole(path) as partial, partial.open('wb') as file:
        np.savez(file, **{f.name: getattr(frames, f.name) for f in fields(frames)})


def load_arrays(kind: type[Arrays], paths: list[Path]) -> Arrays:
    """Read several files of `save_arrays`, and join their arrays along the first dimension."""
    names, parts = [f.name for f in fields(kind)], []
    for path in paths:
        with np.load(path) as archive:
            parts.append({name: archive[name] for name in names})
    return kind(**{name: np.concatenate([p[name] for p in parts]) for name in names})


def load_frames(paths: list[Path]) -> Frames:
    """Read and join several files of frames."""
    return load_arrays(Frames, paths)


def shrink(image: np.ndarray, *, side: int) -> np.ndarray:
    """Resize a camera image as small policies' image processors do (PIL, bicubic)."""
    return np.asarray(Image.fromarray(image).resize((side, side), Image.Resampling.BICUBIC))
