# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Turns images into pixel values as preprocessor_config.json says."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from spec_vla_ros.models.tower_transform import tower_transform

_LEAST_SIDE = 16
"""Pixels of an image's shorter side, one patch of a vision tower; smaller images show no scene."""
_OF_OTHERS = ('size', 'crop_size', 'do_center_crop', 'image_mean', 'image_std', 'resample')
"""Keys that the image processors of transformers read, but OpenVLA's does not."""
_USUAL_MEANS = {'siglip': 0.5, 'dinov2': 0.485}  # of red, with which such towers were trained
_MUCH = 0.01  # difference of means that is no rounding; pixels are from 0 to 1
_STRATEGIES = ('resize-naive', 'letterbox', 'resize-crop')


class ImageProcessor:
    """Turns images into pixel values as preprocessor_config.json says.

    As in OpenVLA's own processor, the computed parameters in the file (`tvf_*`) overrule `means`,
    `stds` and `input_sizes`. They may differ a little: in published checkpoints they are rounded
    to bfloat16.

    Raises:
        ValueError: the file contradicts itself, or asks for something that is not supported.
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
        if 'image_resize_strategy' in config and self._letterbox != (strategy == 'letterbox'):
            raise ValueError(
                f'preprocessor_config.json says image_resize_strategy {strategy!r} and '
                f'tvf_do_letterbox {self._letterbox}: make it what the model was trained with'
            )
        self._without_effect = [key for key in _OF_OTHERS if config.get(key) is not None]
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
        """Whether both prepare images in the same way, as precisely as `description` tells."""
        return isinstance(other, ImageProcessor) and self.description == other.description

    __hash__ = None  # type: ignore[assignment]

    @property
    def description(self) -> tuple[str, ...]:
        """In words, how the image is prepared for each tower."""
        pad = f'padded to a square with {self._fill}, ' if self._letterbox else ''
        return tuple(f'{pad}{tower.description}' for tower in self._towers)

    def check_sizes(self, image_sizes: Sequence[int]) -> None:
        """Make sure that it prepares one picture for each tower, of the size that this sees.

        image_sizes: side of each tower's square picture, pixels.

        Raises:
            ValueError: it prepares more or fewer pictures, or others.
        """
        made = [tower.crop for tower in self._towers]
        seen = [(side, side) for side in image_sizes]
        if made != seen:
            made_in_words, seen_in_words = (
                ' and '.join(f'{height} x {width}' for height, width in sizes)
                for sizes in (made, seen)
            )
            raise ValueError(
                f'the image processor prepares pictures of {made_in_words} pixels, and by '
                f'config.json the vision towers see {seen_in_words}: one of the two files is of '
                'another model; copy both from the one that was fine-tuned'
            )

    def doubts(self, timm_model_ids: Sequence[str]) -> list[str]:
        """Return in words why this processor may be wrong for vision towers of these names."""
        found = []
        for i, (tower, name) in enumerate(zip(self._towers, timm_model_ids, strict=False)):
            usual = next((mean for kind, mean in _USUAL_MEANS.items() if kind in name), None)
            mean = tower.mean.flat[0]
            if usual is not None and abs(mean - usual) > _MUCH:
                found.append(
                    f'the image processor shows the tower {i + 1}, {name}, pictures of mean '
                    f'{mean:.4g}, and such towers were trained with {usual:g}: are the means of '
                    'two towers swapped?'
                )
        if self._without_effect:
            found.append(
                f'{", ".join(self._without_effect)} in preprocessor_config.json have no effect: '
                "an OpenVLA's image processor reads input_sizes, means, stds and tvf_*"
            )
        return found

    def __call__(self, image: np.ndarray | Image.Image) -> Tensor:
        """Image (H, W, 3) uint8 RGB -> pixel values (1, 3 per tower, S, S) float32.

        Raises:
            ValueError: the image has another shape or type.
        """
        picture = Image.fromarray(as_picture(image))
        if self._letterbox:
            picture = _pad_to_square(picture, self._fill)
        resized: dict[Hashable, np.ndarray] = {}  # shared by towers of the same size
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
    """Return an image as an array (H, W, 3) uint8; one of Pillow is turned as its EXIF says.

    Raises:
        ValueError: it is no (H, W, 3) uint8 array, is too small to show a scene, or has only the
            levels 0 and 1.
    """
    if isinstance(image, Image.Image):
        if image.mode != 'RGB':  # other modes with three channels would be taken for RGB
            raise ValueError(
                f"the image must be RGB, and Pillow has it as {image.mode}: image.convert('RGB')"
            )
        image = ImageOps.exif_transpose(image)
    try:
        image = np.asarray(image)
    except (TypeError, RuntimeError) as error:  # a torch tensor on a GPU, or with a gradient
        raise ValueError(
            f'the image is no array of numpy ({error}): of a tensor of torch, '
            'image.detach().cpu().numpy() makes one'
        ) from error
    if image.dtype.hasobject or image.dtype.kind in 'US':
        raise ValueError(
            f'the image must be an array (H, W, 3) uint8 RGB, not {image!r:.60}; None is what '
            'cv2.imread gives of a file that it cannot read'
        )
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
        raise ValueError(
            f'the image must be (H, W, 3) uint8 RGB, not {image.shape} {image.dtype}{_way(image)}'
        )
    if image[::8, ::8].max() <= 1 and image.max() == 1:  # no camera's picture is so dark
        raise ValueError(
            'the image has the levels 0 and 1 alone, of 255, as levels from 0 to 1 have that were '
            'made bytes: (image * 255).round().astype(np.uint8) makes bytes of them'
        )
    if min(image.shape[:2]) < _LEAST_SIDE:
        raise ValueError(
            f'the image has {image.shape[1]} x {image.shape[0]} pixels, and shows no scene: each '
            f'side must have {_LEAST_SIDE} at least'
        )
    return image


def _way(image: np.ndarray) -> str:
    """Return how to make an image of an array, to end an error message; empty if unknown."""
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
    if image.dtype in (np.int32, np.int64) and image.size:  # numpy's types for Python's integers
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
