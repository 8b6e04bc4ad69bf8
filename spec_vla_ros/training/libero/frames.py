# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Training frames of LIBERO: an image, and the expert's action for every instruction that fits."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from spec_vla_ros.sim.libero.expert import RISING, Phase
from spec_vla_ros.training.frames import POSITION, Frames, load_arrays, save_arrays

IMAGE_SIZE = 128
"""Side of the stored images, pixels: the size that the policy's vision towers take."""

_CLOSES = 0.002  # change of the opening from a frame to the next while fingers close, metres
_OPENING = 0.04  # unit of the labels of the gripper's opening, metres

# Metres: heights at which a thing begins to count as lifted, and fully does; and how far aside a
# thing may have been pushed without counting as lifted.
_LIFTED, _PUSHED = (0.003, 0.012), 0.03

_FINGERS_MOVE = [Phase.CLOSE.value, Phase.CARRY.value, Phase.OPEN.value]


@dataclass(frozen=True, slots=True)
class LiberoFrames:
    """N frames of one suite, each labelled for those of the suite's I instructions that fit.

    images: (N, 128, 128, 3) uint8, resized exactly as the policy's image processor does.
    actions: (N, I, 7) float32, see `LiberoExpert.aim`: metres, radians, opening; NaN for
        instructions that do not fit the scene or the moment.
    things: (N, I, 3) float32, where the instruction's thing is, metres; NaN if it is not there.
    places: (N, I, 3) float32, where it is to be placed, likewise.
    end_effector: (N, 10) float32: position (3), first two columns of the rotation (6), opening.
    tasks: (N,) int64, the task whose scene it is.
    wanted: (N,) int64, the instruction that is carried out.
    phases: (N,) int64, `Phase.value` of the expert that carries it out.
    episodes: (N,) int64, the seed of the frame's episode.
    """

    images: np.ndarray
    actions: np.ndarray
    things: np.ndarray
    places: np.ndarray
    end_effector: np.ndarray
    tasks: np.ndarray
    wanted: np.ndarray
    phases: np.ndarray
    episodes: np.ndarray

    def __len__(self) -> int:
        return len(self.images)

    def save(self, path: Path) -> None:
        """Write the frames, see `save_arrays`."""
        save_arrays(self, path)

    def resting_while_fingers_close(self) -> LiberoFrames:
        """Return the same frames without motion in the labels while the fingers close.

        Flat things slip away if they are lifted too early. Whether the fingers close is told by
        their opening in the next frame.
        """
        opening = self.end_effector[:, 9]
        following = np.append(self.episodes[1:] == self.episodes[:-1], False)
        closes = following & (opening - np.append(opening[1:], 0.0) > _CLOSES)
        rows = np.flatnonzero(closes & (self.phases == Phase.CLOSE.value))
        actions = self.actions.copy()
        actions[rows, self.wanted[rows], :6] = 0.0
        return replace(self, actions=actions)

    def rising_until_lifted(self) -> LiberoFrames:
        """Return the same frames with a slow rise in the labels while fingers close or open.

        The rise lasts until the thing has visibly left its place. If an image does not show
        whether the fingers are closed, a policy that learns to rest would rest for ever, since the
        next image is the same. A rim is still held if the fingers close on it 1 cm higher.
        """
        rows = np.arange(len(self))
        carried = (self.phases == Phase.CARRY.value) * self._away()
        share = np.where(np.isin(self.phases, _FINGERS_MOVE), carried, 1.0)[:, None]
        actions = self.actions.copy()
        motion = actions[rows, self.wanted, :6]
        actions[rows, self.wanted, :6] = share * motion + (1.0 - share) * RISING
        return replace(self, actions=actions)

    def _away(self) -> np.ndarray:
        """Return how clearly the wanted thing has left its place, (N,), from 0 to 1.

        Its place is where it was at the beginning of the episode.
        """
        places = self.things[np.arange(len(self)), self.wanted]
        begins = (np.diff(self.episodes, prepend=-1) != 0) | (np.diff(self.tasks, prepend=-1) != 0)
        way = places - places[begins][np.cumsum(begins) - 1]
        aside = np.linalg.norm(way[:, :2], axis=1) - _PUSHED
        near, far = _LIFTED
        return np.clip((np.maximum(abs(way[:, 2]), aside) - near) / (far - near), 0.0, 1.0)

    def under_instructions(self, count: int, *, seed: int) -> Frames:
        """Return the frames with a label for the wanted instruction; add other instructions.

        The first instruction of each frame is the wanted one. The others are drawn from those that
        the frame is labelled for; if there are too few, the first is repeated.

        count: instructions for each frame; reduced to the most that any frame is labelled for.
        """
        rng = np.random.default_rng(seed)
        labelled = ~np.isnan(self.actions[..., 0])
        count = min(count, int(labelled.sum(1).max()))
        kept = np.flatnonzero(labelled[np.arange(len(self)), self.wanted])
        # The first frames are for validation: sorted by episode, they are of every task.
        kept = kept[np.argsort(self.episodes[kept], kind='stable')]
        chance = np.where(labelled[kept], rng.random((len(kept), labelled.shape[1])), -1.0)
        rows = np.arange(len(kept))
        chance[rows, self.wanted[kept]] = 2.0
        order = np.argsort(-chance, axis=1)[:, :count]
        drawn = np.take_along_axis(chance, order, axis=1) >= 0
        instructions = np.where(drawn, order, self.wanted[kept, None])
        index = kept[:, None], instructions
        end_effector = self.end_effector[kept].copy()
        end_effector[:, :3] /= POSITION
        end_effector[:, 9] /= _OPENING
        return Frames(
            images=self.images[kept],
            instructions=instructions,
            actions=self.actions[index],
            end_effector=end_effector,
            things=np.concatenate((self.things[index], self.places[index]), -1) / POSITION,
            episodes=self.episodes[kept],
        )


def load_libero_frames(paths: list[Path]) -> LiberoFrames:
    """Read and join several files of frames."""
    return load_arrays(LiberoFrames, paths)
