# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Keys and values of past tokens, in one buffer that is not copied from token to token."""

from __future__ import annotations

from collections.abc import Hashable

import torch
from torch import Tensor


class KVCache:
    """Keys and values of every layer; grows when `max_len` tokens are not enough.

    A forward pass calls `append` once per layer and `advance` once at its end. After a draft tree
    was verified, `gather` moves the accepted entries together and `rewind` forgets the others.
    """

    def __init__(
        self,
        *,
        layers: int,
        kv_heads: int,
        head_dim: int,
        max_len: int,
        batch: int = 1,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = 'cpu',
    ) -> None:
        # (L, 2, B, Hkv, max_len, Dh): one buffer, so that `gather` is one operation for all layers
        self._buffer = torch.zeros(
            layers, 2, batch, kv_heads, max_len, head_dim, dtype=dtype, device=device
        )
        self._layers = [layer.unbind() for layer in self._buffer]  # keys and values of each
        self._length = 0
        self._padding: Tensor | None = None

    @property
    def length(self) -> int:
        """Number of tokens held."""
        return self._length

    @property
    def max_len(self) -> int:
        """Number of tokens there is room for before the next growth."""
        return self._buffer.shape[4]

    @property
    def key(self) -> Hashable:
        """What a recording of a pass over the cache depends on; see `generate.Run`."""
        return id(self), self.max_len, self._length

    @property
    def padding(self) -> Tensor | None:
        """How many of the first entries are padding, to which nothing attends, (1,) int64."""
        return self._padding

    @property
    def finite(self) -> bool:
        """Whether everything held is finite, neither NaN nor infinity; waits for the device."""
        held = self._buffer[:, :, :, :, : self._length]
        return bool(held.isfinite().all())

    def pad(self, count: Tensor | None) -> None:
        """Mark the first `count` entries, (1,) int64, as padding; None: there is no padding."""
        self._padding = count

    def append(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Write one layer's new entries after the held ones, and return old and new together.

        Args:
            layer: index of the layer.
            keys: (B, Hkv, S, Dh), rotary positions already applied.
            values: (B, Hkv, S, Dh).

        Returns:
            Views of the buffer, keys and values, each (B, Hkv, length + S, Dh).
        """
        count = keys.shape[2]
        end = self._length + count
        self._make_room(end)
        held_keys, held_values = self._layers[layer]
        held_keys.narrow(2, self._length, count).copy_(keys)
        held_values.narrow(2, self._length, count).copy_(values)
        return held_keys.narrow(2, 0, end), held_values.narrow(2, 0, end)

    def advance(self, count: int) -> None:
        """Count the entries that every layer has just appended as held."""
        self._length += count
        self._make_room(self._length)  # for a model without layers, which has appended nothing

    def gather(self, indices: Tensor, *, base: int) -> None:
        """Move the entries at `base + indices` together behind the first `base`, in place.

        Args:
            indices: (N,) int64, offsets from `base`. Behind those that are wanted there may be any
                others, which a `rewind` cuts off.
            base: number of leading entries that stay untouched.
        """
        chosen = self._buffer.index_select(4, indices + base)  # a copy of N entries only
        self._buffer[:, :, :, :, base : base + len(indices)] = chosen

    def rewind(self, length: int) -> None:
        """Keep the first `length` entries, and forget the rest.

        Raises:
            ValueError: there is no room for so many.
        """
        if not 0 <= length <= self.max_len:
            raise ValueError(f'a cache for {self.max_len} tokens cannot hold {length}')
        self._length = length

    def _make_room(self, needed: int) -> None:
        """Move to a larger buffer, at least twice as large, where `needed` tokens do not fit."""
        if needed <= self.max_len:
            return
        old, size = self._buffer, max(needed, 2 * self.max_len)
        self._buffer = old.new_zeros(*old.shape[:4], size, old.shape[5])
        self._buffer[:, :, :, :, : old.shape[4]] = old
        self._layers = [layer.unbind() for layer in self._buffer]
