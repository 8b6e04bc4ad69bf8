# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The KV cache appends, compacts, rewinds and grows without losing or moving the wrong entries."""

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


def keep(cache, indices, *, base):
    cache.gather(torch.tensor(indices, dtype=torch.int64), base=base)
    cache.rewind(base + len(indices))


def test_gathering_compacts_the_accepted_entries_of_every_layer():
    cache = filled(10)
    keep(cache, [0, 2, 5], base=4)
    assert held(cache, 0) == [0, 1, 2, 3, 4, 6, 9]
    assert held(cache, 1) == [100, 101, 102, 103, 104, 106, 109]


def test_moves_may_overlap():
    cache = filled(8)
    keep(cache, [1, 2, 3, 4], base=2)
    assert held(cache) == [0, 1, 3, 4, 5, 6]


def test_gathering_nothing_moves_nothing():
    cache = filled(8)
    keep(cache, [], base=5)
    assert held(cache) == [0, 1, 2, 3, 4]


def test_rewinding_forgets_what_comes_behind():
    cache = filled(8)
    cache.rewind(3)
    assert held(cache) == [0, 1, 2]
    for beyond in (-1, 17):
        with pytest.raises(ValueError, match='for 16 tokens cannot hold'):
            cache.rewind(beyond)


def test_it_grows_and_keeps_what_it_holds():
    cache = filled(5, max_len=6)
    before = cache.key
    more = torch.full((1, 1, 4, 4), 7.0)
    for layer in range(2):
        cache.append(layer, more, -more)
    cache.advance(4)
    assert cache.max_len == 12
    assert cache.key != before  # a recording must not go on using the old buffer
    assert held(cache, 1) == [100, 101, 102, 103, 104, 7, 7, 7, 7]


def test_the_buffer_stays_where_it_is_while_there_is_room():
    cache = filled(4)
    first, _ = cache.append(0, torch.zeros(1, 1, 1, 4), torch.zeros(1, 1, 1, 4))
    keep(cache, [0], base=2)
    second, _ = cache.append(0, torch.zeros(1, 1, 1, 4), torch.zeros(1, 1, 1, 4))
    assert first.data_ptr() == second.data_ptr()
