# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""An image in memory that two processes share: no name, no file, gone with the last of them."""

from __future__ import annotations

import mmap
import os

import numpy as np


class SharedImage:
    """One (H, W, 3) uint8 image, written by one process and read by another.

    Who writes and who reads when is agreed elsewhere: the reader is told the shape after the
    writing, and the writer waits for the answer before it writes again.

    Args:
        descriptor: of the memory, handed over by the process that made it; None: make it.
    """

    def __init__(self, descriptor: int | None = None) -> None:
        if descriptor is None:
            descriptor = os.memfd_create('spec_vla_image')
        self.descriptor = descriptor
        self._memory: mmap.mmap | None = None

    def write(self, image: np.ndarray) -> None:
        """Put an image there; the memory grows with the largest."""
        if os.fstat(self.descriptor).st_size < image.nbytes:
            os.ftruncate(self.descriptor, image.nbytes)
        np.copyto(self._view(image.shape), image)

    def read(self, shape: tuple[int, int, int]) -> np.ndarray:
        """Return the image (H, W, 3) that was put there; it changes with the next writing."""
        return self._view(shape)

    def close(self) -> None:
        """Let go of the memory."""
        self._memory = None
        os.close(self.descriptor)

    def _view(self, shape: tuple[int, ...]) -> np.ndarray:
        size = os.fstat(self.descriptor).st_size
        if self._memory is None or len(self._memory) != size:
            # The old mapping goes with the last array that looks into it.
            self._memory = mmap.mmap(self.descriptor, size)
        return np.frombuffer(self._memory, np.uint8, count=int(np.prod(shape))).reshape(shape)
