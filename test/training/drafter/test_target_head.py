# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Embedding, head and stored features stand for the whole target in strict decoding."""

import pytest
import torch
from small_models import TargetAsDrafter, random_drafter, random_prompt, random_target, speculate
from toy_checkpoint import write_tiny

from spec_vla_ros.decoding.draft_tree import TreeShape
from spec_vla_ros.decoding.generate import autoregressive_generate
from spec_vla_ros.models.checkpoint import load_openvla
from spec_vla_ros.training.drafter.target_head import StoredTarget, load_target_head

pytestmark = pytest.mark.slow

DIMENSIONS = 7


def test_the_head_is_the_whole_models(tmp_path):
    whole = load_openvla(write_tiny(tmp_path), device='cpu', dtype='float32').model.language_model
    head = load_target_head(tmp_path, device=torch.device('cpu'))
    hidden, ids = torch.randn(3, 32), torch.arange(5)
    assert torch.equal(head.logits(hidden), whole.logits(hidden))
    assert torch.equal(head.embed(ids), whole.embed(ids))
    assert not any(name.startswith('model.layers') for name, _ in head.named_parameters())


@pytest.mark.parametrize('shape', [TreeShape(1, 6, 6), TreeShape(4, 6, 16), TreeShape(8, 2, 12)])
@pytest.mark.parametrize('noise', [None, 0.0, 0.3])
@torch.inference_mode()
def test_strict_decoding_goes_as_with_the_target(shape, noise):
    for seed in range(4):
        target, prompt = random_target(seed), random_prompt(seed)
        drafter = random_drafter(seed)
        if noise is not None:
            drafter = TargetAsDrafter(target, prompt, noise=noise)
        tokens = autoregressive_generate(target, prompt, num_tokens=DIMENSIONS).tokens
        embeds = torch.cat((prompt, target.embed(tokens[None, :-1])), dim=1)
        hidden = target(embeds, positions=torch.arange(embeds.shape[1]))[0]

        replayed = speculate(StoredTarget(target, hidden), drafter, prompt, tree=shape)
        if noise is not None:
            drafter = TargetAsDrafter(target, prompt, noise=noise)  # the same noise again
        real = speculate(target, drafter, prompt, tree=shape)
        assert torch.equal(replayed.tokens, tokens)
        assert replayed.accept_lengths == real.accept_lengths
