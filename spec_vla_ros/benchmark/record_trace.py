# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Records how the shipped policy's drafts fare with the trees that every case would choose."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import torch

from spec_vla_ros.benchmark.random_case import CUDA_ONLY, RANDOM_CASES, RandomModel
from spec_vla_ros.benchmark.record import Recorder
from spec_vla_ros.benchmark.report import machine
from spec_vla_ros.benchmark.trace import (
    RECORDED,
    WAYS,
    Trace,
    kept_cases,
    load_trace,
    save_trace,
)
from spec_vla_ros.checkpoints import TABLETOP
from spec_vla_ros.decoding.cuda.graph_runner import runner_for
from spec_vla_ros.models.checkpoint import load_openvla
from spec_vla_ros.models.drafter_files import load_drafter_beside
from spec_vla_ros.planning.costs import Costs, measure_costs
from spec_vla_ros.sim.env import TabletopEnv

TRACE_SEEDS = range(9_040_000, 9_040_020)
"""Episodes that neither training nor evaluation uses."""

FLAT_COSTS = Costs(
    verify={1: 1.0, 50: 1.1},
    draft=dict.fromkeys((1, 2, 4, 8), (0.06, 0.06)),
    draft_prefill=0.1,
)
"""In passes of one token, where reading the weights is all that counts: for recording the trace of
the CUDA case without a CUDA device."""


def record_trace(
    names: Sequence[str], *, device: torch.device, acceptance_threshold: int, threads: int
) -> None:
    """Record the trace of cases with the trees that their measured costs choose.

    Other cases keep what was recorded of them, see `kept_cases`.

    Args:
        names: of `RANDOM_CASES`.
        device: where passes are measured; the policy runs on the CPU.
        acceptance_threshold: relaxed acceptance's, in bins.
        threads: of the CPU, to be said in the trace.

    Raises:
        ValueError: the shipped policy has no drafter, or other cases cannot be kept.
    """
    checkpoint = load_openvla(TABLETOP, device='cpu')
    drafter = load_drafter_beside(checkpoint)
    if drafter is None:
        raise ValueError(f'{TABLETOP} has no drafter to record')
    before = load_trace() if RECORDED.exists() else Trace({}, {}, drafter.window)
    ways = kept_cases(
        before, names, acceptance_threshold=acceptance_threshold, draft_window=drafter.window
    )
    machines = {name: before.machines[name] for name in ways}
    today = date.today().isoformat()
    env = TabletopEnv(image_size=192)
    recorder = Recorder(checkpoint, drafter, acceptance_threshold=acceptance_threshold)
    dtype = torch.float32 if device.type == 'cpu' else torch.bfloat16
    try:
        for name in names:
            machines[name] = f'{machine(device, threads)}, {today}'
            if name == CUDA_ONLY and device.type == 'cpu':
                costs, machines[name] = FLAT_COSTS, f'nowhere: assumed costs, {today}'
            else:
                model = RandomModel(
                    RANDOM_CASES[name], device=device, dtype=dtype, draft_window=drafter.window
                )
                runner = runner_for(device)
                costs = measure_costs(
                    model.target,
                    model.drafter,
                    model.prompt,
                    run=runner.run,
                    generate=runner.speculative,
                )
            ways[name] = {way: recorder.record(way, costs, env, TRACE_SEEDS) for way in WAYS}
            for way, recorded in ways[name].items():
                print(
                    f'{name}, {way}: {len(recorded.actions)} actions, '
                    f'{recorded.mean_passes:.2f} passes each',
                    flush=True,
                )
    finally:
        env.close()
    about = {
        'policy': checkpoint.folder.name,
        'command': 'spec-vla bench --record-trace',
        'date': today,
        'seeds': [TRACE_SEEDS[0], TRACE_SEEDS[-1]],
        'acceptance_threshold': acceptance_threshold,
    }
    save_trace(Trace(about, ways, drafter.window, machines), RECORDED)
    print(f'written: {RECORDED}')
