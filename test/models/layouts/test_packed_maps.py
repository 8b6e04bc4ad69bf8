# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Packed maps compute what they did, and only those are packed that come out the same."""

import pytest
import torch
from torch import nn

from spec_vla_ros.models.layouts.packed import PanelConv, PanelLinear, pack_maps
from spec_vla_ros.models.layouts.packed_linear import fits_half


def towers(*, dtype=torch.bfloat16, bias=True):
    """A module with linear maps inside, whose weights are what `dtype` holds."""
    torch.manual_seed(0)
    made = nn.Sequential(nn.Linear(24, 40, bias=bias), nn.GELU(), nn.Sequential(nn.Linear(40, 8)))
    return made.to(dtype).float().requires_grad_(requires_grad=False)


@pytest.mark.parametrize('bias', [True, False])
@pytest.mark.parametrize('shape', [(1, 24), (3, 16, 24), (2, 5, 7, 24)])
def test_packed_maps_compute_what_they_did(bias, shape):
    plain, packed = towers(bias=bias), towers(bias=bias)
    if not fits_half(plain[0].weight):
        pytest.fail('this CPU has no FBGEMM, for which nothing would be packed')
    pack_maps(packed)
    assert isinstance(packed[0], PanelLinear)
    assert isinstance(packed[2][0], PanelLinear)
    x = torch.randn(shape)
    torch.testing.assert_close(packed(x), plain(x), atol=1e-5, rtol=1e-5)
    assert packed(x).shape == (*shape[:-1], 8)


def test_parameters_keep_their_names_and_values():
    plain, packed = towers(), towers()
    pack_maps(packed)
    pack_maps(packed)  # which changes nothing any more
    assert packed.state_dict().keys() == plain.state_dict().keys()
    assert sum(p.numel() for p in packed.parameters()) == sum(
        p.numel() for p in plain.parameters()
    )
    assert torch.equal(packed[0].weight, plain[0].weight)


def test_weights_that_half_precision_does_not_hold_stay_as_they_are():
    for made in (towers(dtype=torch.float32), towers().bfloat16()):
        pack_maps(made)
        assert type(made[0]) is nn.Linear


def convolution(**options):
    """A convolution in a module, whose weights are what bfloat16 holds."""
    torch.manual_seed(0)
    made = nn.Sequential(nn.Conv2d(6, 10, 3, **options))
    return made.bfloat16().float().requires_grad_(requires_grad=False)


@pytest.mark.parametrize(
    'options',
    [{}, {'stride': 2, 'padding': 1, 'bias': False}, {'stride': (3, 1), 'padding': (0, 2)}],
)
@pytest.mark.parametrize('channels_last', [False, True])
def test_packed_convolutions_compute_what_they_did(options, channels_last):
    plain, packed = convolution(**options), convolution(**options)
    pack_maps(packed)
    assert isinstance(packed[0], PanelConv)
    x = torch.randn(2, 6, 9, 12)
    if channels_last:
        x = x.contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(packed(x), plain(x), atol=1e-5, rtol=1e-5)
    assert packed.state_dict().keys() == plain.state_dict().keys()


@pytest.mark.parametrize(
    'options', [{'groups': 2}, {'dilation': 2}, {'padding_mode': 'reflect'}, {'padding': 'same'}]
)
def test_other_convolutions_stay_as_they_are(options):
    made = convolution(**options)
    pack_maps(made)
    assert type(made[0]) is nn.Conv2d
