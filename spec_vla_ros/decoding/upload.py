# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""From the host to a device without waiting for what the device is doing."""

from __future__ import annotations

import torch
from torch import Tensor


def upload(tensor: Tensor, device: torch.device) -> Tensor:
    """Return a tensor on a device, the same one where it is there already.

    A plain `.to` waits until the device has done all that was launched before. From pinned memory
    the copy queues up behind it, as a kernel does.
    """
    if device.type == 'cuda' and tensor.device.type == 'cpu':
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)
