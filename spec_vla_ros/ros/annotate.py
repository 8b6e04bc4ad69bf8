# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Words on a camera image."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import cv2
import numpy as np

SMALLEST = 480  # pixels of width; smaller pictures are enlarged so that words are legible
LINE = 55
"""Characters that fit into the width."""

GOOD, BAD = (90, 200, 110), (230, 80, 70)
INK = (255, 255, 255)


def annotated(rgb: np.ndarray, lines: Sequence[str], *, good: bool) -> np.ndarray:
    """Return a picture with lines of words below it, framed in green or red.

    rgb: (H, W, 3) uint8; returns (H', W', 3) uint8 of its own.
    """
    height, width = rgb.shape[:2]
    scale = max(1, -(-SMALLEST // width))
    picture = cv2.resize(rgb, (width * scale, height * scale), interpolation=cv2.INTER_NEAREST)
    height, width = picture.shape[:2]
    size = width / 1100
    step = int(34 * size)
    plain = [line.encode('ascii', 'replace').decode() for line in lines]  # all the font knows
    wrapped = [part for line in plain for part in textwrap.wrap(line, LINE)]
    band = np.full((step * len(wrapped) + step // 2, width, 3), 24, np.uint8)
    for number, words in enumerate(wrapped, start=1):
        place = (step // 3, step * number)
        cv2.putText(band, words, place, cv2.FONT_HERSHEY_SIMPLEX, size, INK, 1, cv2.LINE_AA)
    cv2.rectangle(picture, (0, 0), (width - 1, height - 1), GOOD if good else BAD, 2 * scale)
    return np.concatenate([picture, band])
