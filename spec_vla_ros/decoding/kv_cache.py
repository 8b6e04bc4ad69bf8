# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Keys and values of past tokens, in one preallocated buffer that is never copied as a whole."""

from __future__ import annotations

import torch
from torch import Tensor


class KVCache:
    """Keys and values of every layer for up to `max_len` tokens.

    A forward pass calls `append` once per layer and `advance` once at its end. After a draft tree
    has been verified, `keep` moves the accepted entries together and forgets the others.
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
        # (L, 2, B, Hkv, max_len, Dh): one buffer, so that compaction is one gather for all layers
        self._buffer = torch.zeros(
            layers, 2, batch, kv_heads, max_len, head_dim, dtype=dtype, device=device
        )
        self._layers = [layer.unbind() for layer in self._buffer]  # keys and values of each
        self._max_len, self._length = max_len, 0
        self._hidden: Tensor | None = None

    @property
    def length(self) -> int:
        """Number of tokens held."""
        return self._length

    @property
    def max_len(self) -> int:
        """Number of tokens there is room for."""
        return self._max_len

    @property
    def hidden(self) -> Tensor | None:
        """How many of the first entries are padding, which nobody sees, (1,) int64, or None."""
        return self._hidden

    def hide(self, count: Tensor | None) -> None:
        """Take the first `count` entries, (1,) int64, as padding; None: there is none."""
        self._hidden = count

    def refuse_padding(self) -> None:
        """Raise ValueError where there is any, for models that would look at it."""
        if self._hidden is not None:
            raise ValueError('a prompt with padding in front of it needs a packed model')

    def append(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Write one layer's new entries after the held ones, and return old and new together.

        Args:
            layer: index of the layer.
            keys: (B, Hkv, S, Dh), rotary positions already applied.
            values: (B, Hkv, S, Dh).

        Returns:
            Views of the buffer, keys and values, each (B, Hkv, length + S, Dh).

        Raises:
            ValueError: there is no room for S more tokens.
        """
        count = keys.shape[2]
        end = self._length + count
        if end > self.max_len:
            raise ValueError(
                f'the KV cache has room for {self.max_len} tokens and {end} are needed: '
                'allocate it with a larger max_len or shorten the prompt'
            )
        held_keys, held_values = self._layers[layer]
        held_keys.narrow(2, self._length, count).copy_(keys)
        held_values.narrow(2, self._length, count).copy_(values)
        return held_keys.narrow(2, 0, end), held_values.narrow(2, 0, end)

    def advance(self, count: int) -> None:
        """Take the `count` entries that every layer has just appended as held."""
        self._length += count

    def hold(self, length: int) -> None:
        """Take the first `length` entries as held: a recorded pass has written them."""
        self._length = length

    def gather(self, indices: Tensor, *, base: int) -> None:
        """Move the entries at `base + indices` together behind the first `base`, in place.

        Args:
            indices: (N,) int64, offsets from `base`, none below that of its place.
            base: number of leading entries that stay untouched.
        """
        chosen = self._buffer.index_select(4, indices + base)  # a copy of N entries only
        self._buffer[:, :, :, :, base : base + len(indices)] = chosen

    def keep(self, indices: Tensor, *, base: int) -> None:
        """Keep the first `base` entries and those at `base + indices`, moved together in place.

        Args:
            indices: (N,) int64, offsets from `base` in ascending order.
            base: number of leading entries that stay untouched.
        """
        self.gather(indices, base=base)
        self._length = base + len(indices)

    def truncate(self, length: int) -> None:
        """Forget everything after the first `length` entries.

        Raises:
            ValueError: fewer entries than that are held.
        """
        if not 0 <= length <= self._length:
            raise ValueError(f'cannot truncate {self._length} held entries to {length}')
        self._length = length
