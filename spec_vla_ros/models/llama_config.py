# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The shape of a Llama language model, read from a checkpoint's config if it is supported."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class LlamaConfig:
    """Shape of a Llama; the defaults are Llama-2-7B's, as in transformers' `LlamaConfig`."""

    vocab_size: int = 32000
    hidden_size: int = 4096
    intermediate_size: int = 11008
    num_hidden_layers: int = 32
    num_attention_heads: int = 32
    num_key_value_heads: int = 32
    head_dim: int = 128
    rms_norm_eps: float = 1e-6
    rope_theta: float = 10000.0
    max_position_embeddings: int = 2048

    def __post_init__(self) -> None:
        if self.num_attention_heads % self.num_key_value_heads:
            raise ValueError(
                f'num_attention_heads {self.num_attention_heads} is not a multiple of '
                f'num_key_value_heads {self.num_key_value_heads}'
            )
        if self.head_dim % 2:
            raise ValueError(f'head_dim {self.head_dim} must be even for rotary positions')

    @classmethod
    def from_dict(cls, config: Mapping[str, Any], *, within: str = 'text_config.') -> LlamaConfig:
        """Read the `text_config` of a checkpoint; missing values have their defaults.

        within: where its keys stand in config.json, for error messages; '' for those of a drafter.

        Raises:
            ValueError: the config needs something that `llama.Llama` does not support.
        """
        _refuse_variants(config, within)
        given = {k: config[k] for k in cls.__slots__ if config.get(k) is not None}
        heads = given.setdefault('num_attention_heads', 32)
        given.setdefault('num_key_value_heads', heads)
        given.setdefault('head_dim', given.get('hidden_size', 4096) // heads)
        rope = config.get('rope_parameters') or {}  # where transformers >= 5 keeps the base
        if 'rope_theta' in rope:
            given['rope_theta'] = rope['rope_theta']
        return cls(**given)


def _refuse_variants(config: Mapping[str, Any], within: str) -> None:
    expected = {
        'model_type': 'llama',
        'hidden_act': 'silu',
        'attention_bias': False,
        'mlp_bias': False,
        'tie_word_embeddings': False,
        'pretraining_tp': 1,
    }
    for key, value in expected.items():
        if config.get(key, value) != value:
            raise ValueError(
                f'{within}{key} is {config[key]!r}: only {value!r} is supported; use a '
                'checkpoint, or a drafter, with a plain Llama language model'
            )
    rope = config.get('rope_scaling') or config.get('rope_parameters') or {}
    named = isinstance(rope, Mapping)
    kind = rope.get('rope_type', rope.get('type', 'default')) if named else rope
    if kind != 'default':
        raise ValueError(f'rotary scaling {kind!r} is not supported: only the default is')
