# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Camera messages to (H, W, 3) uint8 RGB, whoever read them: a ROS node, or a recording's reader.

It takes any object with the fields of sensor_msgs/Image or sensor_msgs/CompressedImage.
"""

from __future__ import annotations

import io
from typing import Any, Protocol

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

CHANNELS = {'rgb8': 3, 'bgr8': 3, 'rgba8': 4, 'bgra8': 4, 'mono8': 1, 'mono16': 2}
"""Bytes per pixel of the encodings that are understood.

Depth images (16UC1, 32FC1) and raw Bayer patterns are refused: they are no colour picture of the
scene, and a policy would act on whatever they were mistaken for.
"""

MAX_PIXELS = 2**26
"""Of a compressed picture; what claims to be larger would fill the memory while it is decoded."""


class ImageError(ValueError):
    """A camera message cannot be read; the message says why."""


class RawImage(Protocol):
    """The fields of sensor_msgs/Image that hold the picture; data is a buffer of bytes."""

    height: int
    width: int
    encoding: str
    is_bigendian: int
    step: int
    data: Any


class CompressedPicture(Protocol):
    """The fields of sensor_msgs/CompressedImage that hold the picture."""

    format: str
    data: Any


def raw_to_rgb(message: RawImage) -> np.ndarray:
    """Return a raw camera image as a contiguous (H, W, 3) uint8 RGB array.

    mono16 keeps the high byte. Rows may be padded (step) and 16-bit data in either byte order.

    Raises:
        ImageError: an encoding that is none of CHANNELS, an empty image, a step too small for a
            row, or data shorter than height x step.
    """
    check_raw(message)
    pixel_bytes = CHANNELS[message.encoding]
    rows = np.frombuffer(message.data, np.uint8, count=message.height * message.step)
    rows = rows.reshape(message.height, message.step)[:, : message.width * pixel_bytes]
    pixels = rows.reshape(message.height, message.width, pixel_bytes)
    if message.encoding == 'mono16':
        high_byte = 0 if message.is_bigendian else 1
        pixels = pixels[:, :, high_byte : high_byte + 1]
    if message.encoding in ('mono8', 'mono16'):
        return np.repeat(pixels, 3, axis=2)
    if message.encoding.startswith('bgr'):
        return np.ascontiguousarray(pixels[:, :, 2::-1])
    return np.ascontiguousarray(pixels[:, :, :3])


def compressed_to_rgb(message: CompressedPicture) -> np.ndarray:
    """Return a JPEG or PNG camera image as a contiguous (H, W, 3) uint8 RGB array.

    Raises:
        ImageError: it is empty, truncated, of another format, or larger than MAX_PIXELS.
    """
    if len(message.data) == 0:
        raise ImageError('the compressed image is empty')
    if 'compressedDepth' in message.format:
        raise ImageError(f'format {message.format!r} is a depth image, a colour image is needed')
    data = np.frombuffer(message.data, np.uint8)
    if data[:2].tobytes() == b'\xff\xd8' and b'\xff\xd9' not in data[-64:].tobytes():
        raise ImageError('the JPEG is truncated: it has no end marker')
    unreadable = ImageError(
        f'format {message.format!r}, {len(data)} bytes: neither a whole JPEG nor a whole PNG'
    )
    try:  # what OpenCV is given shows in its content, and its size is known beforehand
        with Image.open(io.BytesIO(data.data), formats=('JPEG', 'PNG')) as picture:
            width, height = picture.size
    except Image.DecompressionBombError as error:
        raise ImageError(f'the picture has too many pixels: {error}') from error
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise unreadable from error
    if width * height > MAX_PIXELS:
        raise ImageError(f'{width} x {height} pixels are more than the {MAX_PIXELS} that are read')
    try:
        bgr = cv2.imdecode(data, cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise unreadable from error
    if bgr is None:
        raise unreadable
    return cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)


def check_raw(message: RawImage) -> None:
    """Raise the ImageError of `raw_to_rgb`, if there is one."""
    if message.encoding not in CHANNELS:
        raise ImageError(
            f'encoding {message.encoding!r} is not understood; publish one of '
            f'{", ".join(CHANNELS)} (depth and Bayer images are no colour picture)'
        )
    if message.height == 0 or message.width == 0:
        raise ImageError(f'the image is empty: {message.width} x {message.height}')
    row = message.width * CHANNELS[message.encoding]
    if message.step < row:
        raise ImageError(f'step {message.step} is less than a row of {row} bytes')
    if len(message.data) < message.height * message.step:
        raise ImageError(
            f'the data is truncated: {len(message.data)} bytes instead of '
            f'{message.height} x {message.step}'
        )
