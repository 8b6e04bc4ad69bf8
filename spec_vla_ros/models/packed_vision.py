# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Linear maps and convolutions of vision towers and projector, as products with `HalfPanels`.

A convolution is a product of the windows of a picture with its weights. For towers that see small
pictures that is up to twice as fast: torch lays the weights out anew for each picture.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spec_vla_ros.models.packed_linear import HalfPanels, fits_half


class PanelLinear(nn.Module):
    """What a linear map computes.

    The map's weight and bias stay its own, and whoever reads the model finds them.
    """

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.weight, self.bias = linear.weight, linear.bias
        self._times = HalfPanels(linear.weight.detach(), linear.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(..., K) -> (..., N)."""
        return self._times(x.reshape(-1, x.shape[-1])).view(*x.shape[:-1], -1)


class PanelConv(nn.Module):
    """What a convolution computes that is `_plain`; weight and bias stay its own.

    In what it returns, the channels of a pixel lie together, as the next one wants them.
    """

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.weight, self.bias = conv.weight, conv.bias
        self._size, self._stride = conv.kernel_size, conv.stride
        top, left = (int(p) for p in conv.padding)
        self._padding = (0, 0, left, left, top, top)
        rows = conv.weight.detach().permute(0, 2, 3, 1).flatten(1)
        self._times = HalfPanels(rows, conv.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, N, H', W')."""
        pixels = F.pad(x.permute(0, 2, 3, 1), self._padding)
        windows = pixels.unfold(1, self._size[0], self._stride[0])
        windows = windows.unfold(2, self._size[1], self._stride[1])  # (B, H', W', C, h, w)
        rows = windows.permute(0, 1, 2, 4, 5, 3).flatten(3)
        return self._times(rows.flatten(0, 2)).view(*rows.shape[:3], -1).permute(0, 3, 1, 2)


def pack_maps(module: nn.Module) -> None:
    """Replace a module's linear maps and convolutions where half precision holds their weights."""
    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is nn.Linear and _fits(child.weight):
                setattr(parent, name, PanelLinear(child))
            elif type(child) is nn.Conv2d and _plain(child) and _fits(child.weight):
                setattr(parent, name, PanelConv(child))


def _fits(weight: Tensor) -> bool:
    cpu, float32 = weight.device.type == 'cpu', weight.dtype == torch.float32
    return cpu and float32 and fits_half(weight.detach())


def _plain(conv: nn.Conv2d) -> bool:
    """Whether every output sees every input, and padding is of so many zeros."""
    return (
        conv.groups == 1
        and conv.dilation == (1, 1)
        and conv.padding_mode == 'zeros'
        and not isinstance(conv.padding, str)
    )
