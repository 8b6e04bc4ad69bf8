# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Steps recorded as CUDA graphs: one launch for each instead of hundreds.

The first run of a step is plain, which also warms up the libraries it uses; the second is
recorded; from the third on the recording runs. What varies by action lies in tensors that stay
where they are. Wherever recording fails, steps go on plainly, and the log says so.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable
from dataclasses import dataclass

import torch
from torch import Tensor

from spec_vla_ros.decoding.steps import Eager, Result, Steps

_LOG = logging.getLogger(__name__)
_BUCKET, _PROMPT_BUCKET = 8, 32


@dataclass(frozen=True, slots=True)
class _Recording:
    """A graph, what its step returned, and the step, which keeps alive what the graph uses."""

    graph: object
    result: object
    step: Callable[[], object]


class GraphSteps:
    """Records each step at its second run and repeats the recording from then on.

    Args:
        record: step -> (graph with `replay()`, the step's result); CUDA's by default.
        limit: recordings to keep; later keys run plainly.
    """

    def __init__(
        self,
        *,
        record: Callable[[Callable[[], object]], tuple[object, object]] | None = None,
        limit: int = 256,
    ) -> None:
        self._record, self._limit = record or record_cuda_graph, limit
        self._seen: set[Hashable] = set()
        self._recordings: dict[Hashable, _Recording] = {}
        self._tensors: dict[Hashable, Tensor] = {}
        self._works = True

    @property
    def recorded(self) -> int:
        """Number of recordings."""
        return len(self._recordings)

    def run(self, key: Hashable, step: Callable[[], Result]) -> Result:
        """See `Steps`."""
        recording = self._recordings.get(key)
        if recording is None:
            if key not in self._seen or not self._works or len(self._recordings) >= self._limit:
                self._seen.add(key)
                return step()
            recording = self._try_to_record(step)
            if recording is None:
                return step()
            self._recordings[key] = recording
        recording.graph.replay()
        return recording.result

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

    def _try_to_record(self, step: Callable[[], object]) -> _Recording | None:
        try:
            graph, result = self._record(step)
        except RuntimeError as error:
            _LOG.warning('CUDA graphs are off, passes run one kernel at a time: %s', error)
            self._works = False
            return None
        return _Recording(graph, result, step)


def record_cuda_graph(step: Callable[[], object]) -> tuple[torch.cuda.CUDAGraph, object]:
    """Record what a step launches; nothing runs until the graph is replayed.

    Raises:
        RuntimeError: the step does something that cannot be recorded.
    """
    graph = torch.cuda.CUDAGraph()
    # Other threads may use the device meanwhile.
    with torch.cuda.graph(graph, capture_error_mode='thread_local'):
        result = step()
    return graph, result


def steps_for(device: torch.device) -> Steps:
    """Return how steps run on a device, and say so in the log."""
    if device.type != 'cuda':
        return Eager()
    _LOG.info('passes are recorded as CUDA graphs on %s', torch.cuda.get_device_name(device))
    return GraphSteps()
