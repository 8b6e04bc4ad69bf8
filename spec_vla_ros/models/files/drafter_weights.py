# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Reads a drafter's weights, from safetensors files as a target's, or from a pickled file."""

from __future__ import annotations

import zipfile
from pathlib import Path

import torch
from torch import Tensor

from spec_vla_ros.models.files.checkpoint_kind import refuse_other_tensors
from spec_vla_ros.models.files.folders import CheckpointError, is_there, mend, shorten
from spec_vla_ros.models.files.safetensors_files import (
    find_tensors,
    read_all,
    refuse_quantised_numbers,
    without_computed,
)
from spec_vla_ros.models.files.weight_files import safetensors

_KINDS = {
    torch.float64: 'F64',
    torch.float32: 'F32',
    torch.float16: 'F16',
    torch.bfloat16: 'BF16',
}


PICKLED = 'pytorch_model.bin'
"""The file of a published drafter."""


def drafter_weight_files(folder: Path) -> list[Path]:
    """Return the files that hold a drafter's weights: safetensors, or else the pickled one."""
    pickled = folder / PICKLED
    return safetensors(folder, '*') or [pickled] * is_there(pickled)


def drafter_shapes(folder: Path) -> dict[str, tuple[int, ...]]:
    """Return key -> shape of the weights in a folder, without reading the weights themselves.

    Raises:
        CheckpointError: as `read_drafter_weights`.
    """
    pickled = _pickled_in(folder)
    if pickled is not None:
        # Only what torch saves today can be mapped; it is a zip archive.
        weights = _unpickled(pickled, mapped=zipfile.is_zipfile(pickled))
        shapes = {key: tuple(weight.shape) for key, weight in weights.items()}
    else:
        shapes = {key: stored.shape for key, stored in find_tensors(folder).items()}
    refuse_other_tensors(folder, shapes)
    return shapes


def read_drafter_weights(folder: Path) -> dict[str, tuple[Tensor, Path]]:
    """Return key -> (weight, its file) for a folder.

    Safetensors files are preferred; a pickled file is read only if there are none.

    Raises:
        CheckpointError: there are no weights, they cannot be read, or they are not a drafter's;
            the message says which.
    """
    pickled = _pickled_in(folder)
    if pickled is not None:
        weights = {k: (weight, pickled) for k, weight in _unpickled(pickled).items()}
    else:
        found = find_tensors(folder)
        weights = {k: (weight, found[k].file) for k, weight in read_all(found).items()}
    refuse_other_tensors(folder, weights)
    return weights


def _pickled_in(folder: Path) -> Path | None:
    """Return the pickled file if it is what is to be read; None if safetensors files are.

    Raises:
        CheckpointError: there are neither.
    """
    files = drafter_weight_files(folder)
    if not files:
        names = shorten(path.name for path in folder.iterdir())
        raise CheckpointError(
            f'{folder} has neither model.safetensors nor {PICKLED}: it has {names}'
        )
    return files[0] if files[0].name == PICKLED else None


def _unpickled(file: Path, *, mapped: bool = False) -> dict[str, Tensor]:
    try:
        # With weights_only, nothing in the file can run code.
        read = dict(torch.load(file, map_location='cpu', weights_only=True, mmap=mapped))
        for key, weight in read.items():
            if not isinstance(weight, Tensor):
                raise CheckpointError(
                    f'{file} holds {key!r}, which is no weight, as what a trainer saves to go on: '
                    "save the model's state_dict() alone"
                )
            refuse_quantised_numbers(key, file, _KINDS.get(weight.dtype, f'{weight.dtype}'))
        return without_computed(read)
    except CheckpointError:
        raise
    except Exception as error:  # which one depends on torch's release
        raise CheckpointError(
            f'{file} cannot be read as weights ({error}): {mend(file)}'
        ) from error
