# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Packed segments compute exactly what each of them computes alone."""

import torch
from small_models import CONFIG

from spec_vla_ros.models.llama import Llama
from spec_vla_ros.training.packing import pack

PREFIX, TEXT, ACTION, SEGMENTS = 5, 3, 4, 3


def test_packed_equals_alone():
    torch.manual_seed(0)
    llama = Llama(CONFIG).eval()
    length = TEXT + ACTION - 1
    prefix = torch.randn(2, PREFIX, 32)
    segments = torch.randn(2, SEGMENTS, length, 32)
    packing = pack(prefix=PREFIX, text=TEXT, action=ACTION, segments=SEGMENTS)
    packed = llama(
        torch.cat((prefix, segments.flatten(1, 2)), 1),
        positions=packing.positions,
        mask=packing.mask,
    )
    for segment in range(SEGMENTS):
        alone = llama(
            torch.cat((prefix, segments[:, segment]), 1),
            positions=torch.arange(PREFIX + length),
        )
        torch.testing.assert_close(
            packed[:, packing.predicting[segment]],
            alone[:, PREFIX + TEXT - 1 :],
            atol=1e-5,
            rtol=1e-5,
        )
