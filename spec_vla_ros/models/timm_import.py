# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Imports timm, even if torch is a CPU build and torchvision is not.

timm needs torchvision's Python code. The torchvision on the package index is compiled for a CUDA
build of torch. With a CPU build, its operators do not load, and importing it fails because they
are missing. They are not used here, so they are declared without an implementation.
"""

from __future__ import annotations

import sys

import torch

_SCHEMA = '(Tensor dets, Tensor scores, float iou_threshold) -> Tensor'

try:
    import torchvision  # noqa: F401
except RuntimeError as error:
    if 'torchvision::nms' not in str(error):
        raise
    for module in [m for m in sys.modules if m.split('.')[0] == 'torchvision']:
        del sys.modules[module]
    for operator in ('nms', 'qnms'):
        torch.library.define(f'torchvision::{operator}', _SCHEMA)

import timm  # noqa: E402

__all__ = ['timm']
