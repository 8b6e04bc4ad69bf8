# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Steps are recorded, remembered and forgotten."""

import gc
import logging
from contextlib import contextmanager, nullcontext
from inspect import signature

import pytest
import torch
from recorded_engine import needs_gpu
from recorded_ops import OpRecorder

from spec_vla_ros.decoding.cuda.graph_runner import GraphRunner, runner_for
from spec_vla_ros.decoding.cuda.recording import CudaRecorder
from spec_vla_ros.decoding.kv_cache import KVCache
from spec_vla_ros.decoding.runner import Runner


@pytest.mark.parametrize('error', [None, AttributeError('too old'), TypeError('not so')])
def test_a_step_that_cannot_be_recorded_runs_as_it_is(error, caplog):
    """Whatever is raised: where the host reads a tensor, or torch lacks what is needed."""
    value, recording = torch.ones(3), []
    cache = KVCache(layers=1, kv_heads=1, head_dim=1, max_len=8)

    class Watched(OpRecorder):
        def record(self, step):
            recording.append(True)
            return super().record(step)

    def step(value, cache):
        cache.advance(1)
        if error is not None and recording:
            raise recording.pop() and error
        return value.sum().item()

    runner = GraphRunner(Watched())
    with caplog.at_level(logging.WARNING):
        for run in range(3):
            assert runner.run('phase', step, value, cache) == 3.0
            assert cache.length == run + 1  # the attempt to record it leaves no trace
    assert runner.recorded == 0
    assert caplog.text.count('CUDA graphs are off') == 1


def test_what_a_step_raises_is_raised():
    runner = GraphRunner(OpRecorder())
    with pytest.raises(ValueError, match='too long'):
        runner.run('phase', too_long)


def too_long():
    raise ValueError('the prompt is too long')


def test_a_recording_is_repeated_with_what_comes_in():
    runner, runs = GraphRunner(OpRecorder()), []

    def step(left, right):
        runs.append(1)
        return left * 2, left + right

    for number in range(4):
        left, right = torch.full((2,), float(number)), torch.ones(2)
        doubled, total = runner.run('phase', step, left, right)
        assert (doubled.tolist(), total.tolist()) == ([2 * number] * 2, [number + 1] * 2)
    assert len(runs) == 2  # rehearsed and recorded
    runner.run('phase', step, torch.ones(3), torch.ones(3))
    assert runner.recorded == 2  # other shapes are another recording


def test_beyond_the_limit_what_was_not_used_for_longest_is_forgotten():
    runner = GraphRunner(OpRecorder(), limit=2)
    runs = []

    def step(value, key):
        runs.append(key)
        return value + 1

    for number, key in enumerate('aabbabcbcca'):
        assert int(runner.run('phase', step, torch.tensor([number]), key)) == number + 1
        assert runner.recorded <= 2
    # Each is rehearsed and recorded once; when `c` comes `a` goes, and is then as new.
    assert ''.join(runs) == 'aabbccaa'


def test_a_cache_that_grew_is_recorded_anew():
    runner = GraphRunner(OpRecorder())
    cache = KVCache(layers=1, kv_heads=1, head_dim=1, max_len=2)

    def step(entry, cache):
        keys, _ = cache.append(0, entry.view(1, 1, 1, 1), entry.view(1, 1, 1, 1))
        cache.advance(1)
        return keys.sum()[None]

    for _ in range(2):
        total = 0
        cache.rewind(0)
        for place in range(5):
            total += place
            assert float(runner.run('phase', step, torch.tensor([float(place)]), cache)) == total
            cache.rewind(place + 1)


def test_on_the_cpu_steps_are_plain():
    assert isinstance(runner_for(torch.device('cpu')), Runner)


@pytest.fixture
def cuda_calls(monkeypatch):
    """What is asked of torch's graphs, in order, where there is no device to ask."""
    calls = []
    real = signature(torch.cuda.graph.__init__)

    class Graph:
        def replay(self):
            calls.append('replayed')

    @contextmanager
    def capture(*args, **kwargs):
        given = real.bind(None, *args, **kwargs).arguments
        assert given['cuda_graph'] is graph
        calls.append((given['pool'], given['stream']))
        yield
        calls.append('captured')

    graph = Graph()
    monkeypatch.setattr(torch.cuda, 'CUDAGraph', lambda: graph)
    monkeypatch.setattr(torch.cuda, 'graph', capture)
    monkeypatch.setattr(torch.cuda, 'device', lambda device: nullcontext())
    monkeypatch.setattr(torch.cuda, 'Stream', lambda device: f'stream of {device}')
    monkeypatch.setattr(torch.cuda, 'graph_pool_handle', lambda: 'memory')
    return calls


def test_nothing_is_freed_while_a_graph_is_captured(cuda_calls):
    """To free another graph then, which the collector may find unused at any time, spoils it."""
    recorder, collecting = CudaRecorder(torch.device('cuda:1')), []
    repeat = recorder.record(lambda: collecting.append(gc.isenabled()))
    with pytest.raises(RuntimeError, match='not permitted'):
        recorder.record(fail)
    assert (collecting, gc.isenabled()) == ([False], True)
    repeat()
    assert cuda_calls[-1] == 'replayed'


def fail():
    raise RuntimeError('operation not permitted when stream is capturing')


@pytest.mark.gpu
@needs_gpu
def test_ways_of_decoding_on_cuda():
    device = torch.device('cuda')
    assert isinstance(runner_for(device), GraphRunner)
    assert not isinstance(runner_for(device, cuda_graphs=False), GraphRunner)
