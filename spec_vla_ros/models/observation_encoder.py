# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Turns an observation into the embeddings with which the language model is prefilled."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from torch import Tensor

from spec_vla_ros.decoding.generate import Run, call_step
from spec_vla_ros.device import upload
from spec_vla_ros.models.checkpoint import OpenVLACheckpoint
from spec_vla_ros.models.openvla import multimodal_embeds
from spec_vla_ros.types import Observation


class ObservationEncoder:
    """Encodes observations; keeps the instruction's embeddings as long as it stays the same.

    Args:
        checkpoint: the target, and how its images and prompts are prepared.
        num_tokens: tokens of an action, which must fit behind the prompt.
        run: how the vision pass is run, see `generate.Run`.
        prepare: applied to a picture before the checkpoint's own image processor.

    Raises:
        ValueError: the language model has too few positions for a usual instruction.
    """

    def __init__(
        self,
        checkpoint: OpenVLACheckpoint,
        *,
        num_tokens: int,
        run: Run = call_step,
        prepare: Callable[[np.ndarray], np.ndarray] = np.asarray,
    ) -> None:
        self._model = checkpoint.model
        self._prepare = prepare
        self._process_image = checkpoint.image_processor
        self._process_prompt = checkpoint.prompt_processor
        self._limit = checkpoint.config.text.max_position_embeddings - num_tokens
        self._run, self._num_tokens = run, num_tokens
        self._instruction: tuple[str, Tensor] | None = None
        patches = self._model.vision_backbone.num_patches
        if (usual := patches + self._process_prompt.usual().shape[1]) > self._limit:
            raise ValueError(
                f'max_position_embeddings is {self._limit + num_tokens}, and image, prompt and '
                f'action take {usual + num_tokens} positions with a usual instruction: write the '
                "number that the language model was trained with into the checkpoint's config.json"
            )

    def __call__(self, observation: Observation) -> Tensor:
        """Return [BOS, patches, rest of the prompt] as embeddings (1, L + P, H).

        Raises:
            ValueError: the image is not (H, W, 3) uint8, or the instruction has unknown words or
                is too long.
        """
        image_embeds = self._image_embeds(observation.image)
        prompt = multimodal_embeds(self._prompt_embeds(observation.instruction), image_embeds)
        if prompt.shape[1] > self._limit:
            raise ValueError(
                f'the instruction is too long: image, prompt and action take '
                f'{prompt.shape[1] + self._num_tokens} positions and the model has '
                f'{self._limit + self._num_tokens}'
            )
        return prompt

    def warm_up(self) -> Tensor:
        """Run the towers so that later runs are fast; return a usual prompt, (1, L + P, H)."""
        black = np.zeros((64, 64, 3), np.uint8)
        words = self._model.prompt_embeds(self._process_prompt.usual())
        return multimodal_embeds(words, self._image_embeds(black))

    def reset(self) -> None:
        """Forget the instruction."""
        self._instruction = None

    def _image_embeds(self, image: np.ndarray) -> Tensor:
        """Return the embeddings of the patches (1, P, H)."""
        pixel_values = self._process_image(self._prepare(image))
        pixels = upload(pixel_values, self._model.device).to(self._model.dtype)
        return self._run('vision', self._model.image_embeds, pixels)

    def _prompt_embeds(self, instruction: str) -> Tensor:
        """Return the instruction's embeddings (1, L, H)."""
        if self._instruction is None or self._instruction[0] != instruction:
            ids = self._process_prompt(instruction)
            self._instruction = (instruction, self._model.prompt_embeds(ids))
        return self._instruction[1]
