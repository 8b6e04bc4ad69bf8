# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Random targets and drafters that take milliseconds, for properties that hold for all models."""

import torch

from spec_vla_ros.models.drafter import Drafter
from spec_vla_ros.models.llama import Llama
from spec_vla_ros.models.llama_config import LlamaConfig

ACTION_IDS = range(64, 320)
CONFIG = LlamaConfig.from_dict(
    {
        'vocab_size': 384,
        'hidden_size': 32,
        'intermediate_size': 48,
        'num_hidden_layers': 2,
        'num_attention_heads': 4,
        'num_key_value_heads': 2,
        'max_position_embeddings': 128,
    }
)


def random_target(seed):
    """A target that mostly chooses actions, and now and then something else."""
    torch.manual_seed(seed)
    target = Llama(CONFIG).eval().requires_grad_(requires_grad=False)
    for parameter in target.parameters():
        if parameter.dim() > 1:
            parameter.mul_(2.0)
    target.lm_head.weight[:64] *= 0.6
    target.lm_head.weight[320:] *= 0.1
    return target


def random_drafter(seed, **options):
    torch.manual_seed(1000 + seed)
    return Drafter(CONFIG, **options).eval().requires_grad_(requires_grad=False)


def random_prompt(seed, length=9):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(1, length, 32, generator=generator)


class TargetAsDrafter:
    """The target drafts for itself, optionally with noise on its hidden states.

    A drafter does not see the prompt's first embedding, so it is given here.
    """

    window, counts_from_prompt = None, True

    def __init__(self, target, prompt, *, noise=0.0):
        self._target, self._first, self._noise = target, prompt[:, :1], noise
        self._generator = torch.Generator().manual_seed(0)

    def new_cache(self, max_len):
        return self._target.new_cache(max_len + 1)

    def tree_position(self, cached, *, first_round):
        return cached

    def __call__(self, embeds, features, *, positions, mask, cache, outputs=None):
        first = cache.length == 0
        if first:
            embeds = torch.cat((self._first, embeds), 1)
            positions = torch.arange(embeds.shape[1])
        hidden = self._target(embeds, positions=positions, mask=mask, cache=cache)[:, int(first) :]
        hidden = hidden + self._noise * torch.randn(hidden.shape, generator=self._generator)
        return hidden if outputs is None else hidden[:, -outputs:]
