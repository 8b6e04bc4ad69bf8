# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Times several methods in turns, so that what disturbs one of them disturbs all."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch

from spec_vla_ros.types import DecodeStats


@dataclass(frozen=True, slots=True)
class TimedAction:
    """One action: its token ids, and statistics of its decoding if there are any."""

    tokens: tuple[int, ...]
    stats: DecodeStats | None = None


Method = Callable[[int], TimedAction]
"""Decodes the action with this number, counted from 0."""


@dataclass(frozen=True, slots=True)
class Measured:
    """The times and results of one method.

    action_ms: for each action, the median time of its repeats.
    samples_ms: the time of every run.
    phases_ms: mean milliseconds of each phase; `rest` is the time outside all phases.
    target_passes, tokens_per_pass: means; None without statistics.
    peak_bytes: the most device memory that was held during a run; None except on CUDA.
    tokens: token ids of each action.
    commits: for every run, the tokens that each pass committed; empty without statistics.
    """

    action_ms: tuple[float, ...]
    samples_ms: tuple[float, ...]
    phases_ms: Mapping[str, float]
    target_passes: float | None
    tokens_per_pass: float | None
    peak_bytes: int | None
    tokens: tuple[tuple[int, ...], ...]
    commits: tuple[tuple[int, ...], ...]

    @property
    def mean_ms(self) -> float:
        """Mean of `action_ms`."""
        return statistics.fmean(self.action_ms)

    @property
    def median_ms(self) -> float:
        """Median of all samples."""
        return statistics.median(self.samples_ms)

    def quantile_ms(self, share: float) -> float:
        """A quantile of all samples."""
        ordered = sorted(self.samples_ms)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def take_turns(
    methods: Mapping[str, Method],
    *,
    actions: int,
    repeats: int,
    device: torch.device,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Measured]:
    """Time every method on every action, in rounds in which another method goes first each time.

    Args:
        methods: by name; warmed up by the caller. A repeat begins after all actions.
        actions: how many actions there are.
        repeats: how often each action is decoded.
        device: whose work has to end before the clock is read.
        progress: called with (rounds done, rounds in all).
    """
    names = list(methods)
    times: dict[str, list[list[float]]] = {n: [[] for _ in range(actions)] for n in names}
    found: dict[str, list[TimedAction]] = {n: [] for n in names}
    peaks = dict.fromkeys(names, 0)
    for done in range(actions * repeats):
        action, first = done % actions, done % len(names)
        for name in names[first:] + names[:first]:
            spent, one, peak = _timed(methods[name], action, device)
            times[name][action].append(spent)
            found[name].append(one)
            peaks[name] = max(peaks[name], peak)
        if progress is not None:
            progress(done + 1, actions * repeats)
    return {n: _measured(times[n], found[n], peaks[n]) for n in names}


def _timed(method: Method, action: int, device: torch.device) -> tuple[float, TimedAction, int]:
    cuda = device.type == 'cuda'
    if cuda:
        torch.cuda.reset_peak_memory_stats(device)
        torch.cuda.synchronize(device)
    start = time.perf_counter()
    done = method(action)
    if cuda:
        torch.cuda.synchronize(device)
    spent = 1e3 * (time.perf_counter() - start)
    return spent, done, torch.cuda.max_memory_allocated(device) if cuda else 0


def _measured(times: Sequence[list[float]], actions: Sequence[TimedAction], peak: int) -> Measured:
    action_ms = tuple(statistics.median(t) for t in times)
    stats = [a.stats for a in actions if a.stats is not None]
    phases: dict[str, float] = {}
    passes = per_pass = None
    if stats:
        for name in {name for s in stats for name in s.phases_ms}:
            phases[name] = statistics.fmean(s.phases_ms.get(name, 0.0) for s in stats)
        samples = [t for one in times for t in one]
        phases['rest'] = statistics.fmean(samples) - sum(phases.values())
        passes = statistics.fmean(s.target_passes for s in stats)
        committed = [len(a.tokens) for a in actions if a.stats is not None]
        per_pass = statistics.fmean(committed) / passes
    return Measured(
        action_ms,
        tuple(t for one in times for t in one),
        phases,
        passes,
        per_pass,
        peak or None,
        tuple(a.tokens for a in actions[: len(times)]),
        tuple(s.commits for s in stats),
    )
