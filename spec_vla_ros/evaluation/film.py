# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Makes films of episodes, as animated WebP pictures."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Iterator, Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from spec_vla_ros.types import Action, Observation

MAX_BYTES = 3_000_000
QUALITIES = (80, 60, 40)  # of WebP, tried in this order
MIN_SIDE = 48  # pixels; pictures are not made smaller than this

EVERY = 4
"""Steps from one picture of a `Film` to the next."""

_HOLD_MS = 2000  # how long the last picture is shown
_LINE, _LETTER, _MARGIN = 18, 7, 6  # pixels
_INK, _BACKGROUND = (235, 235, 235), (24, 26, 30)
_FONT = ImageFont.load_default(size=12)


class Film:
    """The camera's images of an episode, with the passes of the target so far below them.

    Args:
        title: written below the images.
        rotation: turns the images upright, degrees counterclockwise, a multiple of 90.
        interval: time of a step, seconds.
    """

    def __init__(self, title: str, *, rotation: int, interval: float) -> None:
        self._title, self._rotation, self._interval = title, rotation, interval
        self._steps = self._passes = 0
        self._pictures: list[tuple[np.ndarray, str]] = []

    def watch(self, observation: Observation, action: Action) -> None:
        """Add the next step."""
        self._passes += action.stats.target_passes
        self._steps += 1
        if (self._steps - 1) % EVERY == 0:
            each = self._passes / self._steps
            words = f'step {self._steps}, {each:.1f} passes of the target each'
            self._pictures.append((observation.image, words))

    def webp(self, outcome: str) -> bytes:
        """Return the film at the simulation's speed; the outcome is written on its last picture.

        Raises:
            ValueError: there are no pictures, or they cannot be made to fit into `MAX_BYTES`.
        """
        if not self._pictures:
            raise ValueError('there are no pictures to make a film of')
        last, _ = self._pictures[-1]
        shown = [*self._pictures, (last, f'{outcome} after {self._steps} steps')]
        durations = [round(1000 * EVERY * self._interval)] * len(self._pictures) + [_HOLD_MS]
        texts = [self._lines(words, last.shape[1]) for _, words in shown]
        height = max(map(len, texts))
        drawn = [self._drawn(i, t, height) for (i, _), t in zip(shown, texts, strict=True)]
        return encoded(drawn, durations)

    def _lines(self, words: str, width: int) -> list[str]:
        said = [*self._title.splitlines(), words]
        return [part for line in said for part in textwrap.wrap(line, width // _LETTER)]

    def _drawn(self, image: np.ndarray, lines: list[str], height: int) -> Image.Image:
        """Return an image with lines of text below it, and room for `height` lines."""
        upright = Image.fromarray(np.ascontiguousarray(np.rot90(image, k=self._rotation // 90)))
        size = (upright.width, upright.height + _LINE * height + 2 * _MARGIN)
        picture = Image.new('RGB', size, _BACKGROUND)
        picture.paste(upright, (0, 0))
        draw = ImageDraw.Draw(picture)
        for number, line in enumerate(lines):
            draw.text((_MARGIN, upright.height + _MARGIN + number * _LINE), line, _INK, font=_FONT)
        return picture


def encoded(
    shown: Sequence[Image.Image], durations: Sequence[int], *, max_bytes: int = MAX_BYTES
) -> bytes:
    """Return pictures as an endlessly repeated WebP animation of at most `max_bytes`.

    If they do not fit, first their quality is reduced, then their size; their timing stays.

    durations: milliseconds for each picture.

    Raises:
        ValueError: they cannot be made to fit.
    """
    for quality, size in _attempts(shown[0].size):
        first, *rest = (p if p.size == size else p.resize(size) for p in shown)
        file = io.BytesIO()
        first.save(
            file,
            'WEBP',
            save_all=True,
            append_images=rest,
            duration=list(durations),
            loop=0,
            quality=quality,
        )
        if file.tell() <= max_bytes:
            return file.getvalue()
    raise ValueError(f'{len(shown)} pictures do not fit into {max_bytes} bytes')


def _attempts(size: tuple[int, int]) -> Iterator[tuple[int, tuple[int, int]]]:
    """Yield quality and (width, height) to try, the best first."""
    yield from ((quality, size) for quality in QUALITIES)
    width, height = size
    while min(width, height) > MIN_SIDE:
        width, height = width * 3 // 4, height * 3 // 4
        yield QUALITIES[-1], (width, height)
