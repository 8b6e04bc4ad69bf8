# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Converts camera messages to (H, W, 3) uint8 RGB, and back.

The conversion is our own numpy code, because cv_bridge is missing from the ROS wheels, and the
distributions' does not work with numpy 2. Where a working cv_bridge is found, it converts 8-bit
colour and grey images. Both give the same pixels.
"""

from __future__ import annotations

import array
import functools
from collections.abc import Callable

import cv2
import numpy as np
from builtin_interfaces.msg import Time
from sensor_msgs.msg import CompressedImage, Image

from spec_vla_ros.jpeg import same_picture
from spec_vla_ros.pixels import ImageError, compressed_to_rgb
from spec_vla_ros.raw_pixels import CHANNELS, check_raw, same_rows
from spec_vla_ros.raw_pixels import raw_to_rgb as numpy_image_to_rgb
from spec_vla_ros.types import NANOSECONDS

__all__ = [
    'CHANNELS',
    'ImageError',
    'compressed_to_rgb',
    'image_to_rgb',
    'numpy_image_to_rgb',
    'rgb_to_compressed',
    'rgb_to_image',
    'same_pixels',
    'to_nanoseconds',
    'to_time',
    'working_cv_bridge',
]

Converter = Callable[[Image], np.ndarray]

_JPEG = array.array('B', b'\xff\xd8')  # the first bytes of a JPEG


def image_to_rgb(message: Image) -> np.ndarray:
    """Return a raw camera image as a contiguous (H, W, 3) uint8 RGB array.

    See `spec_vla_ros.raw_pixels.raw_to_rgb`.
    """
    check_raw(message)
    bridge = working_cv_bridge()
    if bridge is not None and message.encoding in ('rgb8', 'bgr8', 'mono8'):
        return np.ascontiguousarray(bridge(message))
    return numpy_image_to_rgb(message)


def rgb_to_image(rgb: np.ndarray, *, stamp_ns: int, frame_id: str) -> Image:
    """Return (H, W, 3) uint8 RGB as an rgb8 message."""
    message = Image(height=rgb.shape[0], width=rgb.shape[1], encoding='rgb8')
    message.header.stamp = to_time(stamp_ns)
    message.header.frame_id = frame_id
    message.step = rgb.shape[1] * 3
    data = array.array('B')  # taken as it is; of anything else the message checks every byte
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


def same_pixels(before: Image | CompressedImage, now: Image | CompressedImage) -> bool:
    """Return whether two camera messages hold the same picture.

    Differences in data that are not pixels do not count: comments and EXIF of a JPEG, bytes after
    its end, and the padding of raw rows.
    """
    if before.data == now.data:
        return True
    if isinstance(before, Image) or isinstance(now, Image):
        return same_rows(before, now)
    if before.data[:2] != _JPEG or now.data[:2] != _JPEG:
        return False
    return same_picture(bytes(before.data), bytes(now.data))


def to_time(nanoseconds: int) -> Time:
    """Return a stamp in nanoseconds as a message."""
    seconds, rest = divmod(nanoseconds, NANOSECONDS)
    return Time(sec=seconds, nanosec=rest)


def to_nanoseconds(stamp: Time) -> int:
    """Return a message's stamp in nanoseconds."""
    return stamp.sec * NANOSECONDS + stamp.nanosec


@functools.cache
def working_cv_bridge() -> Converter | None:
    """Return cv_bridge's conversion to rgb8 if it is installed and passes a trial, else None.

    The trial converts a BGR image with padded rows. Builds for another numpy fail to import or to
    convert, and one on the package index ignores the padding.
    """
    try:
        from cv_bridge import CvBridge

        bridge = CvBridge()
        pixels = np.arange(2 * 11, dtype=np.uint8)
        trial = Image(height=2, width=3, encoding='bgr8', step=11, data=pixels.tobytes())
        if np.array_equal(bridge.imgmsg_to_cv2(trial, 'rgb8'), numpy_image_to_rgb(trial)):
            return lambda message: bridge.imgmsg_to_cv2(message, 'rgb8')
    except Exception:  # it can be broken in many ways, and we can do without it
        return None
    return None
