# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Whether a folder holds a drafter, and one of its target; each check raises CheckpointError."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from spec_vla_ros.models.files.config_kind import refuse_quantised
from spec_vla_ros.models.files.drafter_weights import PICKLED, drafter_weight_files
from spec_vla_ros.models.files.folders import CheckpointError, is_there, missing, shorten
from spec_vla_ros.models.files.weight_files import DEEPSPEED_SCRIPT
from spec_vla_ros.models.llama import Llama
from spec_vla_ros.models.llama_config import LlamaConfig

EMBEDDING = 'embed_tokens.weight'
"""Key of the embedding, which a drafter may have: a copy of the target's."""
BIAS = 'fc.bias'
"""Key of the bias, which may be missing, and is zero then."""

_WORDS = 64  # roughly the tokens of an instruction and an action
_WAY_ON = (
    'Train one with `spec-vla drafter-data` and `spec-vla train-drafter`, or give one as Spec-VLA '
    'and EAGLE-1 have them'
)


def refuse_states(folder: Path) -> None:
    """Refuse what a training of EAGLE or Spec-VLA saves to go on, where a step is still missing.

    Raises:
        CheckpointError: the message says which step.
    """
    weights = drafter_weight_files(folder)
    if not weights and (folder / DEEPSPEED_SCRIPT).is_file():
        raise CheckpointError(
            f'{folder} is the state of a training with DeepSpeed, and has no file of weights: its '
            f'{DEEPSPEED_SCRIPT} writes {PICKLED}; put that file here'
        )
    config = folder / 'config.json'
    if weights and not is_there(config):
        raise CheckpointError(
            f'{missing(config)}; trainings of EAGLE and Spec-VLA save {weights[0].name} alone: '
            'copy there the config file that the training was given (--configpath)'
        )


def refuse_others(folder: Path, config: Mapping[str, Any], weights: Iterable[str]) -> None:
    """Refuse other kinds of drafters by name, rather than by keys that do not fit."""
    if config.get('model_type') == 'medusa' or 'medusa_num_heads' in config:
        raise CheckpointError(f'{folder} has Medusa heads, which are not computed here. {_WAY_ON}')
    if 'speculators_model_type' in config or config.get('model_type') == 'eagle':
        raise CheckpointError(
            f'{folder} was converted for vLLM, and calls its weights otherwise: give the drafter '
            'that it was made from'
        )
    if config.get('model_type') == 'openvla':
        raise CheckpointError(f'{folder} is an OpenVLA checkpoint, and no drafter. {_WAY_ON}')
    refuse_quantised(folder / 'config.json', config)
    classes = f'{config.get("architectures")}'.lower()
    own = [key for key in weights if key in ('d2t', 't2d') or key.startswith('midlayer.')]
    if own or 'draft_vocab_size' in config or 'eagle3' in classes:
        raise CheckpointError(
            f'{folder} is an EAGLE-3 drafter, which reads several layers of the target and has a '
            f'vocabulary of its own: it is not computed here. {_WAY_ON}'
        )


def check_sizes(folder: Path, config: LlamaConfig, target: LlamaConfig) -> None:
    """Make sure that a drafter has the hidden size and the vocabulary of its target."""
    for name in ('hidden_size', 'vocab_size'):
        ours, theirs = getattr(config, name), getattr(target, name)
        if ours != theirs:
            raise CheckpointError(
                f'{folder} was made for another target: {name} is {ours}, the target has {theirs}'
            )


def check_shapes(
    folder: Path,
    config: Mapping[str, Any],
    expected: Mapping[str, tuple[int, ...]],
    shapes: Mapping[str, tuple[int, ...]],
) -> None:
    """Make sure that weights are those of a drafter, and no others.

    config: the content of its config.json.
    expected, shapes: key -> shape of what the drafter needs, and of what is there.
    """
    refuse_others(folder, config, shapes)
    problems = [
        f'{word}: {shorten(keys)}'
        for word, keys in (
            ('missing', expected.keys() - shapes.keys() - {BIAS}),
            ('unexpected', shapes.keys() - expected.keys() - {EMBEDDING}),
        )
        if keys
    ]
    problems += [
        f'{key} is {shapes[key]} and should be {shape}'
        for key, shape in expected.items()
        if key in shapes and shapes[key] != shape
    ]
    if problems:
        raise CheckpointError(f'{folder} is no drafter of this shape; {"; ".join(problems)}')


def check_target(
    folder: Path,
    config: LlamaConfig,
    embedding: Tensor | None,
    target: Llama,
    *,
    num_patches: int,
) -> None:
    """Make sure that a drafter fits the prompts and the embedding of its target.

    embedding: a drafter's own one, if its folder has one. It must be a copy of the target's, which
        is used instead.
    """
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
