# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The lean Llama gives transformers' numbers, with and without a cache, for any mask."""

import pytest
import torch
import transformers

from spec_vla_ros.models import timm_import  # noqa: F401 - transformers wants torchvision too
from spec_vla_ros.models.llama import Llama, causal_mask
from spec_vla_ros.models.llama_config import LlamaConfig

SHAPE = dict(
    vocab_size=300, hidden_size=64, intermediate_size=96, num_hidden_layers=3,
    num_attention_heads=4, max_position_embeddings=128,
)  # fmt: skip


def build(kv_heads=4, seed=0):
    torch.manual_seed(seed)
    config = LlamaConfig.from_dict({**SHAPE, 'num_key_value_heads': kv_heads})
    return Llama(config).eval().requires_grad_(False)


@pytest.mark.parametrize('kv_heads', [4, 2, 1])
def test_matches_transformers(kv_heads):
    config = transformers.LlamaConfig(**SHAPE, num_key_value_heads=kv_heads, rms_norm_eps=1e-6)
    torch.manual_seed(1)
    reference = transformers.LlamaForCausalLM(config).eval()
    ours = Llama(LlamaConfig.from_dict(config.to_dict())).eval()
    ours.load_state_dict(reference.state_dict(), strict=True)
    ids = torch.randint(0, 300, (2, 17))
    with torch.no_grad():
        expected = reference(ids).logits
        got = ours.logits(ours(ours.embed(ids), positions=torch.arange(17)))
    torch.testing.assert_close(got, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize('kv_heads', [4, 2])
def test_cached_steps_equal_one_pass(kv_heads):
    model = build(kv_heads)
    embeds = model.embed(torch.randint(0, 300, (2, 12)))
    whole = model(embeds, positions=torch.arange(12))
    cache = model.new_cache(12, batch=2)
    parts = [
        model(embeds[:, a:b], positions=torch.arange(a, b), cache=cache)
        for a, b in [(0, 5), (5, 9), (9, 10), (10, 12)]
    ]
    torch.testing.assert_close(torch.cat(parts, 1), whole, atol=1e-5, rtol=0)
    assert cache.length == 12


def test_packed_segments_equal_separate_ones():
    model = build()
    embeds = model.embed(torch.randint(0, 300, (1, 9)))
    segment = torch.tensor([0] * 4 + [1] * 5)
    mask = causal_mask(0, 9) & (segment[:, None] == segment)
    positions = torch.tensor([0, 1, 2, 3, 0, 1, 2, 3, 4])
    packed = model(embeds, positions=positions, mask=mask)
    first = model(embeds[:, :4], positions=torch.arange(4))
    second = model(embeds[:, 4:], positions=torch.arange(5))
    torch.testing.assert_close(packed, torch.cat((first, second), 1), atol=1e-5, rtol=0)


def test_positions_and_mask_may_differ_by_sample():
    model = build()
    embeds = model.embed(torch.randint(0, 300, (2, 6)))
    positions = torch.stack((torch.arange(6), torch.arange(10, 16)))
    mask = causal_mask(0, 6)[None, None].repeat(2, 1, 1, 1)
    both = model(embeds, positions=positions, mask=mask)
    for i in range(2):
        alone = model(embeds[i : i + 1], positions=positions[i])
        torch.testing.assert_close(both[i : i + 1], alone, atol=1e-5, rtol=0)


def test_gradients_reach_every_weight():
    model = build().requires_grad_(True)
    hidden = model(model.embed(torch.arange(8)[None]), positions=torch.arange(8))
    model.logits(hidden).logsumexp(-1).sum().backward()
    assert [n for n, p in model.named_parameters() if p.grad is None] == []


def test_logits_of_a_slice_are_rows_of_all():
    model = build()
    hidden = torch.randn(1, 3, 64)
    torch.testing.assert_close(
        model.logits(hidden, slice(40, 90)), model.logits(hidden)[..., 40:90]
    )
