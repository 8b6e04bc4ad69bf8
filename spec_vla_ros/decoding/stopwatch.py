# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""How long computations take beside each other, on a machine that does other things too."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Mapping
from typing import TypeVar

import torch

_ROUNDS = 3
"""How often everything is timed, one after the other."""
_ENOUGH_MS, _LONG_MS = 8.0, 400.0
"""So long a run is repeated in a round at least, and at most where it has not been repeated often
enough; one that takes longer is timed in the first round only."""

Name = TypeVar('Name', bound=Hashable)


def least_ms(
    runs: Mapping[Name, Callable[[], object]], *, device: torch.device, repeats: int = 9
) -> dict[Name, float]:
    """Return the least milliseconds of each run: whatever disturbs only adds.

    All are timed in turns. A machine that is busy for a moment then slows a little of everything,
    and not all of one run: what is compared would be wrong.

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
    def once() -> float:
        start = time.perf_counter()
        run()
        if device.type == 'cuda':
            torch.cuda.synchronize(device)
        return (time.perf_counter() - start) * 1e3

    once()
    taken = [once(), once()]
    while sum(taken) < (_ENOUGH_MS if len(taken) >= repeats else _LONG_MS):
        taken.append(once())
    return min(taken)
