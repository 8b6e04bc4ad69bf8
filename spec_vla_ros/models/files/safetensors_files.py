# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Reads safetensors files into a model, strictly and without holding the weights twice.

The model is built on the meta device (shapes only), and each tensor goes from its file to its
place. Pickles are never loaded.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from spec_vla_ros.files import written_whole
from spec_vla_ros.models.files.folders import CheckpointError, check_readable, mend, shorten
from spec_vla_ros.models.files.weight_files import INDEX, read_index, weight_files

Progress = Callable[[int, int], None]
"""Called with the bytes loaded so far and the bytes in all."""

Value = TypeVar('Value')

_COMPUTED = '.rotary_emb.inv_freq'
_BYTES = {'F64': 8, 'F32': 4, 'F16': 2, 'BF16': 2}

_OF_TOKENS = ('embed_tokens.weight', 'lm_head.weight')
_NORM = re.compile(r'norm[^.]*\.weight$')

_TOO_LARGE = '; or they are too large for float16: choose another dtype'
# Mapped pages count as memory of this process, so a file is reopened after so many bytes.
_MAPPED_BYTES = 32 * 2**20


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """A tensor in a file: its key there, its shape, and its size in bytes."""

    key: str
    file: Path
    shape: tuple[int, ...]
    nbytes: int


def save_tensors(tensors: Mapping[str, Tensor], file: Path) -> None:
    """Write tensors into one file, with the permissions that this user's files usually have.

    A file that safetensors itself writes can only be read by its owner, but a robot's node often
    runs as another user. An existing file stays until the new one is complete.
    """
    with written_whole(file) as partial:
        partial.write_bytes(save(dict(tensors), metadata={'format': 'pt'}))


def find_tensors(folder: Path) -> dict[str, StoredTensor]:
    """List the tensors in a folder's safetensors files, by key; only headers are read.

    Raises:
        CheckpointError: a file is missing or truncated, holds quantised numbers, or has a tensor
            that another file has, too.
    """
    tensors: dict[str, StoredTensor] = {}
    weight_map = read_index(folder)
    for file in weight_files(folder, weight_map):
        for tensor in _read_header(file):
            if tensor.key in tensors:
                raise CheckpointError(
                    f'{tensor.key} is both in {tensors[tensor.key].file.name} and in {file.name}: '
                    'remove the files that do not belong to the checkpoint'
                )
            tensors[tensor.key] = tensor
    absent = [k for k, name in weight_map.items() if k not in tensors]
    if absent:
        raise CheckpointError(
            f'{INDEX} promises tensors that are in no file: {shorten(absent)}; download the '
            'checkpoint again'
        )
    return without_computed(tensors)


def read_all(tensors: Mapping[str, StoredTensor]) -> dict[str, Tensor]:
    """Read the tensors that `find_tensors` has found into memory, on the CPU."""
    cpu = torch.device('cpu')
    return {k: v for batch in _batches(tensors.values()) for k, v in _read(batch, cpu)}


def without_computed(tensors: Mapping[str, Value]) -> dict[str, Value]:
    """Leave out rotary frequencies, which old releases of transformers saved and we compute."""
    return {key: value for key, value in tensors.items() if not key.endswith(_COMPUTED)}


def load_tensors(
    model: nn.Module,
    tensors: Mapping[str, StoredTensor],
    *,
    key_of: Callable[[str], str],
    device: torch.device,
    dtype: torch.dtype,
    progress: Progress | None = None,
) -> None:
    """Load weights into a model that was built on the meta device.

    Args:
        model: its parameters are replaced.
        tensors: the tensors in the files, see `find_tensors`.
        key_of: returns the key in the files for a parameter's name in the model.
        device: the device to load to.
        dtype: the dtype to convert to.
        progress: called after each tensor.

    Raises:
        CheckpointError: weights are missing, unexpected or mis-shaped, or hold NaN or infinity;
            the message names them.
    """
    names = {key_of(name): name for name, _ in model.named_parameters()}
    check_tensors(model, tensors, key_of=key_of)
    total = sum(t.nbytes for t in tensors.values())
    done = 0
    for batch in _batches(tensors.values()):
        for key, value in _read(batch, device):
            owner, _, attribute = names[key].rpartition('.')
            # On the CPU, copy: a view of the file would change if the file is overwritten.
            weight = value.to(dtype=dtype, copy=device.type == 'cpu')
            check_finite(key, weight, tensors[key].file)
            setattr(
                model.get_submodule(owner), attribute, nn.Parameter(weight, requires_grad=False)
            )
            done += tensors[key].nbytes
            if progress is not None:
                progress(done, total)
    left = [name for name, buffer in model.named_buffers() if buffer.is_meta]
    if left:
        raise CheckpointError(
            f'buffers that are computed when a model is built cannot be loaded: {shorten(left)}'
        )
    model.to(device)


def check_tensors(
    model: nn.Module, tensors: Mapping[str, StoredTensor], *, key_of: Callable[[str], str]
) -> None:
    """Compare the keys and shapes in the files with those of a model.

    Raises:
        CheckpointError: tensors are missing, unexpected or mis-shaped; the message names them.
    """
    names = {key_of(name): name for name, _ in model.named_parameters()}
    problems = []
    if missing := names.keys() - tensors.keys():
        problems.append(f'missing: {shorten(missing)}')
    if unexpected := tensors.keys() - names.keys():
        problems.append(f'unexpected: {shorten(unexpected)}')
    shapes = {key: tuple(model.get_parameter(name).shape) for key, name in names.items()}
    mis_shaped = [
        f'{key} is {tensors[key].shape} and should be {shapes[key]}'
        for key in names.keys() & tensors.keys()
        if tensors[key].shape != shapes[key]
    ]
    if mis_shaped:
        problems.append(f'mis-shaped: {shorten(mis_shaped)}')
    if problems:
        raise CheckpointError(
            'the weights do not fit the model that config.json describes; '
            f'{"; ".join(problems)}. '
            'Check that config.json and the weight files are of the same checkpoint'
        )


def check_finite(key: str, weight: Tensor, file: Path) -> None:
    """Refuse a weight that holds NaN or infinity, with which a policy answers nonsense.

    Raises:
        CheckpointError: the message names the weight and the file.
    """
    # The sum is quick to compute, but large numbers can make it infinite, too.
    if not weight.sum(dtype=torch.float32).isfinite() and not weight.isfinite().all():
        kind = str(weight.dtype).removeprefix('torch.')
        raise CheckpointError(
            f'{key} in {file} holds NaN or infinity, read as {kind}: the weights are damaged, and '
            f'to be downloaded or trained again{"" if kind != "float16" else _TOO_LARGE}'
        )


def refuse_zeros(folder: Path, weights: Iterable[tuple[str, Tensor]]) -> None:
    """Refuse weights whose first or last row is all zeros, which no training produces.

    They come from an interrupted download that had made the file in its full size beforehand.

    Args:
        folder: where they were read, for the message.
        weights: (key, weight) of each.

    Raises:
        CheckpointError: there are such weights; the message names them.
    """
    zeros = shorten(key for key, weight in weights if _is_cut_off(key, weight))
    if zeros:
        raise CheckpointError(
            f'the weights in {folder} hold nothing but zeros in all, the first or the last row of '
            f'{zeros}: their download or copy was cut off; download them again'
        )


def _is_cut_off(key: str, weight: Tensor) -> bool:
    """Whether a weight, or its first or last row, is all zeros; allowed for biases and scales."""
    if weight.ndim < 2:
        return bool(_NORM.search(key)) and not weight.any()
    rows = weight.flatten(0, 1) if len(weight) == 1 else weight  # (1, P, D) has P rows
    if rows[0].any() and rows[-1].any():
        return False
    # The rows of these are tokens, and those of padding tokens may be zeros.
    return not key.endswith(_OF_TOKENS) or not weight.any()


def refuse_quantised_numbers(key: str, file: Path, kind: str) -> None:
    """Refuse quantised numbers, which do not have the value that they seem to have.

    kind: the type's name in safetensors.

    Raises:
        CheckpointError: the type is not one of plain floats.
    """
    if kind not in _BYTES:
        raise CheckpointError(
            f'{key} in {file} is stored as {kind}: only {", ".join(_BYTES)} are supported; use '
            'the weights before they were quantised, and store them as int8 or int4 here '
            '(stored_as) where memory is short'
        )


def _read_header(file: Path) -> list[StoredTensor]:
    check_readable(file)
    try:
        with safe_open(file, framework='pt') as handle:
            slices = [(key, handle.get_slice(key)) for key in handle.keys()]  # noqa: SIM118
            found = [(key, tuple(s.get_shape()), s.get_dtype()) for key, s in slices]
    except SafetensorError as error:
        raise CheckpointError(
            f'{file} is truncated or not a safetensors file ({error}): {mend(file)}'
        ) from error
    for key, _, dtype in found:
        refuse_quantised_numbers(key, file, dtype)
    return [
        StoredTensor(key, file, shape, int(torch.Size(shape).numel()) * _BYTES[dtype])
        for key, shape, dtype in found
    ]


def _batches(tensors: Iterable[StoredTensor]) -> Iterable[list[StoredTensor]]:
    """Group consecutive tensors of the same file, up to `_MAPPED_BYTES` in a group."""
    batch: list[StoredTensor] = []
    size = 0
    for tensor in tensors:
        if batch and (batch[0].file != tensor.file or size + tensor.nbytes > _MAPPED_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(tensor)
        size += tensor.nbytes
    if batch:
        yield batch


def _read(batch: list[StoredTensor], device: torch.device) -> Iterable[tuple[str, Tensor]]:
    with safe_open(batch[0].file, framework='pt', device=str(device)) as handle:
        for tensor in batch:
            yield tensor.key, handle.get_tensor(tensor.key)
