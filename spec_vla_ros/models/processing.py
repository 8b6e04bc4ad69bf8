# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""What the model is given: pixel values of an image, token ids of an instruction."""

from __future__ import annotations

import operator
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from spec_vla_ros.models.prompts import (
    PURE,
    TOKENIZER_FILES,
    TextTokenizer,
    UnknownWordsError,
    encode,
    id_of,
    read_json_tokenizer,
)
from spec_vla_ros.models.tower_transform import tower_transform
from spec_vla_ros.types import InstructionError, instruction_fault

_EMPTY_PIECE = '\u2581'  # SentencePiece's space on its own: OpenVLA was trained with it at the end
_LLAMA_VOCABULARY, _LLAMA_EMPTY_ID = 32000, 29871
_LEAST_SIDE = 16
"""Pixels of a picture, one patch of a vision tower: what is smaller shows no scene."""
_STRATEGIES = ('resize-naive', 'letterbox', 'resize-crop')


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

    def __call__(self, image: np.ndarray) -> Tensor:
        """Image (H, W, 3) uint8 RGB -> pixel values (1, 3 per tower, S, S) float32.

        Raises:
            ValueError: the image has another shape or type.
        """
        image = np.asarray(image)
        check_picture(image)
        picture = Image.fromarray(image)
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


def check_picture(image: np.ndarray) -> None:
    """Raise ValueError unless an image is (H, W, 3) uint8, and large enough to show a scene."""
    if image.dtype.hasobject or image.dtype.kind in 'US':
        raise ValueError(
            f'the image must be an array (H, W, 3) uint8 RGB, not {image!r:.60}; None is what '
            'cv2.imread gives of a file that it cannot read'
        )
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
        raise ValueError(f'the image must be (H, W, 3) uint8 RGB, not {image.shape} {image.dtype}')
    if min(image.shape[:2]) < _LEAST_SIDE:
        raise ValueError(
            f'the image has {image.shape[1]} x {image.shape[0]} pixels, and shows no scene: each '
            f'side must have {_LEAST_SIDE} at least'
        )


def _letterbox_fill(config: Mapping[str, Any]) -> list[int]:
    return [int(x * 255) for x in config.get('means', [[0.5, 0.5, 0.5]])[0]]


def _pad_to_square(image: Image.Image, fill: tuple[int, ...]) -> Image.Image:
    width, height = image.size
    side = max(width, height)
    left, top = (side - width) // 2, (side - height) // 2
    padded = Image.new('RGB', (width + 2 * left, height + 2 * top), fill)
    padded.paste(image, (left, top))
    return padded


def _given_ids(prompt: Sequence[int]) -> list[int]:
    """Return the ids of a prompt; InstructionError where it has none."""
    if isinstance(prompt, bytes | bytearray):  # whose elements would pass for ids
        raise InstructionError(
            'the instruction is bytes, as data sets of TensorFlow have it: give its words, '
            'instruction.decode()'
        )
    try:
        return [operator.index(number) for number in prompt]
    except TypeError as error:
        raise InstructionError(
            f'the instruction is {prompt!r:.60}, which is neither words (one str) nor the ids of '
            'a prompt (whole numbers)'
        ) from error


class PromptProcessor:
    """Instructions, or token ids that somebody else made, to the ids of a complete prompt.

    tokenizer: the checkpoint's; None where there is none, which leaves prompts given as ids.
    vocab_size: the text vocabulary without its padding.
    bos_token_id: what every prompt starts with; added where the tokenizer does not.
    template: the words around an instruction, see `PROMPTS`.

    Raises:
        ValueError: the vocabulary is as large as Llama 2's and the tokenizer is not Llama's, or
            the other way round.
    """

    def __init__(
        self,
        tokenizer: TextTokenizer | None,
        *,
        vocab_size: int,
        bos_token_id: int = 1,
        template: str = PURE,
    ) -> None:
        self._tokenizer = tokenizer
        self._bos = bos_token_id
        self._template = template
        if tokenizer is not None:
            self._empty = id_of(tokenizer, _EMPTY_PIECE)
            llamas = self._empty == _LLAMA_EMPTY_ID
            if llamas and vocab_size != _LLAMA_VOCABULARY:
                raise ValueError(
                    f'config.json has {vocab_size} text tokens without padding, and the tokenizer '
                    f"is Llama 2's with {_LLAMA_VOCABULARY}: other ids would be taken for "
                    'actions. text_config.vocab_size less pad_to_multiple_of must be '
                    f'{_LLAMA_VOCABULARY}, whatever tokens were added'
                )
            if vocab_size == _LLAMA_VOCABULARY and not llamas:
                raise ValueError(
                    f"the tokenizer is another language model's: its id of the space is "
                    f'{self._empty}, and Llama 2 has {_LLAMA_EMPTY_ID}; put the tokenizer of this '
                    'checkpoint there'
                )
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
        tokenizer = read_json_tokenizer(Path(path)) if Path(path).exists() else None
        return cls(tokenizer, vocab_size=vocab_size, bos_token_id=bos_token_id)

    def __call__(self, instruction: str | Sequence[int]) -> Tensor:
        """Instruction in words, or a prompt's token ids -> ids of the whole prompt, (1, L) int64.

        Raises:
            UnknownWordsError: the instruction has words that the tokenizer does not know.
            InstructionError: it is empty, neither words nor ids, or `instruction_fault` says why
                it is refused.
            ValueError: there is no tokenizer, or half characters in the instruction.
        """
        ids = (
            self._encode(instruction) if isinstance(instruction, str) else _given_ids(instruction)
        )
        if not ids or ids[0] != self._bos:
            ids.insert(0, self._bos)
        if self._empty is not None and ids[-1] != self._empty:
            ids.append(self._empty)
        return torch.tensor([ids], dtype=torch.int64)

    def _encode(self, instruction: str) -> list[int]:
        if self._tokenizer is None:
            raise ValueError(
                f'the checkpoint has no {" or ".join(TOKENIZER_FILES)}, so instructions cannot be '
                'read: add the file that belongs to its language model'
            )
        instruction = instruction.strip()
        fault = instruction_fault(instruction)
        if fault or not instruction:
            raise InstructionError(fault or 'the instruction is empty: say what to do')
        if any('\ud800' <= c <= '\udfff' for c in instruction):
            raise ValueError('the instruction holds half characters (surrogates): give whole text')
        words = ' '.join(instruction.lower().split())  # other blanks are other tokens
        prompt = self._template.format(instruction=words)
        ids, unknown = encode(self._tokenizer, prompt)
        if unknown:
            raise UnknownWordsError(
                f'the policy does not know the words {", ".join(map(repr, unknown))}: use the '
                'words of the instructions it was trained on'
            )
        return ids
