# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Loads OpenVLA checkpoints strictly, tests that they react to images, and saves weights."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from spec_vla_ros.models.checkpoint_files import (
    blaming,
    read_config,
    read_image_processor,
    read_prompt_processor,
    read_tensors,
)
from spec_vla_ros.models.files.checkpoint_kind import left_aside
from spec_vla_ros.models.files.folders import CheckpointError, folder_path
from spec_vla_ros.models.files.load_progress import LoggedProgress
from spec_vla_ros.models.files.safetensors_files import (
    Progress,
    load_tensors,
    refuse_zeros,
    save_tensors,
)
from spec_vla_ros.models.image_processor import ImageProcessor
from spec_vla_ros.models.openvla import DTYPES, OpenVLA, OpenVLAConfig, checkpoint_key
from spec_vla_ros.models.prompts import PromptProcessor
from spec_vla_ros.types import PRECISIONS, check_choice

_LOG = logging.getLogger(__name__)

_DEVICES = "use 'auto', 'cpu' or 'cuda'"
_SLOW_BFLOAT16 = {
    'cpu': (
        "this CPU has no instructions for bfloat16: with dtype 'float32' (or 'auto') a policy "
        'takes half the time, and twice the memory'
    ),
    'cuda': (
        'this GPU has no instructions for bfloat16 (those of compute capability 8 have): with '
        "dtype 'float16' a policy is faster, and takes no more memory"
    ),
}
"""Type of a device -> what to do where it computes bfloat16 by other means."""
_AMPERE = (8, 0)  # the first compute capability with instructions for bfloat16


@dataclass(frozen=True, slots=True)
class OpenVLACheckpoint:
    """A loaded checkpoint.

    model: the model, in evaluation mode, without gradients.
    image_processor: turns images into pixel values.
    prompt_processor: turns instructions into token ids.
    folder: the folder that it was loaded from.
    """

    model: OpenVLA
    image_processor: ImageProcessor
    prompt_processor: PromptProcessor
    folder: Path

    @property
    def config(self) -> OpenVLAConfig:
        """The content of config.json, with the norm stats of dataset_statistics.json merged in."""
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
        folder: holds config.json, preprocessor_config.json (or processor_config.json, as
            transformers 5 writes it), one or several safetensors files, and tokenizer.json or
            tokenizer.model for instructions in words. Nothing is downloaded, and no code in the
            folder is run.
        device: a torch device; 'auto' takes CUDA if it works.
        dtype: 'float32', 'float16' or 'bfloat16'; 'auto' takes the checkpoint's own on CUDA, and
            float32 on the CPU, where it is faster.
        progress: called with (bytes loaded, bytes in all) while the weights are read; None to
            write the progress to the log.

    Raises:
        CheckpointError: the folder cannot be used; the message names the file and the reason.
        ValueError: unknown device or dtype.
    """
    folder = folder_path(folder)
    config = read_config(folder)
    chosen_device = resolve_device(device)
    chosen_dtype = resolve_dtype(dtype, stored=config.dtype, device=chosen_device)
    warn_of_slow_bfloat16(chosen_dtype, chosen_device)
    image_processor = read_image_processor(folder, config)
    tensors = read_tensors(folder)
    for note in [*image_processor.doubts(config.timm_model_ids), *left_aside(folder)]:
        _LOG.warning('%s: %s', folder, note)
    with blaming(f'{folder}'):
        prompt_processor = read_prompt_processor(folder, config)
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
    check_vision(model, image_processor)
    refuse_zeros(folder, ((checkpoint_key(name), p) for name, p in model.named_parameters()))
    return OpenVLACheckpoint(model, image_processor, prompt_processor, folder)


def save_weights(model: OpenVLA, file: str | Path, *, dtype: torch.dtype) -> None:
    """Write the weights as one safetensors file with the published checkpoints' keys."""
    tensors = {
        checkpoint_key(name): value.detach().to('cpu', dtype).contiguous()
        for name, value in model.named_parameters()
    }
    save_tensors(tensors, Path(file))


@torch.inference_mode()
def check_vision(model: OpenVLA, image_processor: ImageProcessor) -> None:
    """Make sure that each tower's output depends on the image: black and white must differ.

    A checkpoint with a broken vision tower gives plausible actions that ignore the camera, and
    nothing else would show it.

    Raises:
        CheckpointError: the projected features are equal or not finite.
    """
    side = 64
    black = image_processor(np.zeros((side, side, 3), np.uint8))
    white = image_processor(np.full((side, side, 3), 255, np.uint8))
    names = ('featurizer', 'fused_featurizer')[: len(model.vision_backbone.towers)]
    shown = black.repeat(len(names) + 1, 1, 1, 1)  # black, then white for one tower after another
    for i in range(len(names)):
        shown[i + 1, 3 * i : 3 * i + 3] = white[0, 3 * i : 3 * i + 3]
    dark, *bright = model.image_embeds(shown).float()
    for name, seen in zip(names, bright, strict=True):
        difference = (dark - seen).abs().max().item()
        if not difference > 1e-4 * dark.abs().max().item():  # NaN fails too
            raise CheckpointError(
                f'vision self-test failed: a black and a white image before the tower {name} give '
                f'the same projected features (largest difference {difference}); its weights or '
                "the projector's are damaged"
            )


def _cuda_computes() -> bool:
    """Whether there is a CUDA device on which this build of torch can compute.

    Builds of torch have no kernels for older cards, but still report them as available.
    """
    if not torch.cuda.is_available():
        return False
    try:
        torch.ones(1, device='cuda').add(1).item()
    except RuntimeError as error:
        _LOG.warning('the CUDA device is not used: %s', str(error).splitlines()[0])
        return False
    return True


def resolve_device(device: str) -> torch.device:
    """'auto' or the name of a torch device -> device.

    Raises:
        ValueError: there is no such device, or it is neither a CPU nor a CUDA device.
    """
    if device == 'auto':
        return torch.device('cuda' if _cuda_computes() else 'cpu')
    try:
        chosen = torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise ValueError(f'unknown device {device!r}: {_DEVICES}') from error
    if chosen.type not in ('cpu', 'cuda') or (chosen.type == 'cpu' and chosen.index):
        raise ValueError(f'device {device!r} is none that is computed on here: {_DEVICES}')
    if chosen.type == 'cuda' and not torch.cuda.is_available():
        raise ValueError(f"device {device!r}: torch finds no CUDA device; use 'cpu' or 'auto'")
    if chosen.type == 'cuda' and (chosen.index or 0) >= torch.cuda.device_count():
        raise ValueError(
            f'device {device!r}: torch finds {torch.cuda.device_count()} CUDA devices, counted '
            'from cuda:0'
        )
    return chosen


def resolve_dtype(dtype: str, *, stored: torch.dtype, device: torch.device) -> torch.dtype:
    """'auto' or the name of a dtype -> dtype; stored: the checkpoint's own, see `load_openvla`.

    Raises:
        ValueError: unknown name.
    """
    check_choice('dtype', dtype, ('auto', *PRECISIONS))
    if dtype == 'auto':
        return torch.float32 if device.type == 'cpu' else stored
    return DTYPES[dtype]


def warn_of_slow_bfloat16(dtype: torch.dtype, device: torch.device) -> None:
    """Warn of bfloat16 on a device that computes it by other means, and name what is faster."""
    if dtype is torch.bfloat16 and not multiplies_bfloat16(device):
        _LOG.warning(_SLOW_BFLOAT16[device.type])


def multiplies_bfloat16(device: torch.device) -> bool:
    """Return whether a device has instructions for bfloat16; without them, others are faster.

    True also if torch is too old to tell.
    """
    if device.type == 'cuda' and torch.version.hip is None:
        return torch.cuda.get_device_capability(device) >= _AMPERE
    capabilities = getattr(torch.cpu, 'get_capabilities', None)
    if device.type != 'cpu' or capabilities is None:
        return True
    return any(capabilities().get(name) for name in ('avx512_bf16', 'amx_bf16', 'bf16'))
