# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The linear maps of vision towers and projector, laid out for products with few rows."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from spec_vla_ros.models.packed_linear import fits_half, half_panels


class PanelLinear(nn.Module):
    """What a linear map computes, from panels of half precision (float32, CPU).

    The map's weight and bias stay its own, and whoever reads the model finds them.
    """

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.weight, self.bias = linear.weight, linear.bias
        self._panels = half_panels(linear.weight.detach())
        self._added = linear.weight.detach().new_zeros(linear.out_features)
        if linear.bias is not None:
            self._added = linear.bias.detach()

    def forward(self, x: Tensor) -> Tensor:
        """(..., K) -> (..., N)."""
        rows = x.reshape(-1, x.shape[-1])
        y = torch.fbgemm_linear_fp16_weight_fp32_activation(rows, self._panels, self._added)
        return y.view(*x.shape[:-1], y.shape[-1])


def pack_linears(module: nn.Module) -> None:
    """Replace the linear maps in a module, where half precision holds their weights on a CPU."""
    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            if (
                type(child) is nn.Linear
                and child.weight.device.type == 'cpu'
                and child.weight.dtype == torch.float32
                and fits_half(child.weight.detach())
            ):
                setattr(parent, name, PanelLinear(child))
