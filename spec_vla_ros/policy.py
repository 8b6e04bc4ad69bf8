# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The policy: an observation goes in, an action comes out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from spec_vla_ros.decoding.generate import Decoded, autoregressive_generate
from spec_vla_ros.decoding.kv_cache import KVCache
from spec_vla_ros.decoding.timing import PhaseTimer
from spec_vla_ros.models.checkpoint import OpenVLACheckpoint, load_openvla, read_config
from spec_vla_ros.models.openvla import multimodal_embeds
from spec_vla_ros.models.safetensors_files import Progress
from spec_vla_ros.protocols import Action, Observation


@dataclass(frozen=True, slots=True)
class CheckpointInfo:
    """What is loaded, for logs and diagnostics."""

    folder: Path
    unnorm_key: str
    unnorm_keys: tuple[str, ...]
    action_dimensions: int
    parameters: int
    device: str
    dtype: str


class SpecVlaPolicy:
    """An OpenVLA checkpoint that turns observations into actions.

    One inference at a time: call it from one thread.

    Args:
        checkpoint: what `load_openvla` returns.
        unnorm_key: which norm stats to un-normalise with, see `NormStats.select`.

    Raises:
        ValueError: the key is unknown; the message lists the valid ones.
    """

    def __init__(self, checkpoint: OpenVLACheckpoint, *, unnorm_key: str | None = None) -> None:
        self._checkpoint = checkpoint
        self._model = checkpoint.model
        self._codec = checkpoint.config.codec(unnorm_key)
        self._prompt: tuple[str, Tensor] | None = None
        self._cache: KVCache | None = None

    @property
    def checkpoint_info(self) -> CheckpointInfo:
        """What is loaded."""
        config = self._checkpoint.config
        return CheckpointInfo(
            folder=self._checkpoint.folder,
            unnorm_key=self._codec.stats.key,
            unnorm_keys=tuple(sorted(config.norm_stats)),
            action_dimensions=self._codec.stats.dimensions,
            parameters=sum(p.numel() for p in self._model.parameters()),
            device=str(self._model.device),
            dtype=str(self._model.dtype).removeprefix('torch.'),
        )

    @torch.inference_mode()
    def infer(self, observation: Observation) -> Action:
        """Return the action for this observation.

        Raises:
            ValueError: the image is not (H, W, 3) uint8, or the instruction has unknown words or
                is too long.
        """
        timer = PhaseTimer(self._model.device)
        with timer.phase('vision'):
            pixel_values = self._checkpoint.image_processor(observation.image)
            image_embeds = self._model.image_embeds(pixel_values)
            prompt_embeds = self._prompt_embeds(observation.instruction)
            prompt = multimodal_embeds(prompt_embeds, image_embeds)
        decoded = self._decode(prompt)
        phases = {**timer.milliseconds(), **decoded.stats.phases_ms}
        tokens = decoded.tokens.numpy()
        normalised = self._codec.tokens_to_normalised(tokens)
        return Action(
            values=self._codec.stats.unnormalise(normalised),
            normalised=normalised,
            tokens=tokens,
            stats=replace(decoded.stats, phases_ms=phases),
        )

    def reset(self) -> None:
        """Forget everything kept from earlier observations."""
        self._prompt = None

    def warm_up(self) -> None:
        """Run once on an empty image and prompt, so that the first real action is not slower."""
        black = np.zeros((64, 64, 3), np.uint8)
        with torch.inference_mode():
            image_embeds = self._model.image_embeds(self._checkpoint.image_processor(black))
            prompt_embeds = self._model.prompt_embeds(self._checkpoint.prompt_processor([]))
            self._decode(multimodal_embeds(prompt_embeds, image_embeds))

    def _decode(self, prompt: Tensor) -> Decoded:
        num_tokens = self._codec.stats.dimensions
        needed, limit = prompt.shape[1] + num_tokens, self._checkpoint.config.text
        if needed > limit.max_position_embeddings:
            raise ValueError(
                f'the instruction is too long: image, prompt and action take {needed} positions '
                f'and the model has {limit.max_position_embeddings}'
            )
        if self._cache is None or self._cache.max_len < needed:
            self._cache = self._model.language_model.new_cache(needed)
        return autoregressive_generate(
            self._model.language_model, prompt, num_tokens=num_tokens, cache=self._cache
        )

    def _prompt_embeds(self, instruction: str) -> Tensor:
        """Return the instruction's embeddings (1, L, H), kept while it stays the same."""
        if self._prompt is None or self._prompt[0] != instruction:
            ids = self._checkpoint.prompt_processor(instruction)
            self._prompt = (instruction, self._model.prompt_embeds(ids))
        return self._prompt[1]


def load_policy(
    checkpoint: str | Path,
    *,
    unnorm_key: str | None = None,
    device: str = 'auto',
    dtype: str = 'auto',
    progress: Progress | None = None,
) -> SpecVlaPolicy:
    """Load a policy from an OpenVLA checkpoint folder.

    Args:
        checkpoint: the folder, see `load_openvla`.
        unnorm_key: which norm stats to un-normalise with; may be None where there is only one.
        device: 'auto', 'cpu', 'cuda', 'cuda:1' and so on.
        dtype: 'auto', 'float32', 'float16', 'bfloat16'.
        progress: called with (bytes loaded, bytes in all).

    Raises:
        CheckpointError: the folder cannot be used; the message says why.
        ValueError: unknown `unnorm_key`, device or dtype; the message lists the valid ones.
    """
    read_config(checkpoint).codec(unnorm_key)  # a wrong key is told before the weights are read
    loaded = load_openvla(checkpoint, device=device, dtype=dtype, progress=progress)
    return SpecVlaPolicy(loaded, unnorm_key=unnorm_key)
