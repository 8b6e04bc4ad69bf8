# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Weights laid out for products with few rows, which is all that decoding does after the prefill.

A product of one row reads every weight once and is limited by that; a general matrix product of
two to fifty rows is not much slower if the weights lie in the blocks that its kernel reads, and
several times slower if they do not. So on the CPU weights are kept twice: in columns for one row
and for small matrices, and in oneDNN's blocks for everything else.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

_FEW = 1_000_000
"""Below this many multiplications the fixed cost of oneDNN (about 15 us) outweighs its kernels."""


class PackedLinear(Protocol):
    """y = x W^T for x (S, K), W (N, K)."""

    def __call__(self, x: Tensor) -> Tensor:
        """(S, K) -> (S, N)."""

    def plus(self, x: Tensor, residual: Tensor) -> Tensor:
        """(S, K) and (S, N) -> x W^T + residual (S, N)."""

    def part(self, x: Tensor, ids: slice) -> Tensor:
        """(S, K) -> the outputs `ids` only, (S, number of ids)."""


class ColumnLinear:
    """Weights in columns: read in order by a product of one row."""

    def __init__(self, weight: Tensor) -> None:
        self.columns = weight.t().contiguous()  # (K, N)

    def __call__(self, x: Tensor) -> Tensor:
        """See `PackedLinear`."""
        return torch.mm(x, self.columns)

    def plus(self, x: Tensor, residual: Tensor) -> Tensor:
        """See `PackedLinear`."""
        return torch.addmm(residual, x, self.columns)

    def part(self, x: Tensor, ids: slice) -> Tensor:
        """See `PackedLinear`."""
        return torch.mm(x, self.columns[:, ids])


class BlockLinear(ColumnLinear):
    """Weights in columns for one row, and in oneDNN's blocks for more (float32, CPU)."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__(weight)
        self._size = weight.numel()
        self._blocks = torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), None)

    def __call__(self, x: Tensor) -> Tensor:
        """See `PackedLinear`."""
        if x.shape[0] == 1 or x.shape[0] * self._size < _FEW:
            return super().__call__(x)
        return torch.ops.mkldnn._linear_pointwise(x, self._blocks, None, 'none', [], '')

    def plus(self, x: Tensor, residual: Tensor) -> Tensor:
        """See `PackedLinear`."""
        if x.shape[0] == 1 or x.shape[0] * self._size < _FEW:
            return super().plus(x, residual)
        return self(x).add_(residual)


def pack_linear(linears: Sequence[nn.Linear]) -> PackedLinear:
    """Lay out the weights of linear maps of the same input, so that one product does them all.

    The weights of `linears` become views of the result, so that nothing is held that is not used.

    Args:
        linears: without bias, of the same input width; the outputs follow each other.
    """
    weight = linears[0].weight if len(linears) == 1 else torch.cat([m.weight for m in linears])
    weight = weight.detach()
    packed = (BlockLinear if can_block(weight) else ColumnLinear)(weight)
    rows = packed.columns.t().split([m.out_features for m in linears])
    for linear, view in zip(linears, rows, strict=True):
        linear.weight.data = view
    return packed


def can_block(weight: Tensor) -> bool:
    """Whether this torch has oneDNN's block layout for such a weight."""
    return (
        weight.device.type == 'cpu'
        and weight.dtype == torch.float32
        and torch.backends.mkldnn.is_available()
        and hasattr(torch.ops.mkldnn, '_reorder_linear_weight')
    )
