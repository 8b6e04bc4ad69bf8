# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Steps recorded as CUDA graphs: one launch for each instead of hundreds.

The first run of a step is plain, which also warms up the libraries it uses; the second is
recorded; from the third on the recording runs. What varies by action lies in tensors that stay
where they are. Wherever recording fails, steps go on plainly, and the log says so.

A step's result lasts until the next step has run, so recordings may share their memory.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from spec_vla_ros.decoding.steps import Eager, Result, Steps
from spec_vla_ros.types import GRAPHS

_LOG = logging.getLogger(__name__)
_PLAIN = Eager()
_BUCKET, _PROMPT_BUCKET = 32, 64


class Recorder(Protocol):
    """Records what steps launch."""

    def record(self, step: Callable[[], Result]) -> tuple[Replayable, Result]:
        """Return the recording of a step, and the step's result, which its runs write anew.

        Raises:
            RuntimeError: the step does something that cannot be recorded.
        """

    def branch(self, condition: Tensor, body: Callable[[], None]) -> None:
        """Record, while a step is recorded, something that runs where the condition is true."""


class Replayable(Protocol):
    """What was recorded."""

    def replay(self) -> None:
        """Launch it."""


@dataclass(frozen=True, slots=True)
class _Recording:
    """A graph, what its step returned, and the step, which keeps alive what the graph uses."""

    graph: Replayable
    result: object
    step: Callable[[], object]


class GraphSteps:
    """Records each step at its second run and repeats the recording from then on.

    Args:
        recorder: CUDA's, see `CudaRecorder`.
        limit: steps to remember; the one that was not used for longest is forgotten first.
        branches: whether to record branches; without, the host reads what every pass decided.
    """

    def __init__(self, recorder: Recorder, *, limit: int = 256, branches: bool = True) -> None:
        self._recorder, self._limit = recorder, limit
        self._steps: dict[Hashable, _Recording | None] = {}  # the latest last; None: run once
        self._tensors: dict[Hashable, Tensor] = {}
        self._works, self._branches = True, branches
        self._take: Callable[[Tensor, Callable[[], None]], None] = _PLAIN.branch

    @property
    def recorded(self) -> int:
        """Number of recordings."""
        return sum(recording is not None for recording in self._steps.values())

    @property
    def branches(self) -> bool:
        """See `Steps`."""
        return self._works and self._branches

    def run(self, key: Hashable, step: Callable[[], Result]) -> Result:
        """See `Steps`."""
        if not self._works:
            return step()
        if key not in self._steps:
            self._remember(key, None)
            return step()
        recording = self._steps.pop(key)
        if recording is None:
            try:
                recording = self._record(step)
            except RuntimeError as error:
                _LOG.warning('CUDA graphs are off, passes run one kernel at a time: %s', error)
                self._works = False
                return step()
        self._remember(key, recording)
        recording.graph.replay()
        return recording.result

    def rehearse(self, key: Hashable, step: Callable[[], object]) -> None:
        """See `Steps`; where it cannot be recorded, the log says so and branches are off."""
        if not self.branches or self._steps.get(key) is not None:
            return
        self._take = _always  # so that the libraries of all branches are warm
        try:
            step()
            self._remember(key, self._record(step))
        except RuntimeError as error:
            _LOG.warning('the host reads what each pass decided: no branches: %s', error)
            self._branches = False
        finally:
            self._take = _PLAIN.branch

    def branch(self, condition: Tensor, body: Callable[[], None]) -> None:
        """See `Steps`."""
        self._take(condition, body)

    def hold(self, name: str, tensor: Tensor) -> Tensor:
        """See `Steps`."""
        return self.room(name, tuple(tensor.shape), tensor).copy_(tensor)

    def room(self, name: str, shape: tuple[int, ...], like: Tensor) -> Tensor:
        """See `Steps`."""
        key = (name, shape, like.dtype)
        if key not in self._tensors:
            self._tensors[key] = torch.zeros(shape, dtype=like.dtype, device=like.device)
        return self._tensors[key]

    def rounded(self, nodes: int) -> int:
        """See `Steps`."""
        return -(-nodes // _BUCKET) * _BUCKET

    def padded(self, length: int) -> int | None:
        """See `Steps`."""
        return -(-length // _PROMPT_BUCKET) * _PROMPT_BUCKET

    @property
    def warm_runs(self) -> int:
        """See `Steps`."""
        return 2  # plain, and recorded

    def fresh(self) -> GraphSteps:
        """See `Steps`."""
        return GraphSteps(self._recorder, limit=self._limit, branches=self._branches)

    def _remember(self, key: Hashable, recording: _Recording | None) -> None:
        self._steps[key] = recording
        while len(self._steps) > self._limit:
            del self._steps[next(iter(self._steps))]

    def _record(self, step: Callable[[], object]) -> _Recording:
        before, self._take = self._take, self._recorder.branch
        try:
            return _Recording(*self._recorder.record(step), step)
        finally:
            self._take = before


def _always(condition: Tensor, body: Callable[[], None]) -> None:
    body()


class CudaRecorder:
    """Records CUDA graphs, all of one device in the same memory, branches as conditional nodes."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream, self._memory = torch.cuda.Stream(device), torch.cuda.graph_pool_handle()

    def record(self, step: Callable[[], Result]) -> tuple[torch.cuda.CUDAGraph, Result]:
        """See `Recorder`; nothing runs until the graph is replayed."""
        graph = torch.cuda.CUDAGraph()
        with (
            torch.cuda.device(self._device),
            # Other threads may use the device meanwhile.
            torch.cuda.graph(
                graph,
                pool=self._memory,
                stream=self._stream,
                capture_error_mode='thread_local',
            ),
        ):
            result = step()
        return graph, result

    def branch(self, condition: Tensor, body: Callable[[], None]) -> None:
        """See `Recorder`."""
        graph = torch.cuda.CUDAGraph.get_currently_capturing_graph()
        graph.begin_capture_to_if_node(condition)
        try:
            body()
        finally:
            graph.end_capture_to_conditional_node()


def steps_for(device: torch.device, *, graphs: str = 'action') -> Steps:
    """Return how steps run on a device, and say so in the log.

    Args:
        device: where.
        graphs: on CUDA, one of `GRAPHS`: record a whole speculative action, so that the host waits
            once; pass by pass; or nothing. Nothing is recorded elsewhere.

    Raises:
        ValueError: `graphs` is none of these.
    """
    if graphs not in GRAPHS:
        raise ValueError(f'CUDA graphs {graphs!r} are not one of {", ".join(GRAPHS)}')
    if device.type != 'cuda' or graphs == 'off':
        return Eager()
    name = torch.cuda.get_device_name(device)
    _LOG.info('CUDA graphs on %s, recorded by %s', name, graphs)
    return GraphSteps(CudaRecorder(device), branches=graphs == 'action')
