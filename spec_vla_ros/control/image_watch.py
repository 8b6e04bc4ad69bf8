# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Whether the camera can be believed: the newest image, and how old it is."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

Image = TypeVar('Image')

NANOSECONDS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Seen(Generic[Image]):
    """An image as it arrived.

    stamp_ns: when it was taken (its arrival, if the camera does not stamp its images).
    arrival_ns: when it came, on the node's clock.
    source: who sent it; None where that is not known.
    """

    image: Image
    stamp_ns: int
    arrival_ns: int
    source: Hashable = None


class ImageWatch(Generic[Image]):
    """Keeps the newest image, and knows whether it is too old to act upon.

    Two things make an image stale: nothing has come for a while, and what comes was taken long
    ago (a queue somewhere, or a camera whose clock is off). The second catches what the first
    would miss: old images arriving at full rate.
    """

    def __init__(self) -> None:
        self._newest: Seen[Image] | None = None
        self._other: Seen[Image] | None = None  # the newest from another source
        self._count = 0

    @property
    def newest(self) -> Seen[Image] | None:
        """The image that arrived last."""
        return self._newest

    @property
    def count(self) -> int:
        """How many images have arrived."""
        return self._count

    def store(self, image: Image, *, stamp_ns: int, now_ns: int, source: Hashable = None) -> None:
        """Keep an image that has just arrived; a zero stamp means the camera gives none."""
        before, self._newest = self._newest, Seen(image, stamp_ns or now_ns, now_ns, source)
        if before is not None and before.source != source:
            self._other = before
        self._count += 1

    def forget(self) -> None:
        """Keep nothing from before, for example after an interruption."""
        self._newest = self._other = None

    def ambiguity(self, *, now_ns: int, timeout: float) -> str | None:
        """Return that two sources send images, or None when it is one.

        timeout: seconds after which a source that fell silent counts as gone.
        """
        if self._other is None or self._other.source == self._newest.source:
            return None
        if not 0 <= now_ns - self._other.arrival_ns <= timeout * NANOSECONDS:
            return None
        return 'two publishers send images on the same topic: which of them shows the arm?'

    def staleness(self, *, now_ns: int, timeout: float) -> str | None:
        """Return why the newest image is too old or from the future; None when it is fresh.

        timeout: seconds. Must not be asked before the first image.
        """
        if self._newest is None:
            raise RuntimeError('no image has arrived yet')
        silent = (now_ns - self._newest.arrival_ns) / NANOSECONDS
        if not 0.0 <= silent <= timeout:
            return f'no image for {silent:.2f} s (image_timeout={timeout})'
        age = (now_ns - self._newest.stamp_ns) / NANOSECONDS
        if abs(age) > timeout:
            return (
                f'the images that arrive are stamped {abs(age):.2f} s in the '
                f'{"past" if age > 0 else "future"} (image_timeout={timeout}): '
                "the camera lags, or its clock and the node's differ"
            )
        return None
