# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Random targets and drafters that take milliseconds, for properties that hold for all models."""

import torch

from spec_vla_ros.decoding.acceptance import within_bins
from spec_vla_ros.decoding.draft_tree import DraftTree, TreeShape, spaced
from spec_vla_ros.decoding.drafting import TreeDrafter
from spec_vla_ros.decoding.generate import FixedCount
from spec_vla_ros.decoding.speculative import speculative_generate
from spec_vla_ros.models.drafter import Drafter
from spec_vla_ros.models.llama import Llama
from spec_vla_ros.models.llama_config import LlamaConfig
from spec_vla_ros.types import thresholds_by_dimension

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


def merged(guesses):
    """The tree of whole guesses (C, D) that may begin alike, below a root of id 0."""
    tokens, parents, nodes = [0], [0], {(): 0}
    for depth in range(1, 1 + guesses.shape[1]):
        for guess in map(tuple, guesses[:, :depth].tolist()):
            if guess not in nodes:
                nodes[guess] = len(tokens)
                tokens.append(guess[-1])
                parents.append(nodes[guess[:-1]])
    return DraftTree.from_lists(tokens, parents)


def speculate(target, drafter, prompt, threshold=0, *, dimensions=7, **options):
    """Decode speculatively; what is not said is as a decoder would have it.

    drafter: a network, or a `TreeDrafter` to be used again.
    """
    thresholds = thresholds_by_dimension(threshold, dimensions)
    ids = options.pop('ids', ACTION_IDS)
    if not isinstance(drafter, TreeDrafter):
        drafter = TreeDrafter(drafter, target, ids=ids)
    return speculative_generate(
        target,
        drafter,
        prompt,
        accept=options.pop('accept', None) or within_bins(thresholds, action_ids=ACTION_IDS),
        tree=spaced(options.pop('tree', TreeShape()), thresholds),
        stop=options.pop('stop', FixedCount(dimensions)),
        **options,
    )


class TargetAsDrafter:
    """The target drafts for itself, optionally with noise on its hidden states.

    A drafter does not see the prompt's first embedding, so it is given here.
    """

    window, counts_from_prompt, temperature = None, True, 1.0

    def __init__(self, target, prompt, *, noise=0.0):
        self._target, self._first, self._noise = target, prompt[:, :1], noise
        self._generator = torch.Generator().manual_seed(0)

    def new_cache(self, max_len):
        return _BehindTheFirst(self._target.new_cache(max_len + 1))

    def tree_position(self, cached, *, first_round):
        return cached

    def __call__(self, embeds, features, *, positions, mask, cache, outputs=None):
        if cache.target.length == 0:
            self._target(self._first, positions=range(1), cache=cache.target)
        if isinstance(positions, range):
            positions = torch.arange(positions.start, positions.stop)
        if mask is not None:
            mask = torch.cat((mask.new_ones(len(mask), 1), mask), 1)
        hidden = self._target(embeds, positions=positions + 1, mask=mask, cache=cache.target)
        hidden = hidden + self._noise * torch.randn(hidden.shape, generator=self._generator)
        return hidden if outputs is None else hidden[:, -outputs:]


class _BehindTheFirst:
    """A target's cache as a drafter counts it: without the prompt's first place."""

    def __init__(self, target):
        self.target = target

    @property
    def length(self):
        return max(0, self.target.length - 1)

    def rewind(self, length):
        self.target.rewind(length + 1 if length else 0)
