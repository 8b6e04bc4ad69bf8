# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""transformers' own `generate` on the same weights, to compare with: what one would run else."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from spec_vla_ros.models import timm_import  # noqa: F401 - transformers wants torchvision too
from spec_vla_ros.models.llama import Llama

import transformers  # isort: skip


class TransformersGenerate:
    """Greedy `generate` of `LlamaForCausalLM` with SDPA attention; all else is its default.

    The weights are copied into the layout that transformers uses.
    """

    def __init__(self, model: Llama) -> None:
        shape = dataclasses.asdict(model.config)
        shape['rope_parameters'] = {'rope_type': 'default', 'rope_theta': shape.pop('rope_theta')}
        weight = model.lm_head.weight
        with torch.device(weight.device):
            self._model = transformers.AutoModelForCausalLM.from_config(
                transformers.LlamaConfig(**shape),
                dtype=weight.dtype,
                attn_implementation='sdpa',
            )
        self._model.load_state_dict(model.state_dict())
        self._model.eval().requires_grad_(requires_grad=False)

    @torch.inference_mode()
    def __call__(self, prompt: Tensor, *, num_tokens: int) -> Tensor:
        """Return exactly `num_tokens` token ids, on the CPU; prompt: (1, S, H) embeddings."""
        wanted = transformers.GenerationConfig(
            max_new_tokens=num_tokens, do_sample=False, eos_token_id=None, pad_token_id=0
        )
        mask = torch.ones(prompt.shape[:2], dtype=torch.int64, device=prompt.device)
        found = self._model.generate(
            inputs_embeds=prompt, attention_mask=mask, generation_config=wanted
        )
        return found[0].cpu()
