# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Figures of a run against values worked out by hand."""

import numpy as np
import pytest
import torch

from spec_vla_ros.action_codec import ActionCodec
from spec_vla_ros.action_decoder import ActionDecoder
from spec_vla_ros.decoding.draft_tree import TreeShape
from spec_vla_ros.evaluation.measures import (
    decoding_figures,
    exactness,
    mean_deviation,
    mean_squared_jerk,
    wilson_interval,
)
from spec_vla_ros.models.drafter import Drafter
from spec_vla_ros.models.layouts.packed import PackedDrafter, PackedLlama
from spec_vla_ros.models.llama import Llama
from spec_vla_ros.models.llama_config import LlamaConfig
from spec_vla_ros.norm_stats import NormStats
from spec_vla_ros.types import DecodeStats, Decoding


def test_autoregressive_decoding_counts_seven_passes():
    figures = decoding_figures([DecodeStats('autoregressive', 7)] * 3, dimensions=7)
    assert figures.accept_length == pytest.approx(7 / 6)
    assert figures.tokens_per_pass == 1
    assert figures.target_passes == 7


def test_rounds_are_averaged_over_the_run_not_over_actions():
    stats = [DecodeStats('relaxed', 2, 5), DecodeStats('relaxed', 4, 7)]
    figures = decoding_figures(stats, dimensions=7)
    assert figures.accept_length == pytest.approx(14 / 4)
    assert figures.draft_passes == 6


def test_actions_that_need_no_round_at_all():
    assert decoding_figures([DecodeStats('relaxed', 1)], dimensions=7).accept_length is None
    with pytest.raises(ValueError, match='no actions'):
        decoding_figures([], dimensions=7)


def test_jerk_of_a_cubic_path():
    time = np.arange(8) * 0.1
    path = np.stack((time**3, 2 * time**3, np.zeros(8)), 1)
    assert mean_squared_jerk(path, interval=0.1) == pytest.approx(6**2 + 12**2)
    assert mean_squared_jerk(path[:, [2, 2, 2]], interval=0.1) == 0
    assert np.isnan(mean_squared_jerk(path[:3], interval=0.1))


def test_deviation_is_by_dimension():
    np.testing.assert_allclose(mean_deviation([[1, 2], [3, 2]], [[0, 2], [1, 1]]), [1.5, 0.5])


def test_wilson_interval_against_published_values():
    # Newcombe (1998), Statistics in Medicine 17, table I: 81 of 263 and 15 of 148
    np.testing.assert_allclose(wilson_interval(81, 263), (0.2553, 0.3662), atol=5e-5)
    np.testing.assert_allclose(wilson_interval(15, 148), (0.0624, 0.1605), atol=5e-5)
    with pytest.raises(ValueError, match='at least one'):
        wilson_interval(0, 0)


def test_exactness_counts_actions_and_the_farthest_token():
    found = exactness([[5, 5], [5, 9], [1, 5], [4, 4]], [[5, 5], [5, 5], [8, 6], [4, 4]])
    assert (found.actions, found.differing, found.largest_bins) == (4, 2, 7)
    assert str(found) == '2 of 4 (50.0%), by up to 7 bins'
    assert str(exactness([[5, 5]], [[5, 5]])) == '0 of 1 (0.0%)'
    with pytest.raises(ValueError, match='no actions'):
        exactness([], [])


def strict_against_autoregressive(dtype, shape):
    """Of random models, decoded in a precision; prompts change a little, as pictures do."""
    arm = NormStats('arm', -np.ones(7), np.ones(7), np.ones(7, bool))
    codec = ActionCodec(arm, vocab_size=320)
    config = LlamaConfig.from_dict(
        {
            'vocab_size': 384,
            'hidden_size': 64,
            'intermediate_size': 96,
            'num_hidden_layers': 4,
            'num_attention_heads': 4,
            'num_key_value_heads': 4,
            'max_position_embeddings': 64,
        }
    )
    found = []
    for seed in range(4):
        torch.manual_seed(seed)
        models = [
            make(config).eval().requires_grad_(requires_grad=False) for make in (Llama, Drafter)
        ]
        for weight in models[0].parameters():
            if weight.dim() > 1:
                weight.mul_(2.0)
        models[0].lm_head.weight[:64] *= 0.1
        models[0].lm_head.weight[320:] *= 0.1
        target = PackedLlama(models[0].to(dtype))
        drafter = PackedDrafter(models[1].to(dtype))
        plain = ActionDecoder(target, codec)
        strict = ActionDecoder(target, codec, drafter=drafter, tree=shape)
        first, drift = torch.randn(1, 12, 64), 0.02 * torch.randn(1, 12, 64)
        for stamp_ns in range(30):
            prompt = (first + stamp_ns * drift).to(dtype)
            found.append(
                [
                    decoder.decode(prompt, way, instruction='go', stamp_ns=stamp_ns).tokens.numpy()
                    for decoder, way in ((strict, Decoding('strict')), (plain, Decoding()))
                ]
            )
    return exactness(*np.moveaxis(found, 1, 0))


@pytest.mark.parametrize('shape', [TreeShape(1, 6, 6), TreeShape(4, 3, 10)], ids=['chain', 'tree'])
def test_strict_decoding_is_exact_in_float32_and_not_always_in_bfloat16(shape):
    assert strict_against_autoregressive(torch.float32, shape).differing == 0
    rounded = strict_against_autoregressive(torch.bfloat16, shape)
    assert 0 < rounded.differing < rounded.actions / 4
    assert rounded.largest_bins > 0
