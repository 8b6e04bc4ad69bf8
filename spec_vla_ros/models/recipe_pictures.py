# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Prepares a camera's picture by a recipe, before the checkpoint's own image processor.

The pixels match those of OpenVLA's published evaluation, which uses TensorFlow: its JPEG,
`tf.image.resize(..., 'lanczos3', antialias=True)` and `tf.image.crop_and_resize`.
"""

from __future__ import annotations

import io

import cv2
import numpy as np
from PIL import Image

from spec_vla_ros.models.image_processor import as_picture
from spec_vla_ros.models.recipes import Recipe

_FILTERS = {'lanczos': Image.Resampling.LANCZOS}
_TURNS = {  # counter-clockwise; many times faster than a copy of numpy's turned view
    90: cv2.ROTATE_90_COUNTERCLOCKWISE,
    180: cv2.ROTATE_180,
    270: cv2.ROTATE_90_CLOCKWISE,
}


class RecipePicture:
    """Turns, compresses, resizes and crops pictures as a recipe says, in this order.

    Args:
        recipe: the recipe.
        side: the side of the model's square picture, in pixels.
    """

    def __init__(self, recipe: Recipe, *, side: int) -> None:
        self._recipe, self._side = recipe, side

    def __call__(self, image: np.ndarray | Image.Image) -> np.ndarray:
        """Picture (H, W, 3) uint8 RGB -> (H', W', 3) uint8; itself if there is nothing to do.

        Raises:
            ValueError: the picture has another shape or type.
        """
        recipe, image = self._recipe, as_picture(image)
        if recipe.image_rotation:
            image = cv2.rotate(np.ascontiguousarray(image), _TURNS[recipe.image_rotation])
        if recipe.jpeg_quality:
            image = as_jpeg(image, quality=recipe.jpeg_quality)
        if recipe.resampling:
            image = resized(image, self._side, resampling=_FILTERS[recipe.resampling])
        if recipe.image_crop < 1.0:
            image = cropped(image, area=recipe.image_crop)
        return image


def as_jpeg(image: np.ndarray, *, quality: int) -> np.ndarray:
    """Picture (H, W, 3) uint8 -> the same, encoded as a JPEG and decoded again.

    The JPEG has colours at half the resolution (4:2:0).
    """
    with io.BytesIO() as file:
        picture = Image.fromarray(np.ascontiguousarray(image))
        picture.save(file, 'JPEG', quality=quality, subsampling='4:2:0')
        file.seek(0)
        return np.asarray(Image.open(file))


def resized(image: np.ndarray, side: int, *, resampling: Image.Resampling) -> np.ndarray:
    """Picture (H, W, 3) uint8 -> (side, side, 3) uint8, antialiased.

    Each channel is resized as floats, because Pillow rounds twice if it resizes bytes.
    """
    channels = [
        np.asarray(Image.fromarray(channel).resize((side, side), resampling))
        for channel in image.transpose(2, 0, 1).astype(np.float32)
    ]
    return np.clip(np.rint(np.stack(channels, axis=-1)), 0, 255).astype(np.uint8)


def cropped(image: np.ndarray, *, area: float) -> np.ndarray:
    """Picture (H, W, 3) uint8 -> its middle with this part of the area, resized back to (H, W, 3).

    As in TensorFlow, pixels are interpolated bilinearly between the corners without antialiasing,
    and become bytes by truncating 255.5 times their value in [0, 1].
    """
    top, bottom, down = _neighbours(image.shape[0], area)
    left, right, across = _neighbours(image.shape[1], area)
    # Every step works in place, as the arrays are small and new ones take most of the time.
    pixels = image.astype(np.float32)
    pixels *= np.float32(1 / 255)
    rows = _between(pixels, left, right, across[:, None], axis=1)
    values = _between(rows, top, bottom, down[:, None, None], axis=0)
    np.clip(values, 0, 1, out=values)
    values *= np.float32(255.5)
    return values.astype(np.uint8)


def _between(
    values: np.ndarray, first: np.ndarray, second: np.ndarray, part: np.ndarray, *, axis: int
) -> np.ndarray:
    """Return a new array of first + (second - first) * part, entries of an axis by their place."""
    start, found = values.take(first, axis), values.take(second, axis)
    found -= start
    found *= part
    found += start
    return found


def _neighbours(size: int, area: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return between which two pixels each pixel of a cropped side lies, for interpolation.

    Returns the first, the second, and the distance from the first: (size,) int64, int64, float32.
    """
    part = np.sqrt(np.float32(area))
    places = (size - 1) * (1 - part) / 2 + part * np.arange(size, dtype=np.float32)
    first = np.floor(places)
    return first.astype(int), np.ceil(places).astype(int), (places - first).astype(np.float32)
