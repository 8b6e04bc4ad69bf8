# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""One image, several instructions: all of them in one sequence of the language model.

    [BOS, patches][instruction 1, action 1][instruction 2, action 2] ...

The prefix is computed once; every segment attends to the prefix and to itself, and its rotary
positions follow the prefix, so each one is computed exactly as if it stood alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Packing:
    """Positions and mask of a packed sequence, and where actions are predicted.

    positions: (S,) int64. mask: (S, S) bool, True where a query may attend.
    predicting: (K, D) int64, index of the position whose output predicts each action token.
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
    """Lay out `segments` segments of `text` + `action` - 1 tokens after `prefix` shared ones.

    The last action token is predicted but never read, so it takes no place.
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
