# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Targets and initial embeddings respect the order of the bins."""

import torch

from spec_vla_ros.training.bin_targets import BINS, ordinal_embeddings, smoothed_targets


def test_targets_are_distributions_that_peak_at_the_bin():
    bins = torch.tensor([[3, 128], [200, 253]])
    targets = smoothed_targets(bins, sigma=1.0)
    assert targets.shape == (2, 2, BINS)
    torch.testing.assert_close(targets.sum(-1), torch.ones(2, 2))
    assert torch.equal(targets.argmax(-1), bins)
    torch.testing.assert_close(targets[0, 1, 127], targets[0, 1, 129])
    assert targets[0, 1, 127] > 0.1


def test_saturated_bins_stay_hard():
    targets = smoothed_targets(torch.tensor([0, BINS - 1]), sigma=1.0)
    torch.testing.assert_close(targets.max(-1).values, torch.ones(2))


def test_neighbouring_rows_are_alike():
    rows = ordinal_embeddings(64, generator=torch.Generator().manual_seed(0), scale=1.0)
    similarity = torch.cosine_similarity(rows[100], rows, dim=-1)
    assert similarity[101] > 0.95 > similarity[140]
