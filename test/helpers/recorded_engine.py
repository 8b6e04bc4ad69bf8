# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Small models decoding with recorded steps, emulated on the CPU or as graphs on a GPU."""

import pytest
import torch
from recorded_ops import OpRecorder, torch_only  # noqa: F401 - a fixture
from small_models import ACTION_IDS, random_drafter, random_prompt, random_target

from spec_vla_ros.decoding.acceptance import per_dimension
from spec_vla_ros.decoding.cuda_graphs import CudaRecorder, GraphSteps
from spec_vla_ros.decoding.draft_tree import DraftTree, TreeShape
from spec_vla_ros.decoding.generate import autoregressive_generate
from spec_vla_ros.decoding.speculative import speculative_generate
from spec_vla_ros.decoding.speculative_settings import SpeculativeSettings
from spec_vla_ros.decoding.tree_plan import TreePlan
from spec_vla_ros.models.packed import PackedDrafter, PackedLlama

SHAPES = {
    'chain': TreeShape(1, 6, 6),
    'short chain': TreeShape(1, 2, 2),
    'tree': TreeShape(4, 3, 9),
    'plan': TreePlan((None, None, TreeShape(1, 1, 1), *[TreeShape(2, 2, 4)] * 4), (0.0,) * 7),
    'nothing': TreePlan((None,) * 7, (0.0,) * 7),
}
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a CUDA device')


class Engine:
    """A target, its drafter and their caches on a device."""

    def __init__(self, seed, device, *, steps, **drafter):
        self.target = PackedLlama(random_target(seed).to(device))
        self.drafter = PackedDrafter(random_drafter(seed, **drafter).to(device))
        self.caches = {
            'cache': self.target.new_cache(120),
            'draft_cache': self.drafter.new_cache(120),
        }
        self.steps, self.device = steps, device

    def autoregressive(self, prompt):
        return autoregressive_generate(
            self.target,
            prompt.to(self.device),
            num_tokens=7,
            cache=self.caches['cache'],
            steps=self.steps,
        )

    def speculative(self, prompt, distance, shape, draft=None):
        settings = SpeculativeSettings(
            per_dimension(distance, 7), action_ids=ACTION_IDS, shape=SHAPES[shape]
        )
        return speculative_generate(
            self.target,
            self.drafter,
            prompt.to(self.device),
            settings=settings,
            draft=draft,
            steps=self.steps,
            **self.caches,
        )


def graphs(device, *, branches=True):
    recorder = OpRecorder() if device == 'cpu' else CudaRecorder(torch.device(device))
    return GraphSteps(recorder, branches=branches)


def prompts(count):
    """Prompts of two lengths in turns."""
    return [random_prompt(i, length=9 + 2 * (i % 2)) for i in range(count)]


def guesses(prompt_seed, tokens):
    """A tree of guesses, right to a varying depth, with varying numbers of nodes."""
    generator = torch.Generator().manual_seed(prompt_seed)
    wrong = torch.randint(64, 320, (3, 6), generator=generator)
    right = prompt_seed % 7
    rows = torch.cat((tokens[:right], wrong[0, right:]))[None]
    more = wrong[1 : 1 + prompt_seed % 3]
    return DraftTree.from_candidates(torch.zeros(1, dtype=torch.int64), torch.cat((rows, more)))
