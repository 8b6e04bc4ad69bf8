# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""What the model is given: pixel values of an image, token ids of an instruction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from tokenizers import Tokenizer
from torch import Tensor

PROMPT = 'In: What action should the robot take to {instruction}?\nOut:'
_EMPTY_PIECE = '\u2581'  # SentencePiece's space on its own: OpenVLA was trained with it at the end
_LLAMA_VOCABULARY, _LLAMA_EMPTY_ID = 32000, 29871
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

    def normalise(self, resized: np.ndarray) -> np.ndarray:
        """(H, W, 3) uint8 -> (3, H, W) float32."""
        scaled = resized.transpose(2, 0, 1).astype(np.float32) / np.float32(255)
        return (scaled - self.mean) / self.std


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
        self._letterbox = config.get('tvf_do_letterbox', strategy == 'letterbox')
        self._fill = tuple(config.get('tvf_letterbox_fill') or _letterbox_fill(config))
        self._towers = [
            _tower_transform(config, i, strategy) for i in range(len(config['input_sizes']))
        ]

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

    def __call__(self, image: np.ndarray) -> Tensor:
        """Image (H, W, 3) uint8 RGB -> pixel values (1, 3 per tower, S, S) float32.

        Raises:
            ValueError: the image has another shape or type.
        """
        image = np.asarray(image)
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
            raise ValueError(
                f'the image must be (H, W, 3) uint8 RGB, not {image.shape} {image.dtype}'
            )
        picture = Image.fromarray(image)
        if self._letterbox:
            picture = _pad_to_square(picture, self._fill)
        # Towers of the same size share the resizing.
        resized: dict[tuple[tuple[int, ...], tuple[int, int], int], np.ndarray] = {}
        planes = []
        for tower in self._towers:
            key = (tower.size, tower.crop, tower.resampling)
            if key not in resized:
                resized[key] = tower.resize(picture)
            planes.append(tower.normalise(resized[key]))
        return torch.from_numpy(np.concatenate(planes))[None]


def _letterbox_fill(config: Mapping[str, Any]) -> list[int]:
    return [int(x * 255) for x in config.get('means', [[0.5, 0.5, 0.5]])[0]]


def _pad_to_square(image: Image.Image, fill: tuple[int, ...]) -> Image.Image:
    width, height = image.size
    side = max(width, height)
    left, top = (side - width) // 2, (side - height) // 2
    padded = Image.new('RGB', (width + 2 * left, height + 2 * top), fill)
    padded.paste(image, (left, top))
    return padded


def _tower_transform(config: Mapping[str, Any], index: int, strategy: str) -> TowerTransform:
    _, height, width = config['input_sizes'][index]
    resize = _entry(config, 'tvf_resize_params', index)
    normalise = _entry(config, 'tvf_normalize_params', index)
    default_size = (height, width) if strategy == 'resize-naive' else height
    crop = _sizes(_entry(config, 'tvf_crop_params', index).get('output_size', (height, width)))
    filter_code = resize.get('interpolation')
    return TowerTransform(
        size=_sizes(resize.get('size', default_size)),
        crop=(crop[0], crop[-1]),
        resampling=(
            _RESAMPLING[config['interpolations'][index]]
            if filter_code is None
            else Image.Resampling(filter_code)
        ),
        mean=_channels(normalise['mean'] if normalise else config['means'][index]),
        std=_channels(normalise['std'] if normalise else config['stds'][index]),
    )


def _entry(config: Mapping[str, Any], name: str, index: int) -> Mapping[str, Any]:
    entries = config.get(name)
    return entries[index] if entries else {}


def _sizes(value: int | list[int] | tuple[int, ...]) -> tuple[int, ...]:
    return (value,) if isinstance(value, int) else tuple(value)


def _channels(values: list[float]) -> np.ndarray:
    return np.asarray(values, np.float32).reshape(3, 1, 1)


class PromptProcessor:
    """Instructions, or token ids that somebody else made, to the ids of a complete prompt.

    tokenizer: the checkpoint's; None where there is none, which leaves prompts given as ids.
    vocab_size: the text vocabulary without its padding.
    bos_token_id: what every prompt starts with; added where the tokenizer does not.
    """

    def __init__(
        self, tokenizer: Tokenizer | None, *, vocab_size: int, bos_token_id: int = 1
    ) -> None:
        self._tokenizer = tokenizer
        self._bos = bos_token_id
        if tokenizer is not None:
            self._empty = tokenizer.token_to_id(_EMPTY_PIECE)
        else:
            self._empty = _LLAMA_EMPTY_ID if vocab_size == _LLAMA_VOCABULARY else None

    @classmethod
    def from_file(
        cls, path: str | Path, *, vocab_size: int, bos_token_id: int = 1
    ) -> PromptProcessor:
        """Read tokenizer.json, if it is there.

        Raises:
            ValueError: the file cannot be read as a tokenizer.
        """
        tokenizer = None
        if Path(path).exists():
            try:
                tokenizer = Tokenizer.from_file(str(path))
            except Exception as error:  # tokenizers raises plain Exception
                raise ValueError(f'{path} is not a tokenizer file: {error}') from error
        return cls(tokenizer, vocab_size=vocab_size, bos_token_id=bos_token_id)

    def __call__(self, instruction: str | Sequence[int]) -> Tensor:
        """Instruction in words, or a prompt's token ids -> ids of the whole prompt, (1, L) int64.

        Raises:
            ValueError: the instruction has words that the tokenizer does not know, or there is
                no tokenizer.
        """
        ids = self._encode(instruction) if isinstance(instruction, str) else list(instruction)
        if not ids or ids[0] != self._bos:
            ids.insert(0, self._bos)
        if self._empty is not None and ids[-1] != self._empty:
            ids.append(self._empty)
        return torch.tensor([ids], dtype=torch.int64)

    def _encode(self, instruction: str) -> list[int]:
        if self._tokenizer is None:
            raise ValueError(
                'the checkpoint has no tokenizer.json, so instructions cannot be read: add the '
                'file that belongs to its language model'
            )
        if any('\ud800' <= c <= '\udfff' for c in instruction):
            raise ValueError('the instruction holds half characters (surrogates): give whole text')
        prompt = PROMPT.format(instruction=instruction.lower())
        encoding = self._tokenizer.encode(prompt)
        unknown_token = getattr(self._tokenizer.model, 'unk_token', None)
        pairs = zip(encoding.tokens, encoding.offsets, strict=True)
        unknown = [prompt[start:end] for token, (start, end) in pairs if token == unknown_token]
        if unknown:
            raise ValueError(
                f'the policy does not know the words {", ".join(map(repr, unknown))}: use the '
                'words of the instructions it was trained on'
            )
        return list(encoding.ids)
