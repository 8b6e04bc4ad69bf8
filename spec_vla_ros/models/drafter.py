# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The drafter: one Llama layer that predicts the target's next hidden state (EAGLE, 2401.15077).

At position i it reads the embedding of token i+1 and the target's hidden state at i; its output
stands for the hidden state at i+1, which the target's own head turns into scores.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from spec_vla_ros.decoding.kv_cache import KVCache
from spec_vla_ros.models.checkpoint_files import blaming
from spec_vla_ros.models.config_checks import check_llama
from spec_vla_ros.models.folders import (
    CheckpointError,
    folder_path,
    is_there,
    mend,
    read_json,
    shorten,
)
from spec_vla_ros.models.llama import (
    DecoderLayer,
    Llama,
    RotaryTable,
    causal_mask,
    refuse_padding,
)
from spec_vla_ros.models.llama_config import LlamaConfig
from spec_vla_ros.models.safetensors_files import check_finite
from spec_vla_ros.planning.rates import RateTable
from spec_vla_ros.types import POSITION_MODES, check_choice

_WORDS = 64  # tokens of an instruction and an action, roughly
_EMBEDDING = 'embed_tokens.weight'
_BIAS = 'fc.bias'  # drafters may be trained without one, which is one of zeros


class Drafter(nn.Module):
    """One decoder layer without input norm, behind a projection of (embedding, feature).

    Args:
        config: hidden size and vocabulary are the target's.
        position_mode: 'correct' lets the levels of a draft tree follow the cached sequence.
            'reference' gives them the positions that the published code gives them: counted from
            0 in the first round, later without the image patches. Drafters that were measured
            with it can be run as they were.
        num_patches: image patches in the prompt; only 'reference' needs it.
        window: how many of the prompt's last places it reads; None for all, as the published
            drafters do. What a target thinks of the image and the instruction is gathered in the
            hidden states of the prompt's end, and a drafter that reads these alone spares the
            target its last layer, and itself a pass, over all the rest.
        temperature: what its scores are to be divided by to give the probabilities that a draft
            is the target's greedy choice. Trained towards the target's soft distribution, a
            drafter by itself says less than it knows, and its trees grow broad instead of deep.
        rates: how often its drafts were accepted when it was trained; None: nobody measured.

    Raises:
        ValueError: unknown position mode, a window below 1 or beside reference positions, which
            count the places of the whole prompt, or a temperature that is not positive.
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
        if not temperature > 0:
            raise ValueError(f'the draft temperature must be above 0, not {temperature}')
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
        """Whether its positions follow the sequence; reference ones begin anew with the tree."""
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
            mask: as `Llama`'s.
            cache: the drafter's own past.
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
        """Rotary position of a draft tree's first level, behind `cached` entries."""
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


def load_drafter(
    folder: str | Path,
    target: Llama,
    *,
    num_patches: int,
    position_mode: str | None = None,
) -> Drafter:
    """Load a drafter folder: config.json and model.safetensors, or a published pytorch_model.bin.

    Args:
        folder: where it is.
        target: the language model it drafts for; gives device, dtype, embedding and head.
        num_patches: image patches in the prompt.
        position_mode: 'reference' or 'correct'; None takes `draft_position_mode` of config.json,
            or 'correct'.

    Raises:
        CheckpointError: a file is missing, keys or shapes do not fit, weights hold what is no
            number, or it was made for another target; the message says which.
    """
    folder = folder_path(folder)
    raw = read_json(folder / 'config.json')
    stored = raw.get('draft_acceptance')
    mode = position_mode or raw.get('draft_position_mode', 'correct')
    with blaming(f'{folder}'):
        config = LlamaConfig.from_dict(raw)
        check_llama(config)
        with torch.device('meta'):
            drafter = Drafter(
                config,
                position_mode=mode,
                num_patches=num_patches,
                window=raw.get('draft_window'),
                temperature=float(raw.get('draft_temperature', 1.0)),
                rates=None if stored is None else RateTable.from_dict(stored),
            )
    file, weights = _read_weights(folder)
    _check_target(folder, config, weights.pop(_EMBEDDING, None), target, num_patches=num_patches)
    expected = {name: tuple(p.shape) for name, p in drafter.named_parameters()}
    weights.setdefault(_BIAS, torch.zeros(expected[_BIAS]))
    _check_keys(folder, expected, weights)
    head = target.lm_head.weight
    weights = {key: weight.to(head.device, head.dtype) for key, weight in weights.items()}
    for key, weight in weights.items():
        check_finite(key, weight, file)
    drafter.load_state_dict(weights, strict=True, assign=True)
    return drafter.to(head.device).eval().requires_grad_(requires_grad=False)


def save_drafter(
    drafter: Drafter,
    folder: str | Path,
    *,
    temperature: float = 1.0,
    rates: RateTable | None = None,
) -> None:
    """Write a drafter folder that `load_drafter` reads: config.json and model.safetensors."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    config = {
        'model_type': 'llama',
        **dataclasses.asdict(drafter.config),
        'draft_position_mode': drafter.position_mode,
        'draft_window': drafter.window,
        'draft_temperature': temperature,
    }
    if rates is not None:
        config['draft_acceptance'] = rates.to_dict()
    (folder / 'config.json').write_text(json.dumps(config, indent=2) + '\n')
    weights = {name: p.detach().cpu().contiguous() for name, p in drafter.named_parameters()}
    save_file(weights, str(folder / 'model.safetensors'), metadata={'format': 'pt'})


def _read_weights(folder: Path) -> tuple[Path, dict[str, Tensor]]:
    """Return the folder's file of weights, and what is in it."""
    safetensors, pickled = folder / 'model.safetensors', folder / 'pytorch_model.bin'
    file = safetensors if is_there(safetensors) else pickled
    if not is_there(file):
        raise CheckpointError(f'{folder} has neither {safetensors.name} nor {pickled.name}')
    try:
        if file == safetensors:
            return file, load_file(file)
        # weights_only: tensors and nothing that could run code
        return file, dict(torch.load(file, map_location='cpu', weights_only=True))
    except Exception as error:  # each format has its own
        raise CheckpointError(
            f'{file} cannot be read as weights ({error}): {mend(file)}'
        ) from error


def _check_keys(
    folder: Path, expected: Mapping[str, tuple[int, ...]], weights: Mapping[str, Any]
) -> None:
    problems = [
        f'{word}: {shorten(keys)}'
        for word, keys in (
            ('missing', expected.keys() - weights.keys()),
            ('unexpected', weights.keys() - expected.keys()),
        )
        if keys
    ]
    problems += [
        f'{key} is {tuple(weights[key].shape)} and should be {shape}'
        for key, shape in expected.items()
        if key in weights and tuple(weights[key].shape) != shape
    ]
    if problems:
        raise CheckpointError(f'{folder} is no drafter of this shape; {"; ".join(problems)}')


def _check_target(
    folder: Path,
    config: LlamaConfig,
    embedding: Tensor | None,
    target: Llama,
    *,
    num_patches: int,
) -> None:
    """The embedding in the folder is a frozen copy of the target's, which is used instead."""
    for name in ('hidden_size', 'vocab_size'):
        ours, theirs = getattr(config, name), getattr(target.config, name)
        if ours != theirs:
            raise CheckpointError(
                f'{folder} was made for another target: {name} is {ours}, the target has {theirs}'
            )
    needed = min(num_patches + _WORDS, target.config.max_position_embeddings)
    if config.max_position_embeddings < needed:
        raise CheckpointError(
            f'{folder} has max_position_embeddings {config.max_position_embeddings}, and a prompt '
            f'and its action take up to {needed}; write the number that it was trained with into '
            'its config.json'
        )
    if embedding is None:
        return
    own = target.model.embed_tokens.weight
    if embedding.shape != own.shape or not torch.allclose(
        embedding.to(own.device, torch.float32), own.float(), rtol=0.02, atol=1e-3
    ):
        raise CheckpointError(
            f'{folder} was made for another target: its embedding differs from the target'
            "'s; use the drafter that belongs to this checkpoint"
        )
