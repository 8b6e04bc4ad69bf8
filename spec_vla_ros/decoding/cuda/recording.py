# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Recordings of steps of decoding: made by CUDA, or by a stand-in for it in tests."""

from __future__ import annotations

import dataclasses
import gc
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor

Result = TypeVar('Result')


class Recorder(Protocol):
    """Records the work that a step launches on a device."""

    def record(self, step: Callable[[], object]) -> Callable[[], object]:
        """Return a function that repeats the step.

        If the step cannot be recorded, it raises whatever torch or the driver raises.
        """


@dataclasses.dataclass(frozen=True, slots=True)
class Recording:
    """A step that was recorded.

    repeat: repeats it.
    result: its result; every repetition writes into the same tensors.
    step: the step itself, held so that the tensors it uses stay alive.
    """

    repeat: Callable[[], object]
    result: Any
    step: Callable[[], object]

    def launch(self) -> Any:
        """Repeat the step, and return its result, which the next launch overwrites."""
        self.repeat()
        return self.result


class CudaRecorder:
    """Records CUDA graphs; all graphs of one device share a memory pool."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream, self._memory = torch.cuda.Stream(device), torch.cuda.graph_pool_handle()

    def record(self, step: Callable[[], object]) -> Callable[[], object]:
        """See `Recorder`; nothing runs until the graph is replayed."""
        graph = torch.cuda.CUDAGraph()
        with (
            _no_garbage_collected(),
            torch.cuda.device(self._device),
            # thread_local: other threads may use the device during the capture.
            torch.cuda.graph(
                graph,
                pool=self._memory,
                stream=self._stream,
                capture_error_mode='thread_local',
            ),
        ):
            step()
        return graph.replay


@contextmanager
def _no_garbage_collected() -> Iterator[None]:
    """Turn garbage collection off: to free another graph during a capture would spoil it."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def tensors_of(value: Any) -> list[Tensor]:
    """Return the tensors in a tensor, a dataclass or a tuple of them, in order."""
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, tuple):
        return [t for part in value for t in tensors_of(part)]
    if dataclasses.is_dataclass(value):
        parts = (getattr(value, field.name) for field in dataclasses.fields(value))
        return [t for part in parts for t in tensors_of(part)]
    return []


def with_tensors(value: Result, tensors: Iterable[Tensor]) -> Result:
    """Return the same value with other tensors in it, given in the order of `tensors_of`."""
    left = iter(tensors)

    def rebuilt(part: Any) -> Any:
        if isinstance(part, Tensor):
            return next(left)
        if isinstance(part, tuple):
            return tuple(map(rebuilt, part))
        if dataclasses.is_dataclass(part) and not isinstance(part, type):
            fields = dataclasses.fields(part)
            return dataclasses.replace(
                part, **{f.name: rebuilt(getattr(part, f.name)) for f in fields}
            )
        return part

    return rebuilt(value)


def copy_tensors(value: Result, *, into: Result) -> Result:
    """Copy the tensors in a value into those in another of the same form; return the other."""
    for source, target in zip(tensors_of(value), tensors_of(into), strict=True):
        if source is not target:
            target.copy_(source)
    return into
