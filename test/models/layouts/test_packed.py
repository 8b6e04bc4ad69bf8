# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Packed for inference, target and drafter give the numbers and tokens that they gave before."""

import time

import pytest
import torch
from processes import KILOBYTES, RETURNED_WHEN_FREED, run_python
from small_models import random_drafter, random_prompt, random_target, speculate

from spec_vla_ros.decoding.draft_tree import TreeShape
from spec_vla_ros.decoding.generate import autoregressive_generate
from spec_vla_ros.models.layouts import packed_linear
from spec_vla_ros.models.layouts.packed import PackedDrafter, PackedLlama
from spec_vla_ros.models.layouts.packed_linear import (
    BlockLinear,
    ColumnLinear,
    HalfLinear,
    RowLinear,
    fits_half,
    pack_linear,
)
from spec_vla_ros.models.llama import Llama, causal_mask
from spec_vla_ros.models.llama_config import LlamaConfig

CLOSE = {'atol': 2e-5, 'rtol': 1e-5}


@pytest.fixture(autouse=True)
def _inference():
    with torch.inference_mode():
        yield


def build(kv_heads, *, dtype=torch.float32):
    torch.manual_seed(kv_heads)
    shape = {'hidden_size': 64, 'intermediate_size': 96, 'num_attention_heads': 4}
    shape |= {'vocab_size': 300, 'num_hidden_layers': 3, 'max_position_embeddings': 64}
    config = LlamaConfig.from_dict({**shape, 'num_key_value_heads': kv_heads})
    return Llama(config).eval().to(dtype)


@pytest.mark.parametrize('kv_heads', [4, 2, 1])
def test_passes_equal_the_plain_models(kv_heads):
    plain = build(kv_heads)
    packed = PackedLlama(build(kv_heads))
    caches = [m.new_cache(40) for m in (plain, packed)]
    tree = torch.tensor([[1, 0, 0], [1, 1, 0], [1, 0, 1]], dtype=torch.bool)
    mask = torch.cat((torch.ones(3, 20, dtype=torch.bool), tree), 1)
    passes = [
        (range(12), None),
        (range(12, 13), None),
        (range(13, 20), None),  # a chain: causal behind what is cached
        (torch.tensor([20, 21, 21]), mask),
    ]
    for positions, mask in passes:
        embeds = torch.randn(1, len(positions), 64)
        expected, got = (
            m(embeds, positions=positions, mask=mask, cache=cache)
            for m, cache in zip((plain, packed), caches, strict=True)
        )
        torch.testing.assert_close(got, expected, **CLOSE)
        torch.testing.assert_close(packed.logits(got), plain.logits(expected), **CLOSE)
        ids = slice(40, 90)
        torch.testing.assert_close(packed.logits(got, ids), plain.logits(expected, ids), **CLOSE)


@pytest.mark.parametrize('masked', [True, False])
def test_asking_for_the_last_rows_changes_nothing_else(masked):
    packed = PackedLlama(build(2))
    embeds, more = torch.randn(1, 9, 64), torch.randn(1, 2, 64)
    results = []
    for outputs in (None, 3, 1):
        cache = packed.new_cache(11)
        mask = causal_mask(0, 9) if masked else None
        hidden = packed(embeds, positions=range(9), mask=mask, cache=cache, outputs=outputs)
        results.append((hidden, packed(more, positions=range(9, 11), cache=cache)))
    for (hidden, after), count in zip(results[1:], (3, 1), strict=True):
        torch.testing.assert_close(hidden, results[0][0][:, -count:], **CLOSE)
        torch.testing.assert_close(after, results[0][1], **CLOSE)


@pytest.mark.parametrize('rows', [1, 5])
def test_the_drafter_too(rows):
    plain, packed = random_drafter(0), PackedDrafter(random_drafter(0))
    caches = [m.new_cache(20) for m in (plain, packed)]
    for start in (0, 6):
        positions = range(start, start + 6)
        embeds, features = torch.randn(2, 1, 6, 32)
        expected, got = (
            m(embeds, features, positions=positions, mask=None, cache=cache, outputs=rows)
            for m, cache in zip((plain, packed), caches, strict=True)
        )
        assert got.shape == (1, rows, 32)
        torch.testing.assert_close(got, expected, **CLOSE)


@pytest.mark.parametrize('shape', [TreeShape(1, 6, 6), TreeShape(4, 3, 10)], ids=str)
@pytest.mark.parametrize('seed', range(6))
def test_tokens_are_the_plain_models(seed, shape):
    prompt = random_prompt(seed)
    plain, packed = random_target(seed), PackedLlama(random_target(seed))
    expected = autoregressive_generate(plain, prompt, num_tokens=7).tokens
    assert torch.equal(autoregressive_generate(packed, prompt, num_tokens=7).tokens, expected)
    decoded = speculate(packed, PackedDrafter(random_drafter(seed)), prompt, tree=shape)
    assert torch.equal(decoded.tokens, expected)


def test_the_plain_model_goes_on_working_and_saving():
    model = build(2)
    embeds = model.embed(torch.arange(9)[None])
    before = model(embeds, positions=range(9))
    state = {k: v.clone() for k, v in model.state_dict().items()}
    PackedLlama(model)
    after = model.state_dict()
    assert after.keys() == state.keys()
    assert all(torch.equal(after[k], state[k]) for k in state)
    torch.testing.assert_close(model(embeds, positions=range(9)), before, **CLOSE)


def test_weights_are_shared_not_copied():
    model = build(4)
    packed = pack_linear([model.model.layers[0].mlp.gate_proj, model.model.layers[0].mlp.up_proj])
    start, size = packed.weight.data_ptr(), packed.weight.nbytes
    for linear in (model.model.layers[0].mlp.gate_proj, model.model.layers[0].mlp.up_proj):
        assert start <= linear.weight.data_ptr() < start + size


@pytest.mark.slow
def test_without_blocks_nothing_is_held_twice():
    program = """
import torch
from spec_vla_ros.models.llama import Llama
from spec_vla_ros.models.llama_config import LlamaConfig
from spec_vla_ros.models.layouts.packed import PackedLlama
shape = {'hidden_size': 512, 'intermediate_size': 1376, 'num_attention_heads': 8}
torch.mm(torch.ones(9, 9), torch.ones(9, 9))
before = kilobytes('VmRSS')
model = Llama(LlamaConfig.from_dict({**shape, 'num_hidden_layers': 24, 'vocab_size': 1000}))
packed = PackedLlama(model.eval(), twice=False)
weights = sum(p.nbytes for p in model.parameters())
print((kilobytes('VmHWM') - before) * 1024 / weights)
"""
    assert float(run_python('-c', KILOBYTES + program, **RETURNED_WHEN_FREED).stdout) <= 1.2


def linear(*shape, dtype):
    layer = torch.nn.Linear(*shape, bias=False)
    layer.weight.data = layer.weight.data.to(dtype).float()
    return layer


@pytest.mark.skipif(
    'fbgemm' not in torch.backends.quantized.supported_engines, reason='FBGEMM is for x86'
)
class TestHalfPanels:
    def test_weights_of_a_bfloat16_checkpoint_are_held_in_them(self):
        assert isinstance(pack_linear([linear(64, 96, dtype=torch.bfloat16)]), HalfLinear)

    def test_other_weights_and_a_second_copy_that_is_not_wanted_are_not(self):
        assert not isinstance(pack_linear([linear(64, 96, dtype=torch.float32)]), HalfLinear)
        held_once = pack_linear([linear(64, 96, dtype=torch.bfloat16)], twice=False)
        assert type(held_once) is ColumnLinear

    @pytest.mark.parametrize('value', [1e5, 2.0**-12 + 2.0**-24, float('nan')])
    def test_one_weight_that_half_precision_lacks_decides_for_all(self, value):
        weight = torch.ones(8, 8)
        assert fits_half(weight)
        weight[3, 4] = value
        assert not fits_half(weight)
        with pytest.raises(ValueError, match='half precision does not hold'):
            HalfLinear(weight)

    def test_a_torch_without_the_product_does_without(self, monkeypatch):
        monkeypatch.delattr(torch, 'fbgemm_linear_fp16_weight_fp32_activation')
        assert not fits_half(torch.ones(8, 8))

    def test_the_rounding_of_tiny_weights_is_below_that_of_the_sum(self):
        layer = linear(512, 64, dtype=torch.bfloat16)
        layer.weight.data[:, ::7] = 3.1e-6
        expected = layer(x := torch.randn(5, 512))
        torch.testing.assert_close(pack_linear([layer])(x), expected, atol=3e-6, rtol=1e-6)

    @pytest.mark.parametrize('shape', [(128, 384), (384, 128), (1376, 512)])
    def test_a_row_is_the_same_however_many_there_are_to_the_last_bit_with_avx512(self, shape):
        exact = 'AVX512' in torch.backends.cpu.get_cpu_capability()
        close = {'atol': 0.0, 'rtol': 0.0} if exact else CLOSE  # FBGEMM's AVX2 kernels round
        packed = pack_linear([linear(*shape, dtype=torch.bfloat16)])
        x = torch.randn(24, shape[0])
        together = packed(x)
        for count in (1, 2, 7, 13):
            alone = torch.cat([packed(part) for part in x.split(count)])
            torch.testing.assert_close(alone, together, **close)


def test_half_precision_runs_without_blocks():
    packed = PackedLlama(build(2, dtype=torch.bfloat16))
    plain = build(2)
    embeds = torch.randn(1, 9, 64)
    got = packed(embeds.bfloat16(), positions=range(9), cache=packed.new_cache(9))
    expected = plain(embeds, positions=range(9))
    torch.testing.assert_close(got.float(), expected, atol=0.1, rtol=0.1)


@pytest.mark.parametrize('columns', [False, True])
@pytest.mark.parametrize('rows', [1, 2, 19, 70])
def test_all_layouts_multiply_alike(rows, columns, monkeypatch):
    monkeypatch.setattr(packed_linear, 'columns_win', lambda: columns)
    weight = torch.randn(1100, 1000).bfloat16().float()
    x, residual = torch.randn(rows, 1000), torch.randn(rows, 1100)
    expected = x @ weight.T
    layouts = [RowLinear, ColumnLinear, BlockLinear]
    layouts += [HalfLinear] if fits_half(weight) else []  # x86 only
    for packed in (layout(weight) for layout in layouts):
        torch.testing.assert_close(packed(x), expected, atol=1e-3, rtol=1e-4)
        torch.testing.assert_close(
            packed.plus(x, residual), expected + residual, atol=1e-3, rtol=0
        )
        torch.testing.assert_close(
            packed.part(x, slice(7, 90)), expected[:, 7:90], atol=1e-3, rtol=0
        )


@pytest.fixture
def measured_anew():
    packed_linear.columns_win.cache_clear()
    yield
    packed_linear.columns_win.cache_clear()


def test_measuring_leaves_random_numbers_alone(measured_anew):
    before = torch.random.get_rng_state()
    packed_linear.columns_win()
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize('faster', ['columns', 'blocks'])
def test_many_rows_take_what_is_faster_here(faster, monkeypatch, measured_anew):
    """One way is held up; few rows take blocks whatever is measured."""

    def slow(function):
        def held_up(*args):
            end = time.thread_time() + 0.05
            while time.thread_time() < end:
                pass
            return function(*args)

        return held_up

    over_blocks = packed_linear._times_blocks
    if faster == 'columns':
        monkeypatch.setattr(packed_linear, '_times_blocks', slow(over_blocks))
    else:
        monkeypatch.setattr(torch, 'mm', slow(torch.mm))
    assert packed_linear.columns_win() == (faster == 'columns')

    rows_over_blocks = []

    def watched(x, blocks):
        rows_over_blocks.append(len(x))
        return over_blocks(x, blocks)

    monkeypatch.setattr(packed_linear, '_times_blocks', watched)
    linear = BlockLinear(torch.randn(1100, 1000))
    for rows in (1, 8, 64, 300):
        linear(torch.randn(rows, 1000))
    assert rows_over_blocks == ([8] if faster == 'columns' else [8, 64, 300])
