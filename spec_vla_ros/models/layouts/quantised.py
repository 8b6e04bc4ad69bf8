# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Weights in eight or four bits, which halve or quarter the bytes that each pass reads.

The arithmetic stays in the activations' type. It needs torchao, which is not among the
requirements. Only on CUDA do four bits save memory, with a kernel of torch's own. Elsewhere the
weights are rounded to as many levels, to find out what that costs in quality.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from spec_vla_ros.types import STORED_AS, check_choice

_GROUP = 128  # weights of a row that share a scale and a zero point, with four bits


def check_stored_as(kind: str) -> None:
    """Raise ValueError if the kind is unknown or torchao cannot be imported."""
    check_choice('stored_as', kind, STORED_AS)
    try:
        import torchao.quantization  # noqa: F401
    except ImportError as error:
        raise ValueError(
            f'storing weights as {kind} needs torchao, which cannot be imported ({error}): '
            'pip install torchao'
        ) from error


def quantise(weight: Tensor, kind: str) -> Tensor:
    """Return a weight (N, K) stored in few bits, to be used with `F.linear`.

    Args:
        weight: floats; for four bits, bfloat16 on CUDA, and a multiple of 128 columns elsewhere.
        kind: one of `STORED_AS`.

    Raises:
        ValueError: unknown kind, torchao is not installed, or it refuses this weight.
    """
    check_stored_as(kind)
    from torchao.quantization import (
        Int4WeightOnlyConfig,
        Int8WeightOnlyConfig,
        IntxWeightOnlyConfig,
        MappingType,
        PerGroup,
        quantize_,
    )

    if kind == 'int8':
        config = Int8WeightOnlyConfig()
    elif weight.device.type == 'cuda':
        config = Int4WeightOnlyConfig(group_size=_GROUP, int4_packing_format='tile_packed_to_4d')
    else:
        config = IntxWeightOnlyConfig(
            weight_dtype=torch.int4,  # type: ignore[attr-defined]  # torch's stubs lack it
            granularity=PerGroup(_GROUP),
            mapping_type=MappingType.ASYMMETRIC,
        )
    outputs, inputs = weight.shape
    linear = nn.Linear(inputs, outputs, bias=False, device='meta')
    linear.weight = nn.Parameter(weight, requires_grad=False)
    try:
        quantize_(linear, config)
    except (RuntimeError, AssertionError, ImportError, ValueError) as error:
        raise ValueError(
            f'torchao cannot store a weight {tuple(weight.shape)} {weight.dtype} on '
            f'{weight.device} as {kind}: {error}'
        ) from error
    return torch.Tensor.detach(linear.weight)
