# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Packs several instructions for one image into one sequence of the language model.

    [BOS, patches][instruction 1, action 1][instruction 2, action 2] ...

The prefix is computed once. Every segment attends to the prefix and to itself, and its rotary
positions follow the prefix. So each segment is computed as if it were the only one.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Packing:
    """The layout of a packed sequence.

    positions: (S,) int64, rotary positions.
    mask: (S, S) bool, [query, key], True where the query attends to the key.
    predicting: (K, D) int64, for each action token the index in the sequence whose output
        predicts it.
    """

    positions: Tensor
    mask: Tensor
    predicting: Tensor

    def to(self, device: torch.device) -> Packing:
        """Return the same on a device."""
        return Packing(
            positions=self.positions.to(device),
            mask=self.mask.to(device),
            predicting=self.predicting.to(device),
        )


def pack(*, prefix: int, text: int, action: int, segments: int) -> Packing:
    """Return the layout of a prefix and several segments of the same length.

    Args:
        prefix: number of shared tokens at the beginning.
        text: tokens of each segment's instruction.
        action: tokens of each segment's action. The last one is predicted but not read, so it is
            not in the sequence.
        segments: number of segments.
    """
    length = text + action - 1
    segment = torch.arange(segments).repeat_interleave(length)
    owner = torch.cat((torch.full((prefix,), -1), segment))  # -1: the prefix
    inside = torch.arange(length).repeat(segments) + prefix
    positions = torch.cat((torch.arange(prefix), inside))
    visible = (owner[None, :] == -1) | (owner[None, :] == owner[:, None])
    start = prefix + torch.arange(segments)[:, None] * length
    return Packing(
        positions=positions,
        mask=visible & torch.ones(len(owner), len(owner), dtype=torch.bool).tril(),
        predicting=start + text - 1 + torch.arange(action)[None, :],
    )
