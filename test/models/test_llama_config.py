# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""A checkpoint's text_config is read in either style, and refused where it asks for more."""

import pytest

from spec_vla_ros.models.llama_config import LlamaConfig

HEADS = {'hidden_size': 64, 'num_attention_heads': 4}


def test_defaults_are_llama_2_7b():
    config = LlamaConfig.from_dict({'model_type': 'llama', 'vocab_size': 32064})
    assert (config.hidden_size, config.num_hidden_layers, config.head_dim) == (4096, 32, 128)
    assert (config.rms_norm_eps, config.max_position_embeddings) == (1e-6, 2048)


def test_it_reads_the_rotary_base_from_either_place():
    assert LlamaConfig.from_dict({'rope_theta': 5e5}).rope_theta == 5e5
    new_style = {'rope_parameters': {'rope_type': 'default', 'rope_theta': 3e4}}
    assert LlamaConfig.from_dict(new_style).rope_theta == 3e4


@pytest.mark.parametrize(
    ('wrong', 'named'),
    [
        ({'hidden_act': 'gelu'}, 'hidden_act'),
        ({'model_type': 'mistral'}, 'model_type'),
        ({'attention_bias': True}, 'attention_bias'),
        ({'rope_scaling': {'type': 'linear', 'factor': 2.0}}, 'linear'),
        ({'num_attention_heads': 6, 'num_key_value_heads': 4}, 'num_key_value_heads'),
    ],
)
def test_it_refuses_what_it_does_not_compute(wrong, named):
    with pytest.raises(ValueError, match=named):
        LlamaConfig.from_dict({**HEADS, **wrong})
