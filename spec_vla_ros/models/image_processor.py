# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Pixel values of an image, the way preprocessor_config.json says."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

_LEAST_SIDE = 16
"""Pixels of a picture, one patch of a vision tower: what is smaller shows no scene."""
_STRATEGIES = ('resize-naive', 'letterbox', 'resize-crop')
_RESAMPLING = {
    'nearest': Image.Resampling.NEAREST,
    'bilinear': Image.Resampling.BILINEAR,
    'bicubic': Image.Resampling.BICUBIC,
    'lanczos': Image.Resampling.LANCZOS,
}


@dataclass(frozen=True, slots=True)
class TowerTransform:
    """How one tower sees an image.

    size: (height, width) to resize to, or (side,) to resize the shorter side to.
    crop: (height, width) cut out of the middle.
    resampling: PIL's filter; PIL always antialiases.
    mean, std: (3, 1, 1) float32.
    """

    size: tuple[int, ...]
    crop: tuple[int, int]
    resampling: Image.Resampling
    mean: np.ndarray
    std: np.ndarray

    @property
    def description(self) -> str:
        """What becomes of an image, in words."""
        size = ' x '.join(map(str, self.size)) + ('' if len(self.size) > 1 else ' (shorter side)')
        mean, std = (' '.join(f'{v:.4g}' for v in x.flat) for x in (self.mean, self.std))
        return (
            f'resized to {size} {self.resampling.name.lower()}, middle {self.crop[0]} x '
            f'{self.crop[1]}, mean {mean}, std {std}'
        )

    def resize(self, image: Image.Image) -> np.ndarray:
        """Return the resized and cropped image, (H, W, 3) uint8."""
        width, height = image.size
        if len(self.size) == 1:
            short = min(width, height)
            height, width = (int(self.size[0] * side / short) for side in (height, width))
        else:
            height, width = self.size
        if height < self.crop[0] or width < self.crop[1]:
            raise ValueError(f'cannot crop {self.crop} out of an image resized to {height, width}')
        top = round((height - self.crop[0]) / 2)
        left = round((width - self.crop[1]) / 2)
        resized = np.asarray(image.resize((width, height), self.resampling))
        return resized[top : top + self.crop[0], left : left + self.crop[1]]

    def levels(self) -> np.ndarray:
        """Return what each byte of each channel is normalised to, (3, 256) float32."""
        scaled = np.arange(256, dtype=np.float32) / np.float32(255)
        return (scaled - self.mean[..., 0]) / self.std[..., 0]


def tower_transform(config: Mapping[str, Any], index: int, strategy: str) -> TowerTransform:
    """Read one tower's part of preprocessor_config.json.

    Args:
        config: the file.
        index: which tower.
        strategy: `image_resize_strategy`.

    Raises:
        KeyError, IndexError, TypeError: it is incomplete or malformed.
        ValueError: its mean or std cannot be.
    """
    _, height, width = config['input_sizes'][index]
    resize = _entry(config, 'tvf_resize_params', index)
    normalise = _entry(config, 'tvf_normalize_params', index)
    default_size = (height, width) if strategy == 'resize-naive' else height
    crop = _sizes(_entry(config, 'tvf_crop_params', index).get('output_size', (height, width)))
    mean = _channels(normalise['mean'] if normalise else config['means'][index])
    std = _channels(normalise['std'] if normalise else config['stds'][index])
    if not ((mean >= 0).all() and (mean <= 1).all() and (std > 0).all() and (std <= 1).all()):
        raise ValueError(
            f'tower {index + 1} in preprocessor_config.json has mean {mean.ravel()} and std '
            f'{std.ravel()}: they are of pixels from 0 to 1, and none that a model is shown'
        )
    filter_code = resize.get('interpolation')
    return TowerTransform(
        size=_sizes(resize.get('size', default_size)),
        crop=(crop[0], crop[-1]),
        resampling=(
            _RESAMPLING[config['interpolations'][index]]
            if filter_code is None
            else Image.Resampling(filter_code)
        ),
        mean=mean,
        std=std,
    )


def _entry(config: Mapping[str, Any], name: str, index: int) -> Mapping[str, Any]:
    entries = config.get(name)
    return entries[index] if entries else {}


def _sizes(value: int | list[int] | tuple[int, ...]) -> tuple[int, ...]:
    return (value,) if isinstance(value, int) else tuple(value)


def _channels(values: list[float]) -> np.ndarray:
    return np.asarray(values, np.float32).reshape(3, 1, 1)


class ImageProcessor:
    """Images to pixel values, the way preprocessor_config.json says.

    The computed parameters in the file (`tvf_*`) win over `means`, `stds` and `input_sizes`, as in
    OpenVLA's own processor: they are rounded to bfloat16 in the published checkpoints.

    Raises:
        ValueError: the file asks for a way of resizing that is not known.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        strategy = config.get('image_resize_strategy', 'letterbox')
        if strategy not in _STRATEGIES:
            raise ValueError(
                f'image_resize_strategy {strategy!r} in preprocessor_config.json is not one of '
                f'{", ".join(_STRATEGIES)}'
            )
        self._towers = [
            tower_transform(config, i, strategy) for i in range(len(config['input_sizes']))
        ]
        self._levels = [tower.levels() for tower in self._towers]
        if len(crops := {tower.crop for tower in self._towers}) != 1:
            raise ValueError(f'the vision towers see pictures of different sizes: {crops}')
        self._letterbox = config.get('tvf_do_letterbox', strategy == 'letterbox')
        self._fill = tuple(config.get('tvf_letterbox_fill') or _letterbox_fill(config))

    @classmethod
    def from_dict(cls, config: Mapping[str, Any]) -> ImageProcessor:
        """Read preprocessor_config.json.

        Raises:
            ValueError: a field is missing or not supported.
        """
        try:
            return cls(config)
        except (KeyError, IndexError, TypeError) as error:
            raise ValueError(
                f'preprocessor_config.json is incomplete or malformed ({error!r}): it needs '
                'input_sizes, and tvf_* parameters or means, stds and interpolations, per tower'
            ) from error

    def __eq__(self, other: object) -> bool:
        """Whether both prepare images in the same way, to the digits of `description`."""
        return isinstance(other, ImageProcessor) and self.description == other.description

    __hash__ = None  # type: ignore[assignment]

    @property
    def description(self) -> tuple[str, ...]:
        """How each tower sees an image, in words."""
        pad = f'padded to a square with {self._fill}, ' if self._letterbox else ''
        return tuple(f'{pad}{tower.description}' for tower in self._towers)

    def __call__(self, image: np.ndarray | Image.Image) -> Tensor:
        """Image (H, W, 3) uint8 RGB -> pixel values (1, 3 per tower, S, S) float32.

        Raises:
            ValueError: the image has another shape or type.
        """
        picture = Image.fromarray(as_picture(image))
        if self._letterbox:
            picture = _pad_to_square(picture, self._fill)
        resized: dict[Hashable, np.ndarray] = {}  # towers of the same size share it
        values = np.empty((len(self._towers), 3, *self._towers[0].crop), np.float32)
        for tower, levels, planes in zip(self._towers, self._levels, values, strict=True):
            size = (tower.size, tower.resampling)
            if size not in resized:
                resized[size] = tower.resize(picture)
            channels = resized[size].transpose(2, 0, 1)
            for channel, level, plane in zip(channels, levels, planes, strict=True):
                np.take(level, channel, out=plane, mode='clip')
        return torch.from_numpy(values.reshape(1, -1, *values.shape[2:]))


def as_picture(image: np.ndarray | Image.Image) -> np.ndarray:
    """Return an image as an array, one of Pillow turned as its EXIF says, as all readers do.

    Raises:
        ValueError: it is not (H, W, 3) uint8, or too small to show a scene.
    """
    if isinstance(image, Image.Image):
        if image.mode != 'RGB':  # three channels of other colours would pass for these
            raise ValueError(
                f"the image must be RGB, and Pillow has it as {image.mode}: image.convert('RGB')"
            )
        image = ImageOps.exif_transpose(image)
    image = np.asarray(image)
    if image.dtype.hasobject or image.dtype.kind in 'US':
        raise ValueError(
            f'the image must be an array (H, W, 3) uint8 RGB, not {image!r:.60}; None is what '
            'cv2.imread gives of a file that it cannot read'
        )
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
        raise ValueError(
            f'the image must be (H, W, 3) uint8 RGB, not {image.shape} {image.dtype}{_way(image)}'
        )
    if min(image.shape[:2]) < _LEAST_SIDE:
        raise ValueError(
            f'the image has {image.shape[1]} x {image.shape[0]} pixels, and shows no scene: each '
            f'side must have {_LEAST_SIDE} at least'
        )
    return image


def _way(image: np.ndarray) -> str:
    """Return how an array becomes an image, as the end of an error; empty: nobody knows."""
    shape = image.shape
    if len(shape) == 4:
        return ': give one at a time, image[0]'
    if len(shape) == 3 and shape[0] == 3 and shape[2] != 3:
        return ': put the colours last, image.transpose(1, 2, 0)'
    if len(shape) == 2 or (len(shape) == 3 and shape[2] in (1, 4)):
        return ": convert it, as Pillow's image.convert('RGB') does"
    if image.dtype.kind == 'f' and image.size:
        return (
            ': convert levels from 0 to 1 with (image * 255).round().astype(np.uint8), and those '
            'from 0 to 255 with image.astype(np.uint8)'
        )
    if image.dtype in (np.int32, np.int64) and image.size:  # what Python's own numbers become
        return ': give image.astype(np.uint8)'
    return ''


def _letterbox_fill(config: Mapping[str, Any]) -> list[int]:
    return [int(x * 255) for x in config.get('means', [[0.5, 0.5, 0.5]])[0]]


def _pad_to_square(image: Image.Image, fill: tuple[int, ...]) -> Image.Image:
    width, height = image.size
    side = max(width, height)
    left, top = (side - width) // 2, (side - height) // 2
    padded = Image.new('RGB', (width + 2 * left, height + 2 * top), fill)
    padded.paste(image, (left, top))
    return padded
