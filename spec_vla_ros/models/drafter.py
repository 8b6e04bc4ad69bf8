# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The drafter: one Llama layer that predicts the target's next hidden state (EAGLE, 2401.15077).

At position i, it reads the embedding of token i+1 and the target's hidden state at i. Its output
predicts the hidden state at i+1, from which the target's own head computes scores.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from spec_vla_ros.decoding.kv_cache import KVCache
from spec_vla_ros.models.llama import (
    DecoderLayer,
    RotaryTable,
    causal_mask,
    refuse_padding,
)
from spec_vla_ros.models.llama_config import LlamaConfig
from spec_vla_ros.planning.rates import RateTable
from spec_vla_ros.types import POSITION_MODES, check_choice


class Drafter(nn.Module):
    """A projection of (embedding, feature), and one decoder layer without input norm.

    Args:
        config: its shape; hidden size and vocabulary must be the target's.
        position_mode: rotary positions of a draft tree's levels. With 'correct' they follow the
            cached sequence. With 'reference' they are those of the published code: counted from 0
            in the first round, and without the image patches later. It is for running drafters
            as they were measured with that code.
        num_patches: image patches in the prompt; only 'reference' needs it.
        window: how many of the prompt's last places it reads; None for all, as published drafters
            do. The hidden states at the end of the prompt gather what the target knows of image
            and instruction. If the drafter reads only these, the target's last layer and the
            drafter need not be computed for the rest of the prompt.
        temperature: divides the scores so that they give the probabilities that a draft token is
            the target's greedy choice. A drafter that was trained on the target's soft
            distribution is less certain than it could be, so without this its trees would grow
            too broad and too shallow.
        rates: how often its drafts were accepted when it was trained; None if not measured.

    Raises:
        ValueError: the position mode is unknown, the window is below 1 or is given together with
            reference positions, or the temperature is not positive and finite.
    """

    layers: Sequence[DecoderLayer]

    def __init__(
        self,
        config: LlamaConfig,
        *,
        position_mode: str = 'correct',
        num_patches: int = 0,
        window: int | None = None,
        temperature: float = 1.0,
        rates: RateTable | None = None,
    ) -> None:
        super().__init__()
        check_choice('draft_position_mode', position_mode, POSITION_MODES)
        if window is not None and (type(window) is not int or window < 1):
            raise ValueError(
                f'the draft window must be a whole number from 1, or null for all, not {window!r}'
            )
        if window is not None and position_mode == 'reference':
            raise ValueError(
                'a draft window needs correct draft positions: reference ones count the places of '
                'the whole prompt'
            )
        if not 0 < temperature < math.inf:
            raise ValueError(f'the draft temperature must be above 0 and finite: {temperature}')
        self.window, self.temperature, self.rates = window, temperature, rates
        self.config = config
        self.position_mode = position_mode
        self.num_patches = num_patches
        self.fc = nn.Linear(2 * config.hidden_size, config.hidden_size)
        layers = nn.ModuleList([DecoderLayer(config, 0, input_norm=False)])
        self.layers = cast('Sequence[DecoderLayer]', layers)
        self.rotary = RotaryTable(config)

    @property
    def counts_from_prompt(self) -> bool:
        """Whether its positions follow the sequence; reference positions start again per tree."""
        return self.position_mode == 'correct'

    def forward(
        self,
        embeds: Tensor,
        features: Tensor,
        *,
        positions: Tensor | range,
        mask: Tensor | None = None,
        cache: KVCache | None = None,
        outputs: int | None = None,
    ) -> Tensor:
        """Predict the features of the next positions; differentiable without a cache.

        Args:
            embeds: (B, S, H), embeddings of the tokens at i+1.
            features: (B, S, H), hidden states at i: the target's, or predicted ones.
            positions: (S,) or (B, S) int64, or a range.
            mask: as for `Llama`.
            cache: the drafter's own past keys and values.
            outputs: how many of the last positions to return; None for all.

        Returns:
            (B, outputs or S, H), predicted hidden states at i+1.
        """
        length = embeds.shape[1]
        if cache is not None:
            refuse_padding(cache)
        past = cache.length if cache is not None else 0
        if mask is None and past and length > 1:
            mask = causal_mask(past, length, device=embeds.device)
        x = self.fc(torch.cat((embeds, features), dim=-1))
        x = self.layers[0](x, self.rotary(positions, x.dtype), mask, cache)
        if cache is not None:
            cache.advance(length)
        return x if outputs is None else x[:, -outputs:]

    def tree_position(self, cached: int, *, first_round: bool) -> int:
        """Return the rotary position of a draft tree's first level, after `cached` entries."""
        if self.position_mode == 'correct':
            return cached
        return 0 if first_round else cached - self.num_patches

    def new_cache(self, max_len: int) -> KVCache:
        """Return an empty cache for this drafter."""
        return KVCache(
            layers=1,
            kv_heads=self.config.num_key_value_heads,
            head_dim=self.config.head_dim,
            max_len=max_len,
            dtype=self.fc.weight.dtype,
            device=self.fc.weight.device,
        )
