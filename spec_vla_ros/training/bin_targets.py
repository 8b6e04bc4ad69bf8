# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Action bins are numbers, not words: what the loss and the initial embeddings should know."""

from __future__ import annotations

import torch
from torch import Tensor

BINS = 256


def smoothed_targets(bins: Tensor, *, sigma: float) -> Tensor:
    """Spread each target over the neighbouring bins.

    bins: (...) int64 in [0, 255]. Returns (..., 256) probabilities: a Gaussian of `sigma` bins,
    except in the two end bins, which stay hard: they hold everything that was clipped.
    """
    grid = torch.arange(BINS, device=bins.device)
    distance = (grid - bins[..., None]).float()
    soft = torch.exp(-0.5 * (distance / sigma) ** 2)
    saturated = (bins == 0) | (bins >= BINS - 2)
    soft = torch.where(saturated[..., None], (distance == 0).float(), soft)
    return soft / soft.sum(-1, keepdim=True)


def ordinal_rows(size: int, *, generator: torch.Generator, scale: float) -> Tensor:
    """Return one row (256, size) a bin: random Fourier features of the bin's value.

    Neighbouring bins start with neighbouring embeddings, so the order need not be learned.
    """
    value = torch.linspace(-1, 1, BINS)[:, None]
    frequency = torch.exp(torch.empty(1, size).uniform_(0.0, 3.5, generator=generator))
    phase = torch.empty(1, size).uniform_(0.0, 2 * torch.pi, generator=generator)
    return scale * 2**0.5 * torch.sin(frequency * value + phase)
