# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Trains the small policy of the tabletop from a seed: `spec-vla train-policy`.

It collects frames from the simulator, and hands them to the stages of `stages`. Files of frames
that are in the work folder are not made again, so the command may be interrupted at any time.
"""

from __future__ import annotations

from pathlib import Path

import torch

from spec_vla_ros.programs import worker_processes
from spec_vla_ros.sim.env import TabletopEnv
from spec_vla_ros.sim.expert import MAX_MOTION
from spec_vla_ros.training.collect import collect_episodes
from spec_vla_ros.training.frames import Frames, load_frames
from spec_vla_ros.training.small_model import TABLETOP
from spec_vla_ros.training.stages import (
    Hyperparameters,
    Report,
    check_out,
    claim_work,
    train_on_frames,
)

_SEEDS_PER_SOURCE = 1_000_000


def train_policy(
    hyperparameters: Hyperparameters,
    *,
    work: Path,
    out: Path,
    processes: int,
    device: torch.device,
    report: Report,
) -> None:
    """Run every stage for the tabletop, and write the checkpoint to `out`.

    Args:
        hyperparameters: of all stages.
        work: folder for intermediate files.
        out: folder of the checkpoint.
        processes: how many collect frames.
        device: where the policy is trained.
        report: called with lines of progress.

    Raises:
        ValueError: see `check_out` and `claim_work`.
    """
    check_out(out, TABLETOP)
    claim_work(work, hyperparameters, suite=None)
    frames = _collect(hyperparameters, work, processes=processes, report=report)
    train_on_frames(
        hyperparameters,
        TABLETOP,
        frames,
        full_speed=MAX_MOTION,
        work=work,
        out=out,
        device=device,
        report=report,
    )


def _collect(
    hyperparameters: Hyperparameters, work: Path, *, processes: int, report: Report
) -> Frames:
    """Collect the missing files of frames in parallel; return the frames of all files."""
    # The seeds of episodes begin at 1, 11, 21, ... million, so that none are `HELD_OUT_SEEDS`.
    base = (10 * hyperparameters.seed + 1) * _SEEDS_PER_SOURCE
    jobs = [
        (
            work / f'expert_{i:03d}.npz',
            range(
                first := base + i * hyperparameters.episodes_per_file,
                first + hyperparameters.episodes_per_file,
            ),
        )
        for i in range(hyperparameters.files)
    ]
    missing = [job for job in jobs if not job[0].exists()]
    with worker_processes(processes) as pool:
        for done, _ in enumerate(pool.map(_collect_file, missing), 1):
            report(f'frames: {done} of {len(missing)} files')
    return load_frames([path for path, _ in jobs])


def _collect_file(job: tuple[Path, range]) -> None:
    path, seeds = job
    env = TabletopEnv()
    try:
        collect_episodes(env, seeds).save(path)
    finally:
        env.close()
