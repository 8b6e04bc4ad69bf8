# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Measures every way of decoding in one case of the benchmark.

A case is a model: the shipped policy, or one of random weights.
"""

from __future__ import annotations

from dataclasses import asdict

import psutil
import torch

from spec_vla_ros.benchmark.floor import Pass, floor_ms, measure_hardware, weight_counts
from spec_vla_ros.benchmark.random_case import (
    FIRST_TOKEN,
    GENERATE,
    RandomCase,
    RandomModel,
    passes_of,
)
from spec_vla_ros.benchmark.report import summarise
from spec_vla_ros.benchmark.timing import Measured, Method, take_turns
from spec_vla_ros.benchmark.trace import Trace, as_lists
from spec_vla_ros.checkpoints import TABLETOP
from spec_vla_ros.evaluation.measures import exactness
from spec_vla_ros.models.checkpoint import load_openvla
from spec_vla_ros.models.llama_config import LlamaConfig
from spec_vla_ros.types import AUTOREGRESSIVE, DIMENSIONS

FRAME_SEEDS = range(9_041_000, 9_042_000)
"""Episodes that neither training nor evaluation uses, nor the recording of the trace."""

_WARM_UPS = 2


def measure_shipped(
    device: torch.device, *, dtype: str, frames: int, acceptance_threshold: int
) -> dict:
    """Measure the shipped policy on frames of the simulator; return its figures, ready for JSON.

    Args:
        device: where it runs.
        dtype: of the weights, see `load_openvla`.
        frames: how many images are decoded in each way.
        acceptance_threshold: of relaxed decoding, in bins.
    """
    from spec_vla_ros.benchmark.shipped_case import ShippedPolicy, record_frames
    from spec_vla_ros.sim.env import TabletopEnv

    checkpoint = load_openvla(TABLETOP, device=str(device), dtype=dtype)
    env = TabletopEnv(image_size=192)
    try:
        seen = record_frames(checkpoint, env, FRAME_SEEDS, count=frames)
    finally:
        env.close()
    policy = ShippedPolicy(checkpoint, seen, acceptance_threshold=acceptance_threshold)
    measured = _measure(policy.methods(), device, actions=len(seen), repeats=1)
    return _summary(
        measured,
        checkpoint.config.text,
        policy.passes(measured),
        device,
        checkpoint.model.dtype,
        prompt_length=policy.prompt_length,
        accept_lengths='measured in this run',
        exactness=asdict(exactness(measured['strict'].tokens, measured[AUTOREGRESSIVE].tokens)),
    )


def measure_random(
    name: str,
    case: RandomCase,
    device: torch.device,
    trace: Trace,
    *,
    acceptance_threshold: int,
    actions: int,
    repeats: int,
) -> dict:
    """Measure a model of random weights with replayed accept lengths; return its figures.

    Args:
        name: of the case, under which the trace has it.
        case: shape of the model.
        device: where it runs.
        trace: what is replayed.
        acceptance_threshold: of relaxed decoding, in bins.
        actions: how many actions of the trace are replayed in each way.
        repeats: how often each of them is.

    Raises:
        ValueError: the trace does not have the case, or does not fit it.
    """
    dtype = torch.float32 if device.type == 'cpu' else torch.bfloat16
    if name not in trace.ways:
        raise ValueError(f'the trace has no case {name!r}: record it with --record-trace')
    model = RandomModel(case, device=device, dtype=dtype, draft_window=trace.draft_window)
    ways = trace.ways[name]
    methods = model.methods(ways, acceptance_threshold=acceptance_threshold, actions=actions)
    measured = _measure(methods, device, actions=actions, repeats=repeats)
    length = case.prompt_length
    passes = {AUTOREGRESSIVE: [[Pass(length)] + [Pass(1)] * (DIMENSIONS - 1)]}
    for way, recorded in ways.items():
        chosen = recorded.sample(actions)
        passes[way] = [passes_of(recorded, a, prompt_length=length) for a in chosen]
    return _summary(
        measured,
        model.config,
        passes,
        device,
        dtype,
        prompt_length=length,
        accept_lengths='replayed from the trace of the shipped policy; weights are random',
        trees={way: as_lists(recorded.shapes) for way, recorded in ways.items()},
        trace_mean_passes={way: recorded.mean_passes for way, recorded in ways.items()},
    )


def _measure(
    methods: dict[str, Method], device: torch.device, *, actions: int, repeats: int
) -> dict[str, Measured]:
    """Warm all methods up, then time them in turns."""
    for _ in range(_WARM_UPS):
        # CUDA graphs are recorded for each action; elsewhere one action warms up everything.
        for action in range(actions if device.type == 'cuda' and repeats > 1 else 1):
            for method in methods.values():
                method(action)

    def progress(done: int, total: int) -> None:
        if done == total or done % max(1, total // 10) == 0:
            print(f'  {done} of {total} rounds', flush=True)

    return take_turns(methods, actions=actions, repeats=repeats, device=device, progress=progress)


def _summary(
    measured: dict[str, Measured],
    config: LlamaConfig,
    passes: dict[str, list[list[Pass]]],
    device: torch.device,
    dtype: torch.dtype,
    **about: object,
) -> dict:
    """Return the figures of a case, ready for JSON.

    Args:
        measured: name of a way -> its times.
        config: of the language model.
        passes: name of a way -> for each action, the target's passes.
        device: where it was measured.
        dtype: of the weights.
        about: more entries.
    """
    itemsize = torch.bfloat16.itemsize  # of a stored weight, in checkpoints and on the CPU
    weights = sum(weight_counts(config)) * itemsize
    hardware = measure_hardware(device, dtype, footprint=weights)
    floors = {
        name: sum(floor_ms(config, p, hardware, itemsize=itemsize) for p in found) / len(found)
        for name, found in passes.items()
    }
    return {
        **about,
        'same_tokens': measured[GENERATE].tokens == measured[AUTOREGRESSIVE].tokens,
        'dtype': str(dtype).removeprefix('torch.'),
        'weight_bytes': weights,
        'process_bytes': psutil.Process().memory_info().rss,
        'bandwidth_gb_s': hardware.bandwidth / 1e9,
        'rate_gflop_s': hardware.rate / 1e9,
        'methods': summarise(measured, floors, baseline=(GENERATE, FIRST_TOKEN, AUTOREGRESSIVE)),
    }
