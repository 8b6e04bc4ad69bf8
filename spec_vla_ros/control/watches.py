# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The newest image, and whether it may be relied on.

`ImageWatch` tells stale images and two cameras, `FrozenWatch` a picture or a pose that hangs.
"""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

from spec_vla_ros.control.schedule import Twist
from spec_vla_ros.types import NANOSECONDS

Image = TypeVar('Image')

SEVERAL = 'one of several publishers'
"""The source of a message when several publish the topic and it is not known which one sent it."""

ANOTHER_CLOCK = 10_000_000.0  # seconds; stamps that are further off come from another clock

ONE_SIMULATED = 'does one of them follow use_sim_time, and the other not'
_NO_UPTIME = 300_000_000.0  # seconds, ten years; smaller stamps may count from a computer's start
_LAG = 30.0  # seconds; no camera lags so much, so older images are probably a recording

VISIBLE_TRANSLATION = 0.005  # metres of commanded path that must change some pixel, and the pose
VISIBLE_ROTATION = 0.05  # radians, likewise


@dataclass(frozen=True, slots=True)
class Source:
    """Who sent a message, and in which frame: one publisher may relay two cameras, or two arms.

    publisher: identifies the publisher; None if it is not known.
    """

    publisher: Hashable
    frame_id: str


@dataclass(frozen=True, slots=True)
class StampedImage(Generic[Image]):
    """An image as it arrived.

    stamp_ns: when it was taken (its arrival, if the camera does not stamp its images).
    arrival_ns: when it arrived, by the node's clock.
    source: who sent it; None if that is not known; `SEVERAL` if, moreover, more than one
        publisher may have.
    """

    image: Image
    stamp_ns: int
    arrival_ns: int
    source: Hashable = None


class ImageWatch(Generic[Image]):
    """Keeps the newest image, and knows whether it is too old to act on.

    An image is stale if none has arrived for a while, or if the one that arrives was taken long
    ago: it waited in a queue, or the camera's clock is off. The second test catches what the first
    misses: old images that arrive at full rate.
    """

    def __init__(self) -> None:
        self._newest: StampedImage[Image] | None = None
        self._other: StampedImage[Image] | None = None  # the newest from another source
        self._count = 0

    @property
    def newest(self) -> StampedImage[Image] | None:
        """The image that arrived last."""
        return self._newest

    @property
    def count(self) -> int:
        """How many images have arrived."""
        return self._count

    def store(self, image: Image, *, stamp_ns: int, now_ns: int, source: Hashable = None) -> None:
        """Keep an image that has just arrived; a zero stamp means that the camera gives none."""
        before, self._newest = (
            self._newest,
            StampedImage(image, stamp_ns or now_ns, now_ns, source),
        )
        if before is not None and before.source != source:
            self._other = before
        self._count += 1

    def forget(self) -> None:
        """Forget the images, for example after an interruption; the count goes on."""
        self._newest = self._other = None

    def ambiguity(self, *, now_ns: int, timeout: float) -> str | None:
        """Return in words that two sources send images; None if there is only one.

        timeout: seconds after which a source that has fallen silent counts as gone.
        """
        newest, other = self._newest, self._other
        if newest is None:
            return None
        if newest.source != SEVERAL:
            if other is None or other.source == newest.source:
                return None
            if not 0 <= now_ns - other.arrival_ns <= timeout * NANOSECONDS:
                return None
        who = both(newest.source, other and other.source)
        return f'{who} send images on the same topic: which of them shows the arm?'

    def staleness(self, *, now_ns: int, timeout: float) -> str | None:
        """Return why the newest image is too old or from the future; None if it is fresh.

        timeout: seconds. Raises RuntimeError before the first image.
        """
        if self._newest is None:
            raise RuntimeError('no image has arrived yet')
        silent = (now_ns - self._newest.arrival_ns) / NANOSECONDS
        if not 0.0 <= silent <= timeout:
            return f'no image for {silent:.2f} s (image_timeout={timeout})'
        age = (now_ns - self._newest.stamp_ns) / NANOSECONDS
        if abs(age) > timeout:
            if abs(age) > ANOTHER_CLOCK:
                return two_clocks('images are', stamp_ns=self._newest.stamp_ns, now_ns=now_ns)
            played = (
                ', or a recording is played: `ros2 bag play --clock`, and use_sim_time here'
                if age > _LAG
                else ''
            )
            return (
                f'the images that arrive are stamped {abs(age):.2f} s in the '
                f'{"past" if age > 0 else "future"} (image_timeout={timeout}): '
                f"the camera lags, or its clock and the node's differ{played}"
            )
        return None


def both(one: Hashable, other: Hashable) -> str:
    """Say in words who two sources are."""
    if isinstance(one, Source) and isinstance(other, Source) and one.frame_id != other.frame_id:
        return f'the frames {one.frame_id!r} and {other.frame_id!r}'
    return 'two publishers'


def two_clocks(what: str, *, stamp_ns: int, now_ns: int) -> str:
    """Say in words that something is stamped by another clock than the node's."""
    stamped, now = (f'{ns / NANOSECONDS:.0f} s' for ns in (stamp_ns, now_ns))
    uptime = stamp_ns < _NO_UPTIME * NANOSECONDS <= now_ns
    return (
        f"the {what} stamped by another clock than the node's: {stamped}, and it is {now}; "
        f'{ONE_SIMULATED}, '
        + (
            'or does a driver stamp with the time since its device or the computer was started '
            '(a hardware or monotonic clock)?'
            if uptime
            else 'or is an old recording played without `--clock`?'
        )
    )


class FrozenWatch:
    """Finds out whether images or poses hang: whether they stay the same while the arm moves.

    A camera whose picture hangs may go on sending it with fresh stamps, and so may whoever sends
    the poses. Equal messages alone prove nothing: a simulator, or a camera without noise before a
    still scene, repeats them for as long as nothing moves. So they must change only after the arm
    has been commanded to move so far that it cannot go unseen.

    Args:
        what: what is watched, as the subject of '... not changed'.
    """

    def __init__(self, what: str = 'the pixels have') -> None:
        self._what = what
        self.changed()

    def changed(self) -> None:
        """Note that an image or pose differs from the one before; also to start over."""
        self._translation = self._rotation = 0.0
        self._since_ns: int | None = None

    def commanded(self, twist: Twist, *, seconds: float, now_ns: int) -> None:
        """Note that from now on the arm is commanded to move at this velocity for some seconds."""
        translation = math.hypot(*twist.linear) * seconds
        rotation = math.hypot(*twist.angular) * seconds
        if self._since_ns is None and (translation or rotation):
            self._since_ns = now_ns
        if self._since_ns is not None:  # the clock may have been set back
            self._since_ns = min(self._since_ns, now_ns)
        self._translation += translation
        self._rotation += rotation

    def fault(self, *, seen_ns: int, timeout: float) -> str | None:
        """Return why the images or poses are taken for frozen; None if they are not.

        seen_ns: when the newest image or pose was taken. Time counts only up to here: one that
            was taken before a motion cannot show it, however long ago that was.
        timeout: for how many seconds, from the beginning of a motion, it may stay unseen.
        """
        hidden = self._translation < VISIBLE_TRANSLATION and self._rotation < VISIBLE_ROTATION
        if self._since_ns is None or hidden:
            return None
        unchanged = (seen_ns - self._since_ns) / NANOSECONDS
        if unchanged <= timeout:
            return None
        return (
            f'{self._what} not changed in {unchanged:.2f} s (image_timeout={timeout}), in '
            f'which the arm was commanded to move {self._translation * 1e3:.0f} mm and '
            f'{self._rotation:.2f} rad: their source hangs, or the arm does not obey (is its '
            'controller active? MoveIt Servo waits for switch_command_type); the same instruction '
            'again tries once more (detect_frozen_image: false where motions may go unseen)'
        )
