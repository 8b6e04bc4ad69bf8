# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Weights in eight or four bits, which halve or quarter what each pass must read.

The arithmetic stays in the activations' type. torchao does it; it is not among the requirements.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

KINDS = ('int8', 'int4')
"""What weights can be stored as."""


def quantise(weight: Tensor, kind: str) -> Tensor:
    """Return a weight (N, K) stored in few bits, to be used with `F.linear`.

    Args:
        weight: float; four bits need bfloat16 on CUDA.
        kind: one of `KINDS`.

    Raises:
        ValueError: unknown kind, torchao is not installed, or it refuses this weight.
    """
    if kind not in KINDS:
        raise ValueError(f'weights cannot be stored as {kind!r}: only as {", ".join(KINDS)}')
    try:
        from torchao.quantization import Int4WeightOnlyConfig, Int8WeightOnlyConfig, quantize_
    except ImportError as error:
        raise ValueError(
            f'storing weights as {kind} needs torchao, which cannot be imported ({error}): '
            'pip install torchao'
        ) from error
    config = {'int8': Int8WeightOnlyConfig, 'int4': Int4WeightOnlyConfig}[kind]()
    outputs, inputs = weight.shape
    linear = nn.Linear(inputs, outputs, bias=False, device='meta')
    linear.weight = nn.Parameter(weight, requires_grad=False)
    try:
        quantize_(linear, config)
    except (RuntimeError, AssertionError, NotImplementedError, ImportError) as error:
        raise ValueError(
            f'torchao cannot store a weight {tuple(weight.shape)} {weight.dtype} on '
            f'{weight.device} as {kind}: {error}'
        ) from error
    return torch.Tensor.detach(linear.weight)
