# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Wall time of each phase of an action, without making the device wait."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch


class PhaseTimer:
    """Adds up the time spent in named phases.

    On CUDA it records events between the kernels and reads them at the end, so that measuring
    brings no synchronisation into an action.
    """

    def __init__(self, device: torch.device) -> None:
        self._device, self._cuda = device, device.type == 'cuda'
        self._spans: list[tuple[str, object, object]] = []

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Count what is done inside as part of the phase `name`."""
        start = self._now()
        yield
        self._spans.append((name, start, self._now()))

    def milliseconds(self) -> dict[str, float]:
        """Return the milliseconds of each phase so far; on CUDA, waits for the last one's end."""
        if self._cuda and self._spans:
            self._spans[-1][2].synchronize()  # of one stream: all others have come before
        total: dict[str, float] = {}
        for name, start, end in self._spans:
            span = start.elapsed_time(end) if self._cuda else (end - start) * 1e3
            total[name] = total.get(name, 0.0) + span
        return total

    def _now(self) -> object:
        if not self._cuda:
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record(torch.cuda.current_stream(self._device))
        return event
