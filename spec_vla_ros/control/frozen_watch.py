# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Whether the pixels show that the arm moves.

A camera whose picture hangs may go on sending it with fresh stamps. Equal pixels alone prove
nothing: a simulator, or a still scene before a noiseless camera, repeats them for as long as
nothing moves. So the picture has to change only once the arm has been told to move by more than
could go unseen.
"""

from __future__ import annotations

import math

from spec_vla_ros.control.image_watch import NANOSECONDS
from spec_vla_ros.control.schedule import Twist

VISIBLE_TRANSLATION = 0.005  # metres of commanded path that must change some pixel
VISIBLE_ROTATION = 0.05  # radians, likewise


class FrozenWatch:
    """Compares what the arm was told with whether the picture changed."""

    def __init__(self) -> None:
        self.picture_changed()

    def picture_changed(self) -> None:
        """Note that an image differs from the one before; also to begin anew."""
        self._translation = self._rotation = 0.0
        self._since_ns: int | None = None

    def commanded(self, twist: Twist, *, seconds: float, now_ns: int) -> None:
        """Note that the arm is told to move like this for so long, from now on."""
        translation = math.hypot(*twist.linear) * seconds
        rotation = math.hypot(*twist.angular) * seconds
        if self._since_ns is None and (translation or rotation):
            self._since_ns = now_ns
        self._translation += translation
        self._rotation += rotation

    def verdict(self, *, now_ns: int, timeout: float) -> str | None:
        """Return why the picture is taken for frozen, or None when it is not.

        timeout: seconds from the first motion the pixels do not show.
        """
        if self._since_ns is None:
            return None
        if self._translation < VISIBLE_TRANSLATION and self._rotation < VISIBLE_ROTATION:
            return None
        unchanged = (now_ns - self._since_ns) / NANOSECONDS
        if unchanged <= timeout:
            return None
        return (
            f'the pixels have not changed in {unchanged:.2f} s (image_timeout={timeout}), in '
            f'which the arm was told to move {self._translation * 1e3:.0f} mm and '
            f'{self._rotation:.2f} rad'
        )
