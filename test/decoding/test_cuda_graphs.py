# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Steps are recorded, remembered and forgotten; on CUDA, branches are conditional nodes."""

import logging
from contextlib import contextmanager, nullcontext
from functools import partial
from inspect import signature
from unittest.mock import MagicMock

import pytest
import torch
from recorded_engine import needs_gpu
from recorded_ops import OpRecorder

from spec_vla_ros.decoding.cuda_graphs import CudaRecorder, GraphSteps, steps_for
from spec_vla_ros.decoding.steps import Eager


def test_a_step_that_reads_on_the_host_is_not_recorded(caplog):
    steps = GraphSteps(OpRecorder())
    value = torch.ones(3)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert steps.run('key', lambda: value.sum().item()) == 3.0
    assert steps.recorded == 0
    assert 'CUDA graphs are off' in caplog.text


def test_beyond_the_limit_what_was_not_used_for_longest_is_forgotten():
    steps = GraphSteps(OpRecorder(), limit=2)
    value, runs = torch.zeros(1), []

    def step(key):
        runs.append(key)
        return value + 1

    for number, key in enumerate('aabbabcbcca'):
        value.fill_(number)
        assert int(steps.run(key, partial(step, key))) == number + 1
        assert steps.recorded <= 2
    # Each runs plainly and is then recorded; when `c` comes `a` goes, and is then as new.
    assert ''.join(runs) == 'aabbcca'


def test_held_tensors_stay_where_they_are():
    steps = GraphSteps(OpRecorder())
    first = steps.hold('x', torch.tensor([1.0, 2.0]))
    second = steps.hold('x', torch.tensor([3.0, 4.0]))
    assert first.data_ptr() == second.data_ptr()
    assert first.tolist() == [3.0, 4.0]
    assert steps.hold('x', torch.ones(3)).shape == (3,)


def test_how_actions_are_recorded_is_one_of_three_ways():
    with pytest.raises(ValueError, match='not one of action, pass, off'):
        steps_for(torch.device('cpu'), graphs='all')


def test_on_the_cpu_steps_are_plain():
    assert isinstance(steps_for(torch.device('cpu')), Eager)


@pytest.fixture
def cuda_calls(monkeypatch):
    """What is asked of torch's graphs, in order, where there is no device to ask."""
    calls = []
    real = signature(torch.cuda.graph.__init__)

    class Graph:
        def begin_capture_to_if_node(self, condition):
            calls.append(('if', condition))

        def end_capture_to_conditional_node(self):
            calls.append('end if')

        @staticmethod
        def get_currently_capturing_graph():
            return graph

    @contextmanager
    def capture(*args, **kwargs):
        given = real.bind(None, *args, **kwargs).arguments
        assert given['cuda_graph'] is graph
        calls.append((given['pool'], given['stream']))
        yield
        calls.append('captured')

    graph = Graph()
    monkeypatch.setattr(
        torch.cuda,
        'CUDAGraph',
        MagicMock(
            return_value=graph,
            **{'get_currently_capturing_graph': Graph.get_currently_capturing_graph},
        ),
    )
    monkeypatch.setattr(torch.cuda, 'graph', capture)
    monkeypatch.setattr(torch.cuda, 'device', lambda device: nullcontext())
    monkeypatch.setattr(torch.cuda, 'Stream', lambda device: f'stream of {device}')
    monkeypatch.setattr(torch.cuda, 'graph_pool_handle', lambda: 'memory')
    return calls


def test_branches_become_conditional_nodes(cuda_calls):
    recorder = CudaRecorder(torch.device('cuda:1'))

    def step():
        recorder.branch('first', lambda: recorder.branch('inside', lambda: None))
        return 'result'

    _, result = recorder.record(step)
    assert result == 'result'
    begun = ('memory', 'stream of cuda:1')
    assert cuda_calls == [begun, ('if', 'first'), ('if', 'inside'), 'end if', 'end if', 'captured']


def test_a_branch_that_fails_is_closed(cuda_calls):
    recorder = CudaRecorder(torch.device('cuda:0'))
    with pytest.raises(RuntimeError, match='not permitted'):
        recorder.record(lambda: recorder.branch('first', fail))
    assert cuda_calls[1:] == [('if', 'first'), 'end if']


def fail():
    raise RuntimeError('operation not permitted when stream is capturing')


@pytest.mark.gpu
@needs_gpu
def test_ways_of_recording_on_cuda():
    device = torch.device('cuda')
    assert steps_for(device).branches
    assert not steps_for(device, graphs='pass').branches
    assert isinstance(steps_for(device, graphs='off'), Eager)
