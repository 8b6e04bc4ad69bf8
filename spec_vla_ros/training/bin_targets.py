# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Uses the order of the action bins in the training loss and in the initial embeddings."""

from __future__ import annotations

import torch
from torch import Tensor

BINS = 256


def smoothed_targets(bins: Tensor, *, sigma: float) -> Tensor:
    """Return target probabilities (..., 256), spread over neighbouring bins by a Gaussian.

    The lowest bin and the two highest ones are not spread, since they hold all clipped values.

    bins: (...) int64 in [0, 255].
    sigma: standard deviation of the Gaussian, in bins.
    """
    grid = torch.arange(BINS, device=bins.device)
    distance = (grid - bins[..., None]).float()
    soft = torch.exp(-0.5 * (distance / sigma) ** 2)
    saturated = (bins == 0) | (bins >= BINS - 2)
    soft = torch.where(saturated[..., None], (distance == 0).float(), soft)
    return soft / soft.sum(-1, keepdim=True)


def ordinal_embeddings(size: int, *, generator: torch.Generator, scale: float) -> Tensor:
    """Return an embedding for each bin, (256, size): random Fourier features of its value.

    Neighbouring bins have similar embeddings, so their order need not be learned.
    """
    value = torch.linspace(-1, 1, BINS)[:, None]
    frequency = torch.exp(torch.empty(1, size).uniform_(0.0, 3.5, generator=generator))
    phase = torch.empty(1, size).uniform_(0.0, 2 * torch.pi, generator=generator)
    return scale * 2**0.5 * torch.sin(frequency * value + phase)
