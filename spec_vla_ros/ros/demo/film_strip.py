# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Draws a film strip: some frames of an episode side by side, with captions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from spec_vla_ros.ros.demo.record import Record

COLUMNS, ROWS = 4, 2
FRAME = 240  # pixels
GAP = 12
HEADER = 64
BACKGROUND, INK, DIM = (24, 26, 30), (240, 240, 240), (150, 155, 165)
GOOD, BAD = (110, 210, 130), (235, 110, 100)


def film_strip(record: Record) -> Image.Image:
    """Return a picture of up to eight frames of an episode, evenly spaced from first to last.

    Raises:
        ValueError: the episode has no frames.
    """
    if not record.frames:
        raise ValueError('the episode has no frames to show')
    count = min(COLUMNS * ROWS, len(record.frames))
    chosen = np.linspace(0, len(record.frames) - 1, count).round().astype(int)
    rows = -(-count // COLUMNS)
    width = GAP + min(count, COLUMNS) * (FRAME + GAP)
    width = max(width, GAP + 2 * (FRAME + GAP))  # room for the header
    strip = Image.new('RGB', (width, HEADER + rows * (FRAME + GAP)), BACKGROUND)
    draw = ImageDraw.Draw(strip)
    small = ImageFont.load_default(size=14)

    title = f'\u201c{record.instruction}\u201d'
    draw.text((GAP, 10), title, INK, font=title_font(title, width=width - 2 * GAP))
    verdict, colour = ('success', GOOD) if record.success else ('failed', BAD)
    line = f'{verdict} in {record.seconds:.1f} s, {record.steps} steps'
    draw.text((GAP, 38), line, colour, font=small)
    start = f'{record.mode}   {record.start}'
    draw.text((width - GAP - draw.textlength(start, font=small), 38), start, DIM, font=small)

    for place, index in enumerate(chosen):
        elapsed, rgb = record.frames[index]
        x = GAP + place % COLUMNS * (FRAME + GAP)
        y = HEADER + place // COLUMNS * (FRAME + GAP)
        frame = Image.fromarray(rgb).resize((FRAME, FRAME), Image.Resampling.LANCZOS)
        strip.paste(frame, (x, y))
        caption = f'{elapsed:.1f} s'
        box = draw.textbbox((x + 8, y + FRAME - 24), caption, font=small)
        draw.rectangle((box[0] - 5, box[1] - 3, box[2] + 5, box[3] + 3), fill=BACKGROUND)
        draw.text((x + 8, y + FRAME - 24), caption, INK, font=small)
        if place == count - 1:
            draw.rectangle((x, y, x + FRAME - 1, y + FRAME - 1), outline=colour, width=3)
    return strip


def title_font(words: str, *, width: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return the largest font of up to 20 pixels in which the words fit into a width in pixels."""
    sizes = range(20, 9, -1)
    fonts = [ImageFont.load_default(size=size) for size in sizes]
    return next((font for font in fonts if font.getlength(words) <= width), fonts[-1])


def write_film_strip(record: Record, path: Path) -> None:
    """Write the film strip as PNG; its folder is made if it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    film_strip(record).save(path)
