# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""OpenVLA checkpoint folders: loaded strictly, checked to see, saved again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file

from spec_vla_ros.models.config_checks import check_llama, check_sizes
from spec_vla_ros.models.load_progress import LoggedProgress
from spec_vla_ros.models.openvla import DTYPES, OpenVLA, OpenVLAConfig, checkpoint_key
from spec_vla_ros.models.processing import ImageProcessor, PromptProcessor
from spec_vla_ros.models.safetensors_files import (
    CheckpointError,
    Progress,
    find_tensors,
    load_tensors,
    read_json,
)
from spec_vla_ros.types import PRECISIONS, check_choice

_LARGEST_IMAGE = 4096


@dataclass(frozen=True, slots=True)
class OpenVLACheckpoint:
    """A loaded checkpoint.

    model: the weights, in evaluation mode, without gradients.
    image_processor: images to pixel values.
    prompt_processor: instructions to token ids.
    folder: where it came from.
    """

    model: OpenVLA
    image_processor: ImageProcessor
    prompt_processor: PromptProcessor
    folder: Path

    @property
    def config(self) -> OpenVLAConfig:
        """What config.json says, with the norm stats of dataset_statistics.json merged in."""
        return self.model.config


def load_openvla(
    folder: str | Path,
    *,
    device: str = 'auto',
    dtype: str = 'auto',
    progress: Progress | None = None,
) -> OpenVLACheckpoint:
    """Load an OpenVLA checkpoint in Hugging Face's layout.

    Args:
        folder: config.json, preprocessor_config.json, one or several safetensors files, and
            tokenizer.json for text instructions. Nothing is downloaded, no code in it is run.
        device: a torch device; 'auto' takes CUDA where there is one.
        dtype: 'float32', 'float16', 'bfloat16'; 'auto' takes the checkpoint's own on CUDA and
            float32, which is faster there, on the CPU.
        progress: called with (bytes loaded, bytes in all) while the weights are read; None
            writes it to the log.

    Raises:
        CheckpointError: the folder cannot be used; the message names the culprit.
        ValueError: unknown device or dtype.
    """
    folder = Path(folder)
    config = read_config(folder)
    chosen_device = resolve_device(device)
    chosen_dtype = resolve_dtype(dtype, stored=config.dtype, device=chosen_device)
    preprocessor = read_json(folder / 'preprocessor_config.json')
    tensors = find_tensors(folder)
    with _blaming(f'{folder}'):
        image_processor = ImageProcessor.from_dict(preprocessor)
        prompt_processor = _prompt_processor(folder, config)
        with torch.device('meta'):
            model = OpenVLA(config)
    load_tensors(
        model,
        tensors,
        key_of=checkpoint_key,
        device=chosen_device,
        dtype=chosen_dtype,
        progress=progress or LoggedProgress(folder),
    )
    model.eval()
    with _blaming(f'{folder}: preprocessor_config.json does not fit the vision towers'):
        check_vision(model, image_processor)
    return OpenVLACheckpoint(model, image_processor, prompt_processor, folder)


def read_config(folder: str | Path) -> OpenVLAConfig:
    """Read config.json, and merge dataset_statistics.json (fine-tunes have it) into the stats.

    Raises:
        CheckpointError: the folder is no OpenVLA checkpoint.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise CheckpointError(
            f'{folder} is not a folder: give the path of a downloaded checkpoint'
        )
    raw = read_json(folder / 'config.json')
    with _blaming(f'{folder} is not an OpenVLA checkpoint'):
        config = OpenVLAConfig.from_dict(raw)
        _check_sizes(config)
    statistics = folder / 'dataset_statistics.json'
    extra: Mapping[str, Any] = read_json(statistics) if statistics.exists() else {}
    with _blaming(f'{folder} has malformed norm stats'):
        config = replace(config, norm_stats={**config.norm_stats, **extra})
        for key in config.norm_stats:
            _check_norm_stats(config, key)
    return config


def save_weights(model: OpenVLA, file: str | Path, *, dtype: torch.dtype) -> None:
    """Write the weights as one safetensors file with the published checkpoints' keys."""
    tensors = {
        checkpoint_key(name): value.detach().to('cpu', dtype).contiguous()
        for name, value in model.named_parameters()
    }
    save_file(tensors, str(file), metadata={'format': 'pt'})


@torch.inference_mode()
def check_vision(model: OpenVLA, image_processor: ImageProcessor) -> None:
    """Make sure that the model sees: a black and a white image must not look the same.

    A checkpoint whose vision tower is bypassed gives plausible actions that ignore the camera,
    and nothing else shows it.

    Raises:
        CheckpointError: the projected features are equal or not finite.
    """
    side = 64
    black = image_processor(np.zeros((side, side, 3), np.uint8))
    white = image_processor(np.full((side, side, 3), 255, np.uint8))
    dark, bright = model.image_embeds(torch.cat((black, white))).float()
    difference = (dark - bright).abs().max().item()
    if not difference > 1e-4 * dark.abs().max().item():  # NaN fails too
        raise CheckpointError(
            'vision self-test failed: a black and a white image give the same projected features '
            f'(largest difference {difference}); the weights of the vision towers or of the '
            'projector are damaged'
        )


def resolve_device(device: str) -> torch.device:
    """'auto' or a torch device name -> device.

    Raises:
        ValueError: there is no such device.
    """
    if device == 'auto':
        return torch.device('cuda' if torch.cuda.is_available() else 'cpu')
    try:
        chosen = torch.device(device)
    except RuntimeError as error:
        raise ValueError(f"unknown device {device!r}: use 'auto', 'cpu' or 'cuda'") from error
    if chosen.type == 'cuda' and not torch.cuda.is_available():
        raise ValueError(f"device {device!r}: torch finds no CUDA device; use 'cpu' or 'auto'")
    return chosen


def resolve_dtype(dtype: str, *, stored: torch.dtype, device: torch.device) -> torch.dtype:
    """'auto' or a dtype name -> dtype.

    Raises:
        ValueError: unknown name.
    """
    check_choice('dtype', dtype, ('auto', *PRECISIONS))
    if dtype == 'auto':
        return torch.float32 if device.type == 'cpu' else stored
    return DTYPES[dtype]


@contextmanager
def _blaming(culprit: str) -> Iterator[None]:
    """Turn whatever a malformed file leads to into a CheckpointError that names the culprit."""
    try:
        yield
    except CheckpointError:
        raise
    except ValueError as error:
        raise CheckpointError(f'{culprit}: {error}') from error
    except Exception as error:  # a value of a wrong type fails wherever it is used first
        kind = type(error).__name__
        raise CheckpointError(f'{culprit}: a value is malformed ({kind}: {error})') from error


def _check_sizes(config: OpenVLAConfig) -> None:
    """Refuse numbers that no model has, which would take all memory before anything fits."""
    largest = config.text.vocab_size
    check_llama(config.text)
    check_sizes(
        [
            ('n_action_bins', config.num_bins, largest),
            ('vocab_size without padding', config.vocab_size, largest),
            *((f'image_sizes[{i}]', n, _LARGEST_IMAGE) for i, n in enumerate(config.image_sizes)),
        ]
    )
    if config.num_bins > config.vocab_size:
        raise ValueError(f'{config.num_bins} action bins in {config.vocab_size} token ids')


def _check_norm_stats(config: OpenVLAConfig, key: str) -> None:
    try:
        stats = config.codec(key).stats
    except ValueError:
        return  # incomplete: told when it is chosen, the other data sets can be used
    if not (np.isfinite(stats.q01).all() and np.isfinite(stats.q99).all()):
        raise ValueError(f'{key!r} has bounds that are not finite')


def _prompt_processor(folder: Path, config: OpenVLAConfig) -> PromptProcessor:
    generation = folder / 'generation_config.json'
    bos = read_json(generation).get('bos_token_id', 1) if generation.exists() else 1
    if type(bos) is not int or not 0 <= bos < config.text.vocab_size:
        raise ValueError(f'bos_token_id in {generation.name} is {bos!r}, which is no token id')
    return PromptProcessor.from_file(
        folder / 'tokenizer.json', vocab_size=config.vocab_size, bos_token_id=bos
    )
