# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The least time that decoding can take on some hardware, limited by memory or by arithmetic."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch

from spec_vla_ros.device import least_ms
from spec_vla_ros.models.layouts.packed_linear import pack_linear
from spec_vla_ros.models.llama_config import LlamaConfig


@dataclass(frozen=True, slots=True)
class Hardware:
    """The measured speed of a device.

    bandwidth: of memory, bytes read per second.
    rate: floating-point operations per second in large matrix products.
    """

    bandwidth: float
    rate: float


@dataclass(frozen=True, slots=True)
class Pass:
    """One pass: the rows that go through the layers, and those whose logits are computed."""

    rows: int
    scored: int = 1


@torch.inference_mode()
def measure_hardware(device: torch.device, dtype: torch.dtype, *, footprint: int) -> Hardware:
    """Measure how fast a device reads memory and multiplies, the fastest of two ways each.

    Args:
        device: the device.
        dtype: of the weights.
        footprint: bytes to read; as many as the model has, since fewer may stay in caches.
    """
    itemsize = torch.empty((), dtype=dtype).itemsize
    rows = max(1, min(footprint, 2**30) // (4096 * itemsize))
    # Random numbers, since some devices multiply equal numbers faster.
    matrix = torch.randn(rows, 4096, dtype=dtype, device=device)
    vector = torch.randn(4096, dtype=dtype, device=device)
    flat = matrix.view(-1)
    size = 1024 if device.type == 'cpu' else 8192
    square = torch.nn.Linear(size, size, bias=False, device=device, dtype=dtype)
    square.requires_grad_(requires_grad=False)
    x = torch.randn(size, size, dtype=dtype, device=device)
    packed = pack_linear([square])
    ms = least_ms(
        {
            'read, multiplying': lambda: torch.mv(matrix, vector),
            'read, adding': flat.sum,
            'multiply': lambda: torch.mm(x, x),
            'multiply, packed': lambda: packed(x),
        },
        device=device,
    )
    read = min(ms['read, multiplying'], ms['read, adding']) / 1e3
    multiply = min(ms['multiply'], ms['multiply, packed']) / 1e3
    return Hardware(matrix.nbytes / read, 2 * size**3 / multiply)


def floor_ms(
    config: LlamaConfig, passes: Iterable[Pass], hardware: Hardware, *, itemsize: int
) -> float:
    """Return how many milliseconds some passes take at least.

    Each pass reads every weight once and multiplies it with every row. Attention and all else are
    assumed to take no time.

    Args:
        config: of the language model.
        passes: run one after the other.
        hardware: speed of the device.
        itemsize: bytes of a weight.
    """
    body, head = weight_counts(config)
    seconds = 0.0
    for one in passes:
        operations = 2 * (body * one.rows + head * one.scored)
        seconds += max(operations / hardware.rate, (body + head) * itemsize / hardware.bandwidth)
    return 1e3 * seconds


def weight_counts(config: LlamaConfig) -> tuple[int, int]:
    """Return how many weights the layers have, and how many the head has."""
    attention = config.head_dim * (2 * config.num_attention_heads + 2 * config.num_key_value_heads)
    layer = config.hidden_size * (attention + 3 * config.intermediate_size)
    return config.num_hidden_layers * layer, config.hidden_size * config.vocab_size
