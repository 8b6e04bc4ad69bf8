# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""What a CUDA graph does, on any device: operations are recorded with the tensors they touch.

A repeated recording runs the same operations on the same tensors, whatever Python would do now. So
a step that reads a tensor on the host, or depends on a number that is not in its key, gives wrong
results here as it would there. On the host one thing bypasses torch's operations for speed;
`torch_only` puts the device's way of doing it in its place.
"""

from functools import cache, partial

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten

from spec_vla_ros.decoding import drafting, generate, speculative

READS = ('_local_scalar_dense', 'nonzero', 'masked_select', 'is_nonzero', '_to_copy.host')


@pytest.fixture
def torch_only(monkeypatch):
    """Let every operation go through torch, as on a device."""
    for module in (generate, drafting, speculative):
        monkeypatch.setattr(module, 'greedy', lambda scores: scores.argmax(-1))


class RecordedOps(TorchDispatchMode):
    """Records operations while it is entered, and repeats them.

    forgets: what was computed on the way is lost as soon as it was repeated, as where recordings
        share their memory.
    """

    def __init__(self, *, forgets=False):
        super().__init__()
        self._ops, self._forgets = [], forgets

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func._schema.name.removeprefix('aten::')
        if name in READS:
            raise RuntimeError(f'{name} reads a tensor on the host')
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        if _writes(func):
            self._ops.append(partial(_repeat, func, args, kwargs, ()))
        elif not (_is_view(func, args, result) or name.startswith(('empty', 'new_empty'))):
            self._ops.append(partial(_repeat, func, args, kwargs, _tensors(result)))
        return result

    def replay(self):
        for op in self._ops:
            op()
        if self._forgets:
            for op in self._ops:
                for tensor in op.args[3]:
                    tensor.fill_(5)


def _repeat(func, args, kwargs, results):
    again = func(*args, **kwargs)
    if results:
        for old, new in zip(results, _tensors(again), strict=True):
            old.copy_(new)


@cache
def _writes(func):
    return any(a.alias_info and a.alias_info.is_write for a in func._schema.arguments)


def _is_view(func, args, result):
    """Whether the result is memory of the arguments; reshape, for one, copies where it must."""
    if not _may_be_view(func):
        return False
    memory = {tensor.untyped_storage().data_ptr() for tensor in _tensors(args)}
    return all(tensor.untyped_storage().data_ptr() in memory for tensor in _tensors(result))


@cache
def _may_be_view(func):
    return any(r.alias_info for r in func._schema.returns)


def _tensors(result):
    if isinstance(result, torch.Tensor):  # nearly always
        return (result,)
    return tuple(part for part in tree_flatten(result)[0] if isinstance(part, torch.Tensor))


class OpRecorder:
    """A `Recorder` of operations."""

    def __init__(self, *, forgets=False):
        self._forgets = forgets

    def record(self, step):
        recording = RecordedOps(forgets=self._forgets)
        with recording:
            step()
        return recording.replay
