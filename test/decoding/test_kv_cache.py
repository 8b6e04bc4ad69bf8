# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The KV cache appends, compacts and truncates without losing or moving the wrong entries."""

import pytest
import torch

from spec_vla_ros.decoding.kv_cache import KVCache


def filled(count, max_len=16):
    """A cache whose entry i holds 100 * layer + i (keys) and its negative (values)."""
    cache = KVCache(layers=2, kv_heads=1, head_dim=4, max_len=max_len)
    entries = torch.arange(float(count)).view(1, 1, count, 1).expand(1, 1, count, 4)
    for layer in range(2):
        cache.append(layer, 100 * layer + entries, -100 * layer - entries)
    cache.advance(count)
    return cache


def held(cache, layer=0):
    empty = torch.empty(1, 1, 0, 4)
    keys, values = cache.append(layer, empty, empty)
    assert torch.equal(keys, -values)
    return keys[0, 0, :, 0].tolist()


def test_append_returns_old_and_new_in_order():
    cache = filled(3)
    new = torch.full((1, 1, 2, 4), 7.0)
    keys, values = cache.append(1, new, -new)
    assert keys[0, 0, :, 0].tolist() == [100, 101, 102, 7, 7]
    assert torch.equal(values, -keys)
    assert cache.length == 3  # until every layer has appended


def test_keep_compacts_the_accepted_entries_of_every_layer():
    cache = filled(10)
    cache.keep(torch.tensor([0, 2, 5]), base=4)
    assert held(cache, 0) == [0, 1, 2, 3, 4, 6, 9]
    assert held(cache, 1) == [100, 101, 102, 103, 104, 106, 109]


def test_keep_handles_overlapping_moves():
    cache = filled(8)
    cache.keep(torch.tensor([1, 2, 3, 4]), base=2)
    assert held(cache) == [0, 1, 3, 4, 5, 6]


def test_keep_of_nothing_truncates():
    cache = filled(8)
    cache.keep(torch.tensor([], dtype=torch.long), base=5)
    assert held(cache) == [0, 1, 2, 3, 4]


def test_truncate():
    cache = filled(8)
    cache.truncate(3)
    assert held(cache) == [0, 1, 2]
    with pytest.raises(ValueError, match='3 held'):
        cache.truncate(4)


def test_overflow_names_the_room_and_the_need():
    cache = filled(5, max_len=6)
    two = torch.zeros(1, 1, 2, 4)
    with pytest.raises(ValueError, match='room for 6 tokens and 7'):
        cache.append(0, two, two)


def test_the_buffer_is_never_reallocated():
    cache = filled(4)
    first, _ = cache.append(0, torch.zeros(1, 1, 1, 4), torch.zeros(1, 1, 1, 4))
    cache.keep(torch.tensor([0]), base=2)
    second, _ = cache.append(0, torch.zeros(1, 1, 1, 4), torch.zeros(1, 1, 1, 4))
    assert first.data_ptr() == second.data_ptr()
