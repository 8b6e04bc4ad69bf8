# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Weights in few bits: what is stored so, what is not, and what is said without torchao."""

import sys

import pytest
import torch
from small_models import random_prompt, random_target

from spec_vla_ros.decoding.generate import autoregressive_generate
from spec_vla_ros.models.layouts import packed_linear
from spec_vla_ros.models.layouts.packed import PackedLlama
from spec_vla_ros.models.layouts.quantised import quantise


def test_without_torchao_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, 'torchao.quantization', None)
    with pytest.raises(ValueError, match='pip install torchao'):
        quantise(torch.ones(4, 4), 'int8')


def test_unknown_kinds_are_told():
    with pytest.raises(ValueError, match="'int2' is none of int8, int4"):
        quantise(torch.ones(4, 4), 'int2')


@pytest.fixture
def eight_bits(monkeypatch):
    """Round weights as eight bits do, and remember which."""
    seen = []

    def rounded(weight, kind):
        assert kind == 'int8'
        seen.append(tuple(weight.shape))
        scale = weight.abs().amax(1, keepdim=True) / 127
        return (weight / scale).round() * scale

    monkeypatch.setattr(packed_linear, 'quantise', rounded)
    return seen


def test_layers_are_stored_in_few_bits_and_freed(eight_bits):
    model, prompt = random_target(0), random_prompt(0)
    exact = PackedLlama(random_target(0))
    with torch.inference_mode():
        expected = exact(prompt, positions=range(9), cache=exact.new_cache(9))
        packed = PackedLlama(model, stored_as='int8')
        got = packed(prompt, positions=range(9), cache=packed.new_cache(9))
        torch.testing.assert_close(got, expected, atol=0.1, rtol=0.05)
        assert not torch.equal(got, expected)
    assert eight_bits == [(64, 32), (32, 32), (96, 32), (32, 48)] * 2
    layers = [p for n, p in model.named_parameters() if 'proj' in n]
    assert sum(p.nbytes for p in layers) == 0
    assert model.lm_head.weight.numel() > 0


@pytest.mark.usefixtures('eight_bits')
def test_decoding_works_with_them():
    packed = PackedLlama(random_target(1), stored_as='int8')
    tokens = autoregressive_generate(packed, random_prompt(1), num_tokens=7).tokens
    assert tokens.shape == (7,)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a CUDA device')
@pytest.mark.parametrize(('kind', 'error'), [('int8', 0.02), ('int4', 0.2)])
def test_torchao_rounds_as_much_as_its_bits_allow(kind, error):
    pytest.importorskip('torchao', reason='torchao is not installed (requirements/gpu.txt)')
    torch.manual_seed(0)
    weight = torch.randn(1024, 1024, device='cuda', dtype=torch.bfloat16)
    x = torch.randn(7, 1024, device='cuda', dtype=torch.bfloat16)
    exact = (x @ weight.T).float()
    rounded = torch.nn.functional.linear(x, quantise(weight, kind)).float()
    assert (rounded - exact).norm() / exact.norm() < error
