# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Converts JPEG and PNG to (H, W, 3) uint8 RGB, from messages, recordings and files.

It takes any object with the fields of sensor_msgs/CompressedImage. Raw images: `raw_pixels`.
"""

from __future__ import annotations

import io
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Protocol

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

from spec_vla_ros.jpeg import parts_of
from spec_vla_ros.types import UnreadableError

_JPEG, _PNG = b'\xff\xd8', b'\x89PNG'  # their beginnings
_PNG_BITS = 24  # index of the byte with a PNG's bits per channel
MEASURED = r'(16|32|64)[USF]'  # encodings of depth and other measurements
_NO_PICTURE = re.compile(rf'bayer|{MEASURED}')

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
_LONGEST = 16
"""Bytes that are needed to recognise these beginnings."""

MAX_PIXELS = 2**26
"""Pixels of a compressed picture. Decoding one that claims to be larger would fill the memory."""

ONE_COLOUR = 2.0
"""Standard deviation of levels (0 to 255). If those of all channels are below it, the picture
shows nothing: a covered camera's noise is below, and any scene is above."""

_STRIP = 2.4
"""Long side by short side; the widest cameras and screens have 21 : 9."""
_GREY = 2  # levels by which the channels of a pixel may differ in a picture without colour


class ImageError(ValueError):
    """A camera message cannot be read; the message says why."""


class EncodingError(ImageError, UnreadableError):
    """An image is of a kind that cannot be read; the publisher's next images will be, too."""


class CompressedPicture(Protocol):
    """The fields of sensor_msgs/CompressedImage that hold the picture."""

    format: str
    data: Any


def file_to_rgb(path: Path) -> np.ndarray:
    """Read a JPEG or PNG file as `compressed_to_rgb` reads a message.

    Raises:
        ImageError: as there; the message names the file.
    """
    try:
        return compressed_to_rgb(SimpleNamespace(format=path.suffix, data=path.read_bytes()))
    except ImageError as error:
        raise type(error)(f'{path}: {error}') from error


def compressed_to_rgb(message: CompressedPicture) -> np.ndarray:
    """Return a JPEG or PNG image as a contiguous (H, W, 3) uint8 RGB array, upright.

    The orientation in a JPEG's EXIF is applied. Bytes after its end marker are ignored, since
    drivers with buffers of a fixed size send zeros there.

    Raises:
        ImageError: the image is empty, lacks data at its end or before, has another format or more
            than MAX_PIXELS pixels, is no picture in colour or grey, or has 10 or 12 bits in 16.
    """
    if len(message.data) == 0:
        raise ImageError('the compressed image is empty')
    # image_transport gives the original encoding first, then the one that was compressed.
    source, _, rest = message.format.partition(';')
    coloured = rest.rstrip().endswith(('rgb8', 'bgr8'))
    if 'compressedDepth' in message.format or (_NO_PICTURE.match(source) and not coloured):
        raise EncodingError(
            f'format {message.format!r} is a depth image or a Bayer pattern, a colour image is '
            'needed'
        )
    if not bytes(message.data[:4]).startswith((_JPEG, _PNG)):
        other = other_format(bytes(message.data[:_LONGEST]))
        raise (EncodingError if other else ImageError)(
            f'format {message.format!r}, {len(message.data)} bytes: neither a whole JPEG nor a '
            f'whole PNG, {f"but {other}" if other else "it begins as neither does"}; '
            'convert the file, or have the publisher send one of the two'
        )
    data = np.frombuffer(message.data, np.uint8)
    jpeg = None
    if data[:2].tobytes() == _JPEG:
        jpeg = parts_of(data.tobytes())
        if jpeg is None:
            raise ImageError('the JPEG is truncated: it has no end marker')
        data = data[: jpeg.end]
    unreadable = ImageError(
        f'format {message.format!r}, {len(data)} bytes: neither a whole JPEG nor a whole PNG'
    )
    try:  # check the format and the size before OpenCV decodes the image
        with Image.open(io.BytesIO(data.data), formats=('JPEG', 'PNG')) as picture:
            (width, height), mode = picture.size, picture.mode
    except Image.DecompressionBombError as error:
        raise ImageError(f'the picture has too many pixels: {error}') from error
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise unreadable from error
    if width * height > MAX_PIXELS:
        raise ImageError(f'{width} x {height} pixels are more than the {MAX_PIXELS} that are read')
    if mode.startswith('I') and source != 'mono16':
        raise EncodingError(
            f'format {message.format!r} has 16 bits in one channel, as depth images have; a '
            "colour image is needed, or one whose format says 'mono16; png compressed'"
        )
    try:
        bgr = cv2.imdecode(data, cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise unreadable from error
    if bgr is None:
        raise unreadable
    if jpeg is None and data[_PNG_BITS] == 16:
        check_levels(bgr)
    rgb = cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
    if jpeg is not None and not jpeg.is_whole(rgb):
        raise ImageError(
            'the JPEG is truncated: it lacks some of its data, at its end or before, and a part '
            'of the picture would be made up; see what loses them on the way from the camera'
        )
    return rgb


def other_format(beginning: bytes) -> str:
    """Return in words the format of a file that begins like this; empty if it is not known."""
    found = (what for how, what in _BEGINNINGS.items() if re.match(how, beginning, re.DOTALL))
    return next(found, '')


def check_scene(rgb: np.ndarray) -> np.ndarray:
    """Return an (H, W, 3) uint8 picture unchanged if it shows more than one colour.

    Raises:
        ImageError: all is of one colour, see ONE_COLOUR: the camera is covered or sends black.
    """
    mean, spread = cv2.meanStdDev(_sample(rgb))
    if spread.max() < ONE_COLOUR:
        colour = ', '.join(f'{level:.0f}' for level in mean.ravel())
        raise ImageError(
            f'the picture is of one colour ({colour}): is the camera covered, does it get light, '
            'has its driver anything to show?'
        )
    return rgb


def doubt(rgb: np.ndarray) -> str:
    """Return in words why a policy may not be trained for such a picture; empty if nothing tells.

    rgb: (H, W, 3) uint8.
    """
    height, width = rgb.shape[:2]
    if max(height, width) > _STRIP * min(height, width):
        return (
            f'pictures are of {width} x {height} pixels: two side by side, as of a stereo camera, '
            'are taken for one scene here; if so, use the topic of one camera, as in training'
        )
    sample = _sample(rgb)
    if np.ptp(sample, axis=2).max() <= _GREY:
        return (
            'pictures have no colour, as of an infrared or depth camera, or of one in its night '
            'mode: a policy that was trained on colours does not see them here'
        )
    return ''


def _sample(rgb: np.ndarray) -> np.ndarray:
    """Return about 64 rows and columns of a picture, which are enough to judge it."""
    rows, columns = (max(1, side // 64) for side in rgb.shape[:2])
    return np.ascontiguousarray(rgb[::rows, ::columns])


def check_levels(high_bytes: np.ndarray) -> None:
    """Raise ImageError if a picture of 16 bits uses less than a 16th of the levels.

    high_bytes: the high byte of each level. A picture of a single level is left to `check_scene`.
    """
    low, high = int(high_bytes.min()), int(high_bytes.max())
    if low < high < 16:
        raise ImageError(
            f'the picture has 16 bits, of which the brightest pixel takes {high} of 255 parts: it '
            'is nearly black, or of 10 or 12 bits; have the publisher scale its levels to 65535, '
            'or send 8 bits'
        )
