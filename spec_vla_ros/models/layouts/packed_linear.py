# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Weights laid out for products with few rows, which decoding needs after the prefill.

A product with one row reads every weight once, and reading limits its speed. A product with two to
fifty rows is not much slower if the weights are laid out as its kernel reads them, and several
times slower if they are not. So on the CPU, float32 weights are held twice. If half precision
holds them exactly, as it does those of checkpoints in bfloat16, the second copy is in FBGEMM's
panels of half precision (x86). They are multiplied in float32, and only half the bytes are read.
With AVX-512, a row has the same result to the last bit, however many rows there are; with AVX2,
FBGEMM adds up in another order for each number of rows. Other weights have their second copy in
oneDNN's blocks, which are used except for one row and small matrices. On other devices and with
other types, weights stay in rows as they are.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import cache
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spec_vla_ros.device import least_ms
from spec_vla_ros.models.layouts.quantised import quantise

_FEW = 1_000_000
"""Multiplications below which oneDNN's fixed cost (about 15 us) outweighs its faster kernels."""

_SMALLEST_HALF = 2.0**-24

_MANY = 64
"""Rows from which a product's speed is limited by multiplications, and not by the layout."""


class PackedLinear(Protocol):
    """y = x W^T for x (S, K), W (N, K)."""

    @property
    def weight(self) -> Tensor:
        """W, (N, K); it may be a view."""

    def __call__(self, x: Tensor) -> Tensor:
        """(S, K) -> (S, N)."""

    def plus(self, x: Tensor, residual: Tensor) -> Tensor:
        """(S, K) and (S, N) or (N,) -> x W^T + residual (S, N)."""

    def part(self, x: Tensor, ids: slice) -> Tensor:
        """(S, K) -> the outputs `ids` only, (S, number of ids)."""


class RowLinear:
    """Weights as they are stored; any device and type, quantised ones too."""

    def __init__(self, weight: Tensor) -> None:
        self.weight = weight

    @staticmethod
    def empty(outputs: int, like: Tensor) -> Tensor:
        """Return uninitialised weights (outputs, K), with K, type and device of `like`."""
        return like.new_empty(outputs, like.shape[1])

    def __call__(self, x: Tensor) -> Tensor:
        """See `PackedLinear`."""
        return F.linear(x, self.weight)

    def plus(self, x: Tensor, residual: Tensor) -> Tensor:
        """See `PackedLinear`."""
        return F.linear(x, self.weight) + residual

    def part(self, x: Tensor, ids: slice) -> Tensor:
        """See `PackedLinear`."""
        return F.linear(x, self.weight[ids])


class ColumnLinear:
    """Weights in columns, which a product with one row reads in order (CPU)."""

    def __init__(self, weight: Tensor) -> None:
        self._columns = weight.t().contiguous()  # (K, N); no copy if it is in columns already

    @staticmethod
    def empty(outputs: int, like: Tensor) -> Tensor:
        """See `RowLinear.empty`; in columns."""
        return like.new_empty(like.shape[1], outputs).t()

    @property
    def weight(self) -> Tensor:
        """See `PackedLinear`."""
        return self._columns.t()

    def __call__(self, x: Tensor) -> Tensor:
        """See `PackedLinear`."""
        return torch.mm(x, self._columns)

    def plus(self, x: Tensor, residual: Tensor) -> Tensor:
        """See `PackedLinear`."""
        return torch.addmm(residual, x, self._columns)

    def part(self, x: Tensor, ids: slice) -> Tensor:
        """See `PackedLinear`."""
        return torch.mm(x, self._columns[:, ids])


class HalfLinear(ColumnLinear):
    """Weights in panels of half precision, for any number of rows (float32, CPU).

    Raises:
        ValueError: the weights are not `fits_half`.
    """

    def __init__(self, weight: Tensor) -> None:
        if not fits_half(weight):
            raise ValueError('half precision does not hold these weights, or FBGEMM is missing')
        super().__init__(weight)
        self._times = HalfPanels(weight)

    def __call__(self, x: Tensor) -> Tensor:
        """See `PackedLinear`."""
        return self._times(x)

    def plus(self, x: Tensor, residual: Tensor) -> Tensor:
        """See `PackedLinear`."""
        return self(x).add_(residual)


def fits_half(weight: Tensor) -> bool:
    """Whether half precision can hold these float32 weights, and FBGEMM is there to multiply them.

    Half precision has three bits more than bfloat16, but fewer exponents. It rounds some weights
    below 6e-5, by up to 3e-8. That is accepted, since float32 rounds more in a sum of products
    with ordinary weights.
    """
    if 'fbgemm' not in torch.backends.quantized.supported_engines:
        return False
    if not hasattr(torch, 'fbgemm_linear_fp16_weight_fp32_activation'):
        return False
    return bool(((weight.half().float() - weight).abs() <= _SMALLEST_HALF / 2).all())


class HalfPanels:
    """x W^T + b for rows x (S, K), weights W (N, K) that are `fits_half`, and a bias b (N,)."""

    def __init__(self, weight: Tensor, bias: Tensor | None = None) -> None:
        if bias is None and not _may_lack_bias():
            bias = weight.new_zeros(weight.shape[0])
        self._bias = None if bias is None else bias.detach()
        with warnings.catch_warnings():  # torch warns that it may drop them, see `fits_half`
            warnings.simplefilter('ignore', UserWarning)
            self._panels = torch.fbgemm_pack_gemm_matrix_fp16(weight.contiguous())
            self(weight.new_zeros(1, weight.shape[1]))

    def __call__(self, x: Tensor) -> Tensor:
        """(S, K) -> (S, N)."""
        return torch.fbgemm_linear_fp16_weight_fp32_activation(x, self._panels, self._bias)


@cache
def _may_lack_bias() -> bool:
    """Whether this torch accepts no bias; adding zeros instead takes a twentieth of a pass."""
    schema = torch.ops.aten.fbgemm_linear_fp16_weight_fp32_activation.default._schema
    return bool(schema.arguments[2].type.kind() == 'OptionalType')


class BlockLinear(ColumnLinear):
    """Weights in columns for one row, and in oneDNN's blocks for more (float32, CPU)."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__(weight)
        self._size = weight.numel()
        self._blocks = _in_blocks(weight.contiguous())

    def __call__(self, x: Tensor) -> Tensor:
        """See `PackedLinear`."""
        if self._over_columns(x.shape[0]):
            return super().__call__(x)
        return _times_blocks(x, self._blocks)

    def plus(self, x: Tensor, residual: Tensor) -> Tensor:
        """See `PackedLinear`."""
        if self._over_columns(x.shape[0]):
            return super().plus(x, residual)
        return _times_blocks(x, self._blocks).add_(residual)

    def _over_columns(self, rows: int) -> bool:
        if rows >= _MANY:
            return columns_win()
        return rows == 1 or rows * self._size < _FEW


def _in_blocks(weight: Tensor) -> Tensor:
    return torch.ops.mkldnn._reorder_linear_weight(weight, None)


def _times_blocks(x: Tensor, blocks: Tensor) -> Tensor:
    return torch.ops.mkldnn._linear_pointwise(x, blocks, None, 'none', [], '')


@cache
def columns_win() -> bool:
    """Whether this CPU is faster over columns than over blocks if there are many rows.

    The first call measures it with a prefill of 256 rows, in a quarter of a second. Blocks are
    preferred if the two are within a twentieth of each other.
    """
    generator = torch.Generator().manual_seed(0)  # leaves the global generator alone
    x, weight = (
        torch.rand(n, 1024, dtype=torch.float32, device='cpu', generator=generator)
        for n in (256, 1024)
    )
    columns, blocks = weight.t().contiguous(), _in_blocks(weight)
    ms = least_ms(
        {
            'columns': lambda: torch.mm(x, columns),
            'blocks': lambda: _times_blocks(x, blocks),
        },
        device=x.device,
    )
    return ms['columns'] < 0.95 * ms['blocks']


def pack_linear(
    linears: Sequence[nn.Linear], *, twice: bool = True, stored_as: str | None = None
) -> PackedLinear:
    """Pack the weights of linear maps of the same input, so that one product computes all of them.

    The weights of `linears` become views of the result, which saves memory; if they are stored in
    fewer bits, they are removed.

    Args:
        linears: have the same input width; their biases are ignored. The outputs are concatenated.
        twice: whether a second copy, in half precision or in blocks, may be held.
        stored_as: one of `STORED_AS`; None to keep the weights as they are.

    Raises:
        ValueError: see `quantise`.
    """
    first = linears[0].weight.detach()
    if stored_as is not None:
        small = quantise(torch.cat([m.weight.detach() for m in linears]), stored_as)
        for linear in linears:
            linear.weight.data = first.new_empty(0)
        return RowLinear(small)
    columns = first.device.type == 'cpu' and first.dtype == torch.float32
    if len(linears) == 1 and not columns:
        return RowLinear(first)
    sizes = [m.out_features for m in linears]
    weight = (ColumnLinear if columns else RowLinear).empty(sum(sizes), first)
    for linear, view in zip(linears, weight.split(sizes), strict=True):
        view.copy_(linear.weight.detach())
        linear.weight.data = view  # frees the old one
    return _layout(weight, columns=columns, twice=twice)(weight)


def _layout(weight: Tensor, *, columns: bool, twice: bool) -> type[RowLinear | ColumnLinear]:
    if not columns:
        return RowLinear
    if twice and fits_half(weight):
        return HalfLinear
    has_blocks = torch.backends.mkldnn.is_available() and hasattr(
        torch.ops.mkldnn, '_reorder_linear_weight'
    )
    return BlockLinear if twice and has_blocks else ColumnLinear
