# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Refuses impossible sizes in a config, which would use up all memory before any other error."""

from __future__ import annotations

import math
from collections.abc import Iterable

from spec_vla_ros.models.llama_config import LlamaConfig

_LARGEST = {
    'vocab_size': 2**20,
    'hidden_size': 2**16,
    'intermediate_size': 2**20,
    'num_hidden_layers': 1024,
    'num_attention_heads': 4096,
    'num_key_value_heads': 4096,
    'head_dim': 4096,
    'max_position_embeddings': 2**20,
}


def check_sizes(sizes: Iterable[tuple[str, object, int]]) -> None:
    """Check sizes, each given as (name, value, largest valid value).

    Raises:
        ValueError: a value is no whole number from 1 to the largest.
    """
    for name, size, largest in sizes:
        if type(size) is not int or not 0 < size <= largest:
            raise ValueError(f'{name} is {size!r}, expected a whole number in 1 .. {largest}')


def check_llama(config: LlamaConfig) -> None:
    """Check every number in the config of a language model or drafter.

    Raises:
        ValueError: one has a wrong type or is out of range.
    """
    check_sizes((name, getattr(config, name), largest) for name, largest in _LARGEST.items())
    for name in ('rms_norm_eps', 'rope_theta'):
        number = getattr(config, name)
        if type(number) not in (int, float) or not 0 < number < math.inf:
            raise ValueError(f'{name} is {number!r}, expected a number above 0')
