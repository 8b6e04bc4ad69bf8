# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""What compressed data are that are neither a JPEG nor a PNG, told by their beginning."""

from __future__ import annotations

import re

_BEGINNINGS = {
    rb'RIFF.{4}WEBP': 'a WebP picture',
    rb'\0\0\0.ftyp(avi[fs]|hei[cx]|mif1)': 'an AVIF or HEIC picture',
    rb'\0\0\0\x0c(jP|JXL) |\xff\x4f\xff\x51|\xff\x0a': 'a JPEG 2000 or JPEG XL',
    rb'BM.{4}\0{4}': 'a BMP picture',
    rb'GIF8': 'a GIF',
    rb'II\*\0|MM\0\*': 'a TIFF picture',
    rb'\0\0\0?\x01': 'a part of a video (H.264 or H.265)',
    rb'/9j/|iVBORw0KGgo': 'a picture written as text (base64)',
}
LONGEST = 16
"""Bytes that are enough to tell."""


def other_format(beginning: bytes) -> str:
    """Return in words what begins like this; empty where it is not known."""
    found = (what for how, what in _BEGINNINGS.items() if re.match(how, beginning, re.DOTALL))
    return next(found, '')
