# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""One decoder layer packed for inference: norm, rotary positions, attention, feed-forward."""

from __future__ import annotations

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from spec_vla_ros.decoding.kv_cache import KVCache
from spec_vla_ros.device import attention, empty_mask
from spec_vla_ros.models.layouts.packed_linear import PackedLinear, pack_linear
from spec_vla_ros.models.llama import DecoderLayer, RMSNorm
from spec_vla_ros.models.llama_config import LlamaConfig

Rotary = tuple[Tensor, Tensor]


class PackedNorm:
    """Root-mean-square norm of rows.

    In float32 on the CPU, the mean of squares is a product with a constant column.
    """

    def __init__(self, norm: RMSNorm) -> None:
        weight = norm.weight.detach()
        self._weight, self._eps, size = weight, norm.eps, len(weight)
        self._by_product = weight.device.type == 'cpu' and weight.dtype == torch.float32
        self._mean = torch.full((size, 1), 1 / size, dtype=weight.dtype, device=weight.device)
        self._bias = torch.full((1,), norm.eps, dtype=weight.dtype, device=weight.device)

    def __call__(self, x: Tensor) -> Tensor:
        """Normalise rows (S, H)."""
        if not self._by_product:
            return F.rms_norm(x, self._weight.shape, self._weight, self._eps)
        scale = torch.addmm(self._bias, x * x, self._mean).rsqrt_()  # (S, 1)
        return (x * scale).mul_(self._weight)


class PackedRotary:
    """Tables for rotary positions, which are then a product, a roll and a fused product-sum."""

    def __init__(self, cos: Tensor, sin: Tensor, dtype: torch.dtype) -> None:
        half = cos.shape[1] // 2
        signed = torch.cat((-sin[:, :half], sin[:, half:]), dim=-1)
        self._cos, self._sin = (t[:, None].to(dtype) for t in (cos, signed))  # (P, 1, Dh)

    def at(self, positions: Tensor | range, padding: Tensor | None = None) -> Rotary:
        """Return the cosines and signed sines of some positions, each (S, 1, Dh).

        positions: (S,) int64, or a range of step 1, for which nothing is copied.
        padding: (1,) int64, tokens of padding in front, which do not count as positions.
        """
        if padding is not None:
            if isinstance(positions, range):
                positions = torch.arange(positions.start, positions.stop, device=padding.device)
            positions = (positions - padding).clamp_(min=0)
        if isinstance(positions, range):
            return (
                self._cos[positions.start : positions.stop],
                self._sin[positions.start : positions.stop],
            )
        return self._cos.index_select(0, positions), self._sin.index_select(0, positions)


class PackedLayer:
    """One decoder layer over rows (S, H)."""

    def __init__(
        self,
        layer: DecoderLayer,
        config: LlamaConfig,
        *,
        twice: bool = True,
        stored_as: str | None = None,
    ) -> None:
        attention = layer.self_attn
        self._index, self._dim = attention.layer, config.head_dim
        self._heads, self._kv_heads = config.num_attention_heads, config.num_key_value_heads
        self._grouped = attention.grouped
        norm = layer.input_layernorm
        self._norm = PackedNorm(norm) if isinstance(norm, RMSNorm) else None
        self._post_norm = PackedNorm(layer.post_attention_layernorm)
        products = packed_products(layer, twice=twice, stored_as=stored_as)
        self._qkv, self._o, self._gate_up, self._down = products

    def __call__(
        self, x: Tensor, rotary: Rotary, mask: Tensor | None, cache: KVCache, outputs: int
    ) -> Tensor:
        """Append keys and values of all rows, and return the layer's output for the last ones.

        Args:
            x: (S, H).
            rotary: cosines and sines of the rows' positions.
            mask: (S, past + S), added to the scores; None for causal attention, see `score_bias`.
            cache: past keys and values of all layers.
            outputs: for how many of the last rows to compute the output.

        Returns:
            (outputs, H).
        """
        rows = x.shape[0]
        qkv = self._qkv(x if self._norm is None else self._norm(x)).view(rows, -1, self._dim)
        qk, v = qkv.split_with_sizes((self._heads + self._kv_heads, self._kv_heads), 1)
        cos, sin = rotary
        qk = torch.addcmul(qk * cos, qk.roll(self._dim // 2, -1), sin)
        qk = qk.transpose(0, 1)[None]
        q, k = qk.split_with_sizes((self._heads, self._kv_heads), 1)
        keys, values = cache.append(self._index, k, v.transpose(0, 1)[None])
        if outputs < rows:
            q, x = q[:, :, -outputs:], x[-outputs:]
            mask = None if mask is None else mask[-outputs:]
        causal = mask is None and outputs > 1
        y = attention(q, keys, values, mask=mask, causal=causal, grouped=self._grouped)
        x = self._o.plus(y[0].transpose(0, 1).reshape(outputs, -1), x)
        gate, up = self._gate_up(self._post_norm(x)).chunk(2, dim=-1)
        return self._down.plus(F.silu(gate).mul_(up), x)


def packed_products(
    layer: DecoderLayer, *, twice: bool = True, stored_as: str | None = None
) -> tuple[PackedLinear, PackedLinear, PackedLinear, PackedLinear]:
    """Return a layer's products: query, key and value; output; gate and up; down."""
    attention, mlp = layer.self_attn, layer.mlp
    pack = partial(pack_linear, twice=twice, stored_as=stored_as)
    return (
        pack([attention.q_proj, attention.k_proj, attention.v_proj]),
        pack([attention.o_proj]),
        pack([mlp.gate_proj, mlp.up_proj]),
        pack([mlp.down_proj]),
    )


def score_bias(
    mask: Tensor | None, rows: int, outputs: int, cache: KVCache, like: Tensor
) -> Tensor | None:
    """Turn an attention mask into numbers to add to the scores, once for all layers.

    Args:
        mask: (rows, past + rows) bool; None for causal attention.
        rows: the number of new tokens.
        outputs: for how many of them the last layer's output is needed.
        cache: its length is the past, of which some may be padding.
        like: gives device and dtype.

    Returns:
        (rows, past + rows), 0 or minus infinity. None if the attention kernel can do without it:
        its causal attention lets the first query attend to the first key only. So there must be as
        many queries as keys, or a single query, which attends to all keys.
    """
    past = cache.length
    if cache.padding is not None:
        column = torch.arange(past + rows, device=like.device)
        row = column[past:, None]
        seen = column <= row if mask is None else mask
        # Padding attends to itself, since a row that attends to nothing would become NaN.
        mask = seen & ((column >= cache.padding) | (column == row))
    if mask is not None:
        return empty_mask(rows, past + rows, like).zero_().masked_fill_(~mask, -torch.inf)
    if rows > 1 and (past or 1 < outputs < rows):
        return empty_mask(rows, past + rows, like).fill_(-torch.inf).triu_(past + 1)
    return None
