# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Makes test/data/libero_pixels.npz: images of LIBERO's camera in MuJoCo 3.3.2.

Run it in the environment of `make libero`, with that version of MuJoCo first on the path:

    pip install --no-deps --target /tmp/mujoco mujoco==3.3.2
    PYTHONPATH=/tmp/mujoco python scripts/libero_pixels.py
"""

from __future__ import annotations

from pathlib import Path

import mujoco
import numpy as np

from spec_vla_ros.sim.libero.env import LiberoEnv

SHOWN = (('libero_object', 0), ('libero_spatial', 5))
"""Suites and tasks whose first official initial state is rendered."""

DATA = Path(__file__).parents[1] / 'test' / 'data' / 'libero_pixels.npz'


def main() -> None:
    """Render the images, and store them at a quarter of their side.

    Raises:
        ValueError: MuJoCo has another version.
    """
    if mujoco.__version__ != '3.3.2':
        raise ValueError(f'MuJoCo {mujoco.__version__} is not 3.3.2: see the top of this file')
    pictures = {f'{suite}_{task}': thumbnail(first_picture(suite, task)) for suite, task in SHOWN}
    np.savez_compressed(DATA, **pictures)


def first_picture(suite: str, task: int) -> np.ndarray:
    """Return the first image (256, 256, 3) of a task in its first official initial state."""
    env = LiberoEnv(suite)
    try:
        env.reset(instruction=env.tasks[task].instruction, initial_state=0)
        return env.render()
    finally:
        env.close()


def thumbnail(picture: np.ndarray) -> np.ndarray:
    """Return an image (256, 256, 3) as means of 4 by 4 pixels, (64, 64, 3) uint8."""
    blocks = picture.reshape(64, 4, 64, 4, 3).astype(float)
    return np.rint(blocks.mean(axis=(1, 3))).astype(np.uint8)


if __name__ == '__main__':
    main()
