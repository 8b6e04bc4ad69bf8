# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Camera messages to (H, W, 3) uint8 RGB, and back.

The conversion is our own numpy, because cv_bridge is missing from the ROS wheels and broken beside
numpy 2 in the distributions; where a working one is found it does the colour encodings. Both
give the same pixels.
"""

from __future__ import annotations

import array
import functools
from collections.abc import Callable

import cv2
import numpy as np
from builtin_interfaces.msg import Time
from sensor_msgs.msg import CompressedImage, Image

Converter = Callable[[Image], np.ndarray]

CHANNELS = {'rgb8': 3, 'bgr8': 3, 'rgba8': 4, 'bgra8': 4, 'mono8': 1, 'mono16': 2}
"""Bytes per pixel of the encodings that are understood.

Depth images (16UC1, 32FC1) and raw Bayer patterns are refused: they are no colour picture of the
scene, and a policy would act on whatever they were mistaken for.
"""

NANOSECONDS = 1_000_000_000


class ImageError(ValueError):
    """A camera message cannot be read; the message says why."""


def image_to_rgb(message: Image) -> np.ndarray:
    """Return a raw camera image as a contiguous (H, W, 3) uint8 RGB array.

    mono16 keeps the high byte. Rows may be padded (step) and 16-bit data in either byte order.
    Raises ImageError for an encoding that is none of CHANNELS, an empty image, a step too small
    for a row, or data shorter than height x step.
    """
    _check(message)
    bridge = working_cv_bridge()
    if bridge is not None and message.encoding in ('rgb8', 'bgr8', 'mono8'):
        return np.ascontiguousarray(bridge(message))
    return numpy_image_to_rgb(message)


def numpy_image_to_rgb(message: Image) -> np.ndarray:
    """Do `image_to_rgb` without cv_bridge."""
    _check(message)
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


def compressed_to_rgb(message: CompressedImage) -> np.ndarray:
    """Return a JPEG or PNG camera image as a contiguous (H, W, 3) uint8 RGB array.

    Raises ImageError when it is empty, truncated or of another format.
    """
    if not message.data:
        raise ImageError('the compressed image is empty')
    if 'compressedDepth' in message.format:
        raise ImageError(f'format {message.format!r} is a depth image, a colour image is needed')
    data = np.frombuffer(message.data, np.uint8)
    if data[:2].tobytes() == b'\xff\xd8' and b'\xff\xd9' not in data[-64:].tobytes():
        raise ImageError('the JPEG is truncated: it has no end marker')
    bgr = cv2.imdecode(data, cv2.IMREAD_COLOR)
    if bgr is None:
        raise ImageError(
            f'format {message.format!r}, {len(data)} bytes: neither a whole JPEG nor a whole PNG'
        )
    return cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)


def rgb_to_image(rgb: np.ndarray, *, stamp_ns: int, frame_id: str) -> Image:
    """Return (H, W, 3) uint8 RGB as an rgb8 message."""
    message = Image(height=rgb.shape[0], width=rgb.shape[1], encoding='rgb8')
    message.header.stamp = to_time(stamp_ns)
    message.header.frame_id = frame_id
    message.step = rgb.shape[1] * 3
    data = array.array('B')  # an array is moved into the message; anything else is checked slowly
    data.frombytes(np.ascontiguousarray(rgb).data.cast('B'))
    message.data = data
    return message


def rgb_to_compressed(rgb: np.ndarray, *, stamp_ns: int, frame_id: str) -> CompressedImage:
    """Return (H, W, 3) uint8 RGB as a JPEG message of high quality."""
    _, jpeg = cv2.imencode(
        '.jpg', cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 95]
    )
    message = CompressedImage(format='rgb8; jpeg compressed bgr8')
    message.header.stamp = to_time(stamp_ns)
    message.header.frame_id = frame_id
    message.data = array.array('B', jpeg.tobytes())
    return message


def to_time(nanoseconds: int) -> Time:
    """Return a stamp as a message."""
    seconds, rest = divmod(nanoseconds, NANOSECONDS)
    return Time(sec=seconds, nanosec=rest)


def to_nanoseconds(stamp: Time) -> int:
    """Return a message's stamp in nanoseconds."""
    return stamp.sec * NANOSECONDS + stamp.nanosec


@functools.cache
def working_cv_bridge() -> Converter | None:
    """Return cv_bridge's conversion to rgb8 if it is installed and passes a trial, else None.

    The trial decodes a padded BGR image: builds for another numpy fail to import or to convert,
    and one on the package index ignores the padding.
    """
    try:
        from cv_bridge import CvBridge

        bridge = CvBridge()
        pixels = np.arange(2 * 12, dtype=np.uint8).reshape(2, 12)
        trial = Image(height=2, width=3, encoding='bgr8', step=12, data=pixels.tobytes())
        if np.array_equal(bridge.imgmsg_to_cv2(trial, 'rgb8'), numpy_image_to_rgb(trial)):
            return lambda message: bridge.imgmsg_to_cv2(message, 'rgb8')
    except Exception:  # it comes in many broken states, and we can do without it
        return None
    return None


def _check(message: Image) -> None:
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
