# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""What a device asks for: copies that do not wait, kernels that take any mask, honest times."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

Result = TypeVar('Result')
Name = TypeVar('Name', bound=Hashable)

_KERNELS = [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]
_ANY_KERNEL = nullcontext()
_ALIGNED = 8
"""Numbers: rows of a mask that begin at multiples of it are not copied by each attention."""

_ROUNDS = 3
"""How often everything is timed, one after the other."""
_ENOUGH_MS, _LONG_MS = 8.0, 400.0
"""So long a run is repeated in a round at least, and at most where it has not been repeated often
enough; one that takes longer is timed in the first round only."""


def device_name(device: torch.device) -> str:
    """Return what a device is sold as, of a CPU its architecture too, to stand beside figures."""
    if device.type == 'cuda':
        return torch.cuda.get_device_name(device)
    found = Path('/proc/cpuinfo')
    lines = found.read_text().splitlines() if found.exists() else []
    models = [line.partition(':')[2].strip() for line in lines if line.startswith('model name')]
    return f'{models[0] if models else "CPU"} ({platform.machine()})'


def upload(tensor: Tensor, device: torch.device) -> Tensor:
    """Return a tensor on a device, the same one where it is there already.

    A plain `.to` waits until the device has done all that was launched before. From pinned memory
    the copy queues up behind it, as a kernel does.
    """
    if device.type == 'cuda' and tensor.device.type == 'cpu':
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)


def attention(
    q: Tensor, k: Tensor, v: Tensor, *, mask: Tensor | None, causal: bool, grouped: bool
) -> Tensor:
    """Return scaled dot-product attention, (B, heads, S, Dh) as q.

    From Hopper on, torch would choose cuDNN's kernels, which end with a misaligned address or a
    RuntimeError for some masks of draft trees (seen on an H200 with torch 2.11).

    Args:
        q: (B, heads, S, Dh).
        k: (B, heads or fewer, past + S, Dh).
        v: as k.
        mask: None, or what is added to the scores, see `empty_mask`.
        causal: whether a row sees itself and those before it only; without a past.
        grouped: whether several heads of q share one of k and v.
    """
    with sdpa_kernel(_KERNELS) if q.device.type == 'cuda' else _ANY_KERNEL:
        return F.scaled_dot_product_attention(
            q, k, v, attn_mask=mask, is_causal=causal, enable_gqa=grouped
        )


def empty_mask(rows: int, columns: int, like: Tensor) -> Tensor:
    """Return room for what is added to the scores of attention, (rows, columns).

    like: gives device and dtype.
    """
    room = columns if like.device.type == 'cpu' else columns + -columns % _ALIGNED
    return like.new_empty(rows, room)[:, :columns]


class PhaseTimer:
    """Adds up the wall time of named phases.

    On CUDA it records events between the kernels and reads them at the end, so that measuring
    brings no synchronisation into an action.
    """

    def __init__(self, device: torch.device) -> None:
        self._device, self._cuda = device, device.type == 'cuda'
        self._spans: list[tuple[str, Any, Any]] = []

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Count what is done inside as part of the phase `name`."""
        start = self._now()
        yield
        self._spans.append((name, start, self._now()))

    def timed(self, run: Callable[..., Result]) -> Callable[..., Result]:
        """Return what runs steps in named phases as `run` does, and counts each in its phase."""

        def run_timed(phase: str, step: Callable[..., Result], *args: Any) -> Result:
            with self.phase(phase):
                return run(phase, step, *args)

        return run_timed

    def milliseconds(self) -> dict[str, float]:
        """Return the milliseconds of each phase so far; on CUDA, waits for the last one's end."""
        if self._cuda and self._spans:
            self._spans[-1][2].synchronize()  # of one stream: all others have come before
        total: dict[str, float] = {}
        for name, start, end in self._spans:
            span = start.elapsed_time(end) if self._cuda else (end - start) * 1e3
            total[name] = total.get(name, 0.0) + span
        return total

    def _now(self) -> Any:
        if not self._cuda:
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record(torch.cuda.current_stream(self._device))
        return event


def least_ms(
    runs: Mapping[Name, Callable[[], object]], *, device: torch.device, repeats: int = 9
) -> dict[Name, float]:
    """Return the least milliseconds of each run: disturbances only ever add time.

    All are timed in turns. A machine that is busy for a moment then slows a little of everything,
    and not all of one run: what is compared would be wrong. On a CPU the time counts that the
    calling thread has computed: on a busy machine no long run is ever left alone, and short ones
    would look cheap beside it.

    Args:
        runs: by name.
        device: where they compute.
        repeats: how often at least, where it does not take too long; short ones more often.
    """
    least: dict[Name, float] = {}
    for _ in range(_ROUNDS):
        for name, run in runs.items():
            if least.get(name, 0.0) < _LONG_MS:
                taken = _least_of_some(run, device, repeats=-(-repeats // _ROUNDS))
                least[name] = min(taken, least.get(name, taken))
    return least


def _least_of_some(run: Callable[[], object], device: torch.device, *, repeats: int) -> float:
    clock = time.thread_time if device.type == 'cpu' else time.perf_counter

    def once() -> float:
        start = clock()
        run()
        if device.type == 'cuda':
            torch.cuda.synchronize(device)
        return (clock() - start) * 1e3

    once()
    taken = [once(), once()]
    while sum(taken) < (_ENOUGH_MS if len(taken) >= repeats else _LONG_MS):
        taken.append(once())
    return min(taken)
