# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Converts raw camera images to (H, W, 3) uint8 RGB.

It takes any object with the fields of sensor_msgs/Image.
"""

from __future__ import annotations

import re
from typing import Any, Protocol

import cv2
import numpy as np

from spec_vla_ros.pixels import MEASURED, EncodingError, ImageError, check_levels

CHANNELS = {'rgb8': 3, 'bgr8': 3, 'rgba8': 4, 'bgra8': 4, 'mono8': 1, 'mono16': 2}
"""Supported encodings besides those of `YUV` -> bytes per pixel.

Depth images (16UC1, 32FC1) and raw Bayer patterns are refused, since they are no colour pictures,
and a policy would act on whatever they look like.
"""

YUV = {
    'yuv422': cv2.COLOR_YUV2RGB_UYVY,
    'uyvy': cv2.COLOR_YUV2RGB_UYVY,
    'yuyv': cv2.COLOR_YUV2RGB_YUY2,
    'yuv422_yuy2': cv2.COLOR_YUV2RGB_YUY2,
    'nv12': cv2.COLOR_YUV2RGB_NV12,
    'nv21': cv2.COLOR_YUV2RGB_NV21,
}
"""Encodings of USB and CSI cameras (BT.601, 16 to 235) -> OpenCV's code of the conversion."""

_PLANES = ('nv12', 'nv21')  # rows of Y, one byte per pixel, and half as many rows of U and V
_OF_BYTES = {2: 'mono16, yuyv or uyvy', 3: 'rgb8 or bgr8', 4: 'rgba8 or bgra8'}
_WITH_ALPHA = {'rgb8': 'rgba8', 'bgr8': 'bgra8'}


class RawImage(Protocol):
    """The fields of sensor_msgs/Image that hold the picture; data is a buffer of bytes."""

    height: int
    width: int
    encoding: str
    is_bigendian: int
    step: int
    data: Any


def raw_to_rgb(message: RawImage) -> np.ndarray:
    """Return a raw camera image as a contiguous (H, W, 3) uint8 RGB array.

    Of mono16, the high byte is used. Rows may be padded (see step), and 16-bit data may have
    either byte order.

    Raises:
        ImageError: the encoding is neither in CHANNELS nor in YUV; the image is empty; a side is
            odd, though pixels share their colour (YUV); step is too small for a row; there are too
            few data, or a row or more too many; step is that of another encoding, and the rest of
            the rows cannot be padding; or the levels have 10 or 12 bits in 16.
    """
    check_raw(message)
    if message.encoding in YUV:
        return _yuv_to_rgb(message)
    pixel_bytes = CHANNELS[message.encoding]
    rows = np.frombuffer(message.data, np.uint8, count=message.height * message.step)
    rows = rows.reshape(message.height, message.step)[:, : message.width * pixel_bytes]
    pixels = rows.reshape(message.height, message.width, pixel_bytes)
    if message.encoding == 'mono16':
        high_byte = 0 if message.is_bigendian else 1
        pixels = pixels[:, :, high_byte : high_byte + 1]
        check_levels(pixels)
    if message.encoding in ('mono8', 'mono16'):
        return np.repeat(pixels, 3, axis=2)
    if message.encoding.startswith('bgr'):
        return np.ascontiguousarray(pixels[:, :, 2::-1])
    return np.ascontiguousarray(pixels[:, :, :3])


def same_rows(before: RawImage, now: RawImage) -> bool:
    """Whether two raw images are equal, except for the padding of rows and data after the rows."""
    form = (before.height, before.width, before.encoding, before.is_bigendian)
    if form != (now.height, now.width, now.encoding, now.is_bigendian):
        return False
    old, new = _unpadded(before), _unpadded(now)
    if old is None or new is None or not np.array_equal(old[:1], new[:1]):  # a quick first test
        return False
    return np.array_equal(old, new)


def _unpadded(message: RawImage) -> np.ndarray | None:
    """Return the bytes of each row without padding; None if there are too few."""
    rows, row = _rows(message), _row_bytes(message)
    if message.step < row or len(message.data) < rows * message.step or not rows * row:
        return None
    data = np.frombuffer(message.data, np.uint8, count=rows * message.step)
    return data.reshape(rows, message.step)[:, :row]


def check_raw(message: RawImage) -> None:
    """Raise ImageError if `raw_to_rgb` would, except because of mono16's levels."""
    if message.encoding not in CHANNELS and message.encoding not in YUV:
        raise EncodingError(
            f'encoding {message.encoding!r} is not understood{_instead(message.encoding)}; '
            f'publish one of {", ".join([*CHANNELS, *YUV])}'
        )
    if message.height == 0 or message.width == 0:
        raise ImageError(f'the image is empty: {message.width} x {message.height}')
    planes = message.encoding in _PLANES
    if message.encoding in YUV and (message.width % 2 or (planes and message.height % 2)):
        raise ImageError(
            f'{message.width} x {message.height} pixels cannot be {message.encoding}, in which '
            'neighbours share their colour: a side is odd'
        )
    row = _row_bytes(message)
    if message.step < row:
        raise ImageError(f'step {message.step} is less than a row of {row} bytes')
    rows = _rows(message)
    if rows > 1 and message.step == len(message.data) == rows * row:
        raise ImageError(
            f'step {message.step} is as many bytes as the whole picture has, and should be those '
            f'of one row, {row}: correct what the publisher says'
        )
    if len(message.data) < rows * message.step:
        raise ImageError(
            f'the data is truncated: {len(message.data)} bytes instead of {rows} x {message.step}'
        )
    surplus = len(message.data) - rows * message.step
    if surplus >= message.step and np.any(np.frombuffer(message.data, np.uint8)[-surplus:]):
        raise ImageError(
            f'the data is of another picture: {len(message.data)} bytes instead of {rows} x '
            f'{message.step}, and not only zeros behind them; height, step or encoding is wrong'
        )
    if message.step > row and message.step % message.width == 0:
        _check_padding(message, row)


def _check_padding(message: RawImage, row: int) -> None:
    """Refuse an image whose step fits another encoding, unless its rows are really padded.

    Padding consists of equal bytes in each row, or repeats the row's last pixel.
    """
    data = np.frombuffer(message.data, np.uint8, count=_rows(message) * message.step)
    rows = data.reshape(-1, message.step)
    pixel_bytes = max(1, row // message.width)
    for before in (1, pixel_bytes):
        begin = row + (before == 1)  # the first byte has no other before it
        if np.array_equal(rows[:, begin:], rows[:, begin - before : -before]):
            return
    step_bytes = message.step // message.width
    likely = _OF_BYTES.get(step_bytes)
    if step_bytes == CHANNELS['rgba8']:
        likely = _WITH_ALPHA.get(message.encoding, likely)
    raise ImageError(
        f'step {message.step} is {step_bytes} bytes for each of {message.width} pixels, '
        f'{message.encoding} has {pixel_bytes}, and what would be padding is a picture; '
        + (f'it is probably {likely}' if likely else 'encoding or width is wrong')
        + ': correct what the publisher says of it'
    )


def _instead(encoding: str) -> str:
    """Return in words why an encoding is not supported, and what to do."""
    if encoding.startswith('bayer'):
        return ': a Bayer pattern is no colour picture; have image_proc debayer it'
    if re.match(MEASURED, encoding):
        return ': depth and measurements are no colour picture; take the topic of the colour image'
    if re.match(r'8[US]C', encoding):
        return (
            ": it does not say which colours it has; with cv_bridge, cv2_to_imgmsg(image, 'bgr8') "
            'does'
        )
    plain = encoding.strip().lower()
    return f', but {plain!r} is' if plain in CHANNELS or plain in YUV else ''


def _rows(message: RawImage) -> int:
    """Return how many rows of bytes an image has."""
    return message.height * 3 // 2 if message.encoding in _PLANES else message.height


def _row_bytes(message: RawImage) -> int:
    """Return a row's bytes without padding; of unknown encodings, two per pixel."""
    planes = message.encoding in _PLANES
    return message.width * (1 if planes else CHANNELS.get(message.encoding, 2))


def _yuv_to_rgb(message: RawImage) -> np.ndarray:
    data = np.frombuffer(message.data, np.uint8, count=_rows(message) * message.step)
    rows = data.reshape(_rows(message), message.step)
    if message.encoding in _PLANES:
        pixels = rows[:, : message.width]
    else:
        pixels = rows[:, : message.width * 2].reshape(message.height, message.width, 2)
    return cv2.cvtColor(np.ascontiguousarray(pixels), YUV[message.encoding])
