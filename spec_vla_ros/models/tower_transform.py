# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Prepares an image for one vision tower, by its part of preprocessor_config.json."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

_ROUNDING = 0.01  # by which means and stds in bfloat16 may differ from exact ones
_RESAMPLING = {
    'nearest': Image.Resampling.NEAREST,
    'bilinear': Image.Resampling.BILINEAR,
    'bicubic': Image.Resampling.BICUBIC,
    'lanczos': Image.Resampling.LANCZOS,
}


@dataclass(frozen=True, slots=True)
class TowerTransform:
    """How an image is prepared for one tower.

    size: (height, width) to resize to, or (side,) to resize the shorter side to.
    crop: (height, width) that is then cut out of the middle.
    resampling: Pillow's filter; Pillow always antialiases.
    mean, std: (3, 1, 1) float32, of the channels of pixels in [0, 1], for normalising.
    """

    size: tuple[int, ...]
    crop: tuple[int, int]
    resampling: Image.Resampling
    mean: np.ndarray
    std: np.ndarray

    @property
    def description(self) -> str:
        """In words, how an image is prepared."""
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
        """Return the normalised value of each byte in each channel, (3, 256) float32."""
        scaled = np.arange(256, dtype=np.float32) / np.float32(255)
        return (scaled - self.mean[..., 0]) / self.std[..., 0]


def tower_transform(config: Mapping[str, Any], index: int, strategy: str) -> TowerTransform:
    """Read one tower's part of preprocessor_config.json.

    Args:
        config: the content of the file.
        index: index of the tower.
        strategy: `image_resize_strategy`.

    Raises:
        KeyError, IndexError, TypeError: the file is incomplete or malformed.
        ValueError: a size or filter is unknown, or mean or std is impossible.
    """
    height, width = _sizes(config['input_sizes'][index][1:], f'input_sizes[{index}]', count=(2,))
    resize = _entry(config, 'tvf_resize_params', index)
    normalise = _entry(config, 'tvf_normalize_params', index)
    default_size = (height, width) if strategy == 'resize-naive' else height
    size_key, crop_key = (
        f'tvf_resize_params[{index}].size',
        f'tvf_crop_params[{index}].output_size',
    )
    size = _sizes(resize.get('size', default_size), size_key)
    cut = _entry(config, 'tvf_crop_params', index).get('output_size', (height, width))
    crop = _sizes(cut, crop_key)
    if max(crop[0] - size[0], crop[-1] - size[-1]) > 0:
        raise ValueError(
            f'preprocessor_config.json: {crop_key} {cut} is more than what is resized to, {size}'
        )
    mean = _either(config, normalise, 'mean', index)
    std = _either(config, normalise, 'std', index)
    if not ((mean >= 0).all() and (mean <= 1).all() and (std > 0).all() and (std <= 1).all()):
        raise ValueError(
            f'tower {index + 1} in preprocessor_config.json has mean {mean.ravel()} and std '
            f'{std.ravel()}: they are of pixels from 0 to 1, and none that a model is shown'
        )
    filter_code = resize.get('interpolation')
    return TowerTransform(
        size=size,
        crop=(crop[0], crop[-1]),
        resampling=(
            _resampling(config['interpolations'][index], f'interpolations[{index}]')
            if filter_code is None
            else _resampling(filter_code, f'tvf_resize_params[{index}].interpolation')
        ),
        mean=mean,
        std=std,
    )


def _either(
    config: Mapping[str, Any], normalise: Mapping[str, Any], name: str, index: int
) -> np.ndarray:
    """Return mean or std of a tower, (3, 1, 1): the rounded one, if there is one.

    Raises:
        ValueError: the exact one is there, too, and they differ by more than rounding.
    """
    if not normalise:
        return _channels(config[f'{name}s'][index])
    rounded = _channels(normalise[name])
    if config.get(f'{name}s'):
        plain = _channels(config[f'{name}s'][index])
        if not np.allclose(rounded, plain, rtol=0.0, atol=_ROUNDING):
            raise ValueError(
                f'tower {index + 1} in preprocessor_config.json has {name}s {plain.ravel()} and '
                f'in tvf_normalize_params {rounded.ravel()}: make both what it was trained with'
            )
    return rounded


def _entry(config: Mapping[str, Any], name: str, index: int) -> Mapping[str, Any]:
    entries = config.get(name)
    return entries[index] if entries else {}


def _sizes(value: Any, key: str, *, count: tuple[int, ...] = (1, 2)) -> tuple[int, ...]:
    """Return a size as (side,) or (height, width); also reads objects as transformers has them."""
    sides = value
    if isinstance(value, Mapping) and value.keys() == {'shortest_edge'}:
        sides = value['shortest_edge']
    elif isinstance(value, Mapping) and value.keys() == {'height', 'width'}:
        sides = (value['height'], value['width'])
    sides = tuple(sides) if isinstance(sides, list | tuple) else (sides,)
    if len(sides) not in count or not all(type(n) is int and n > 0 for n in sides):
        raise ValueError(
            f'preprocessor_config.json: {key} is {value!r:.60}, expected pixels: a number, '
            "[height, width], {'height': ..., 'width': ...} or {'shortest_edge': ...}"
        )
    return sides


def _resampling(value: Any, key: str) -> Image.Resampling:
    """Return a filter by Pillow's number or by its name, also in torchvision's spelling."""
    if type(value) is int and value in [*Image.Resampling]:
        return Image.Resampling(value)
    name = str(value).lower().removeprefix('interpolationmode.')
    if name not in _RESAMPLING:
        raise ValueError(
            f'preprocessor_config.json: {key} is {value!r:.60}, expected one of '
            f'{", ".join(_RESAMPLING)}'
        )
    return _RESAMPLING[name]


def _channels(values: list[float]) -> np.ndarray:
    return np.asarray(values, np.float32).reshape(3, 1, 1)
