# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""A target without its layers: embedding, head and stored features are enough to train a drafter.

So a drafter can be trained on a GPU that is too small for its target.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import torch
from torch import Tensor

from spec_vla_ros.decoding.kv_cache import KVCache
from spec_vla_ros.models.checkpoint_files import read_config
from spec_vla_ros.models.files.safetensors_files import find_tensors, load_tensors
from spec_vla_ros.models.llama import Llama

_PREFIX = 'language_model.'


def load_target_head(folder: Path, *, device: torch.device) -> Llama:
    """Load an OpenVLA checkpoint's language model without its layers, in float32.

    Raises:
        CheckpointError: the folder cannot be used; the message says why.
    """
    config = dataclasses.replace(read_config(folder).text, num_hidden_layers=0)
    with torch.device('meta'):
        head = Llama(config)
    keys = {_PREFIX + name for name, _ in head.named_parameters()}
    load_tensors(
        head,
        {key: stored for key, stored in find_tensors(folder).items() if key in keys},
        key_of=lambda name: _PREFIX + name,
        device=torch.device('cpu'),
        dtype=torch.float32,
    )
    return head.to(device).eval()


class StoredTarget:
    """A target that returns stored features, to measure a drafter's accept length.

    The features are right on the path of the target's own greedy tokens only. That suffices for
    strict acceptance, which rejects a draft token off that path and all tokens below it. So strict
    decoding has the same result as with the target itself.

    Args:
        head: gives embedding and head.
        hidden: (S, H), the target's features of the prompt and its greedy tokens.
    """

    def __init__(self, head: Llama, hidden: Tensor) -> None:
        self._hidden = hidden
        self.embed = head.embed
        self.logits = head.logits
        self.new_cache = head.new_cache

    def __call__(
        self,
        embeds: Tensor,
        *,
        positions: Tensor | range,
        mask: Tensor | None,
        cache: KVCache,
        outputs: int | None = None,
    ) -> Tensor:
        """Return the features stored for these positions, (1, S, H), or the last `outputs`."""
        cache.advance(embeds.shape[1])
        hidden = self._hidden[None, positions]
        return hidden if outputs is None else hidden[:, -outputs:]
