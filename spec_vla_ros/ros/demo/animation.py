# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Draws an animation of one episode in each way of decoding, side by side and in real time.

At each moment it shows, for each side, the newest camera image, and the passes and milliseconds of
the actions so far.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from spec_vla_ros.evaluation.film import encoded
from spec_vla_ros.ros.demo.film_strip import BACKGROUND, BAD, DIM, GAP, GOOD, INK, title_font
from spec_vla_ros.ros.demo.record import SPECULATIVE, Record
from spec_vla_ros.types import AUTOREGRESSIVE

MOST_PICTURES = 150
RATE = 30.0  # pictures per second at most; the camera's rate
HOLD = 3.0  # seconds for which the last picture stays

FRAME = 288  # side of a camera image, pixels
HEADER, TITLE, ROW = 50, 30, 26
FOOTER = GAP + 3 * ROW
TRACK, BAR = (52, 56, 64), (90, 160, 235)
NAMES = {AUTOREGRESSIVE: 'token by token', SPECULATIVE: 'speculative decoding'}
"""Way of decoding -> its title, in the order from left to right."""

SMALL = ImageFont.load_default(size=15)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an episode had come at some moment.

    frame: (H, W, 3) uint8 RGB, the newest image.
    actions, passes, inference_ms: totals so far.
    """

    frame: np.ndarray
    actions: int
    passes: int
    inference_ms: float


def progress(record: Record, seconds: float) -> Progress:
    """Return how far an episode had come so many seconds after the instruction.

    Raises:
        ValueError: the episode has no frames.
    """
    if not record.frames:
        raise ValueError('the episode has no frames to show')
    newest = bisect_right([when for when, _ in record.frames], seconds) - 1
    actions = bisect_right(record.action_seconds, seconds)
    return Progress(
        frame=record.frames[max(0, newest)][1],  # before the first frame, the first
        actions=actions,
        passes=sum(record.target_passes[:actions]),
        inference_ms=sum(record.inference_ms[:actions]),
    )


def middle_episode(ways: Mapping[str, Sequence[Record]]) -> dict[str, Record] | None:
    """Return the episode to show, as way of decoding -> its record; None if none has frames.

    It is the median by how much longer the last way took than the first, among the episodes with
    frames that succeeded in every way, or among all with frames if none did.
    """
    pairs = [pair for pair in zip(*ways.values(), strict=True) if all(r.frames for r in pair)]
    if not pairs:
        return None
    good = [pair for pair in pairs if all(r.success for r in pair)] or pairs
    good.sort(key=lambda pair: pair[-1].seconds / max(pair[0].seconds, 1e-3))
    return dict(zip(ways, good[(len(good) - 1) // 2], strict=True))


def moments(seconds: float) -> list[float]:
    """Return the times of the pictures of an episode that lasts so many seconds."""
    count = min(MOST_PICTURES, int(np.ceil(seconds * RATE)) + 1)
    return list(np.linspace(0.0, seconds, max(2, count)))


def durations_ms(times: Sequence[float]) -> list[int]:
    """Return how long each picture stays, in whole milliseconds; rounding errors do not add up."""
    edges = np.round(np.array([*times, times[-1] + HOLD]) * 1000).astype(int)
    return np.diff(edges).tolist()


def pictures(sides: Mapping[str, Record], times: Sequence[float]) -> list[Image.Image]:
    """Return the picture for each time; the last one says how the episode ended.

    Raises:
        ValueError: an episode has no frames.
    """
    shown = {way: sides[way] for way in NAMES if way in sides}
    longest = max(times[-1], *(record.seconds for record in shown.values()))
    whole = [progress(record, longest) for record in shown.values()]
    most_passes = max(1, *(p.passes for p in whole))
    most_ms = max(1.0, *(p.inference_ms for p in whole))
    empty = _canvas(shown)
    result = []
    for when in times:
        picture = empty.copy()
        draw = ImageDraw.Draw(picture)
        for place, record in enumerate(shown.values()):
            now = progress(record, when)
            x = _left(place)
            frame = Image.fromarray(now.frame).resize((FRAME, FRAME), Image.Resampling.LANCZOS)
            picture.paste(frame, (x, HEADER + TITLE))
            y = HEADER + TITLE + FRAME + GAP
            _bar(draw, (x, y), 'passes', f'{now.passes}', share=now.passes / most_passes)
            milliseconds = f'{now.inference_ms:.0f} ms'
            share = now.inference_ms / most_ms
            _bar(draw, (x, y + ROW), 'inference', milliseconds, share=share)
            words, colour = _state(record, when, actions=now.actions)
            draw.text((x, y + 2 * ROW), words, colour, font=SMALL)
            if now.actions:
                each = f'{now.inference_ms / now.actions:.1f} ms each'
                _right(draw, x + FRAME, y + 2 * ROW, each, DIM)
        result.append(picture)
    words, colour = outcome(shown)
    ImageDraw.Draw(result[-1]).text((GAP, HEADER - 18), words, colour, font=SMALL)
    return result


def outcome(sides: Mapping[str, Record]) -> tuple[str, tuple[int, int, int]]:
    """Return in words how an episode ended in each way of decoding, and a colour for them."""
    verdicts = {NAMES[way]: 'success' if r.success else 'failed' for way, r in sides.items()}
    colour = GOOD if all(record.success for record in sides.values()) else BAD
    if len(set(verdicts.values())) == 1:
        return next(iter(verdicts.values())) + (' in both ways' if len(sides) > 1 else ''), colour
    return ', '.join(f'{name}: {verdict}' for name, verdict in verdicts.items()), colour


def write_animation(sides: Mapping[str, Record], path: Path) -> None:
    """Write the animation of an episode; its folder is made if it is missing.

    sides: way of decoding -> its record of the episode.

    Raises:
        ValueError: a record has no frames.
    """
    times = moments(max(record.seconds for record in sides.values()))
    data = encoded(pictures(sides, times), durations_ms(times))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def _left(place: int) -> int:
    return GAP + place * (FRAME + GAP)


def _canvas(sides: Mapping[str, Record]) -> Image.Image:
    """Return the part that is the same in every picture: titles and background."""
    size = (_left(max(2, len(sides))), HEADER + TITLE + FRAME + FOOTER)  # room for the header
    canvas = Image.new('RGB', size, BACKGROUND)
    draw = ImageDraw.Draw(canvas)
    first = next(iter(sides.values()))
    title = f'\u201c{first.instruction}\u201d'
    draw.text((GAP, 8), title, INK, font=title_font(title, width=canvas.width - 2 * GAP))
    time = 'simulated time' if first.simulated_time else 'real time'
    _right(draw, canvas.width - GAP, HEADER - 18, f'{first.start}, in {time}', DIM)
    for place, (way, record) in enumerate(sides.items()):
        x = _left(place)
        draw.text((x, HEADER + 6), NAMES[way], INK, font=SMALL)
        _right(draw, x + FRAME, HEADER + 6, record.mode, DIM)
    return canvas


def _bar(
    draw: ImageDraw.ImageDraw, corner: tuple[int, int], name: str, value: str, *, share: float
) -> None:
    """Draw a figure with its name, and a bar.

    share: length of the bar, 0 to 1.
    """
    x, y = corner
    draw.text((x, y), name, DIM, font=SMALL)
    _right(draw, x + FRAME, y, value, INK)
    left, right = x + 70, x + FRAME - 64
    draw.rectangle((left, y + 3, right, y + 15), fill=TRACK)
    if share > 0:
        draw.rectangle((left, y + 3, left + round(share * (right - left)), y + 15), fill=BAR)


def _state(record: Record, when: float, *, actions: int) -> tuple[str, tuple[int, int, int]]:
    """Return in words how far an episode is at a time in seconds, and a colour for them."""
    if when < record.seconds:
        return f'{when:.2f} s, {actions} actions', INK
    if record.success:
        return f'done in {record.seconds:.2f} s, {actions} actions', GOOD
    what = 'lifted a wrong object' if record.wrong_object else 'not done'
    return f'{what}, {record.seconds:.1f} s', BAD


def _right(
    draw: ImageDraw.ImageDraw, x: int, y: int, words: str, colour: tuple[int, int, int]
) -> None:
    draw.text((x - draw.textlength(words, font=SMALL), y), words, colour, font=SMALL)
