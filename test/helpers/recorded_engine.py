# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Small models decoding with recordings, emulated on the CPU or as graphs on a GPU."""

import pytest
import torch
from recorded_ops import OpRecorder, torch_only  # noqa: F401 - a fixture
from small_models import ACTION_IDS, merged, random_drafter, random_prompt, random_target

from spec_vla_ros.decoding.acceptance import within_bins
from spec_vla_ros.decoding.cuda.graph_runner import GraphRunner
from spec_vla_ros.decoding.cuda.recording import CudaRecorder
from spec_vla_ros.decoding.draft_tree import TreeShape, spaced
from spec_vla_ros.decoding.drafting import TreeDrafter
from spec_vla_ros.decoding.generate import FixedCount
from spec_vla_ros.models.layouts.packed import PackedDrafter, PackedLlama
from spec_vla_ros.planning.plan import TreePlan
from spec_vla_ros.types import thresholds_by_dimension

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

    def __init__(self, seed, device, *, runner, **drafter):
        self.target = PackedLlama(random_target(seed).to(device))
        model = PackedDrafter(random_drafter(seed, **drafter).to(device))
        self.drafter = TreeDrafter(model, self.target, ids=ACTION_IDS)
        self.cache = self.target.new_cache(120)
        self.runner, self.device = runner, device
        self._rules = {}

    def autoregressive(self, prompt):
        return self.runner.autoregressive(
            self.target, prompt.to(self.device), num_tokens=7, cache=self.cache
        )

    def speculative(self, prompt, threshold, shape, draft=None):
        accept, tree = self._rule(threshold, shape)
        return self.runner.speculative(
            self.target,
            self.drafter,
            prompt.to(self.device),
            accept=accept,
            tree=tree,
            stop=FixedCount(7),
            draft=draft,
            cache=self.cache,
        )

    def _rule(self, threshold, shape):
        """The same rule each time, as a decoder keeps them."""
        if (threshold, shape) not in self._rules:
            thresholds = thresholds_by_dimension(threshold, 7)
            accept = within_bins(thresholds, action_ids=ACTION_IDS, device=self.device)
            self._rules[threshold, shape] = accept, spaced(SHAPES[shape], thresholds)
        return self._rules[threshold, shape]


def graphs(device):
    recorder = OpRecorder() if device == 'cpu' else CudaRecorder(torch.device(device))
    return GraphRunner(recorder)


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
    return merged(torch.cat((rows, more)))
