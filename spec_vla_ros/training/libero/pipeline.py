# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Trains a small policy for a suite of LIBERO, in the same stages as for the tabletop."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import Path

import torch

from spec_vla_ros.programs import in_fresh_processes
from spec_vla_ros.sim.libero.env import LiberoEnv
from spec_vla_ros.sim.libero.expert import FULL_SPEED
from spec_vla_ros.sim.libero.suites import read_tasks
from spec_vla_ros.training.libero.collect import (
    RecordLayout,
    collect_libero,
    empty_hands,
    episode,
    glimpses,
    named_things,
)
from spec_vla_ros.training.libero.frames import IMAGE_SIZE, LiberoFrames, load_libero_frames
from spec_vla_ros.training.small_model import Design
from spec_vla_ros.training.stages import (
    Hyperparameters,
    Report,
    check_out,
    claim_work,
    train_on_frames,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteRecipe:
    """How the policy for a suite is trained.

    hyperparameters: each of its files is of one task, in turn.
    empty_hands: how many layouts of each task are recorded with empty hands.
    relabel: changes the expert's labels before training.
    """

    hyperparameters: Hyperparameters
    empty_hands: int
    relabel: Callable[[LiberoFrames], LiberoFrames]


_FOR_THINGS_ANYWHERE = Hyperparameters(files=70, episodes_per_file=12, vision_bfloat16=True)
_USUAL = SuiteRecipe(
    hyperparameters=_FOR_THINGS_ANYWHERE,
    empty_hands=0,
    relabel=LiberoFrames.resting_while_fingers_close,
)

SUITE_RECIPES = {
    # Its layouts differ little within a task, and things are held by their rims. Each image has
    # one instruction only, so fewer iterations already overfit.
    'libero_spatial': SuiteRecipe(
        hyperparameters=replace(
            _FOR_THINGS_ANYWHERE,
            files=50,
            language=replace(_FOR_THINGS_ANYWHERE.language, iterations=2500),
            grounding=replace(_FOR_THINGS_ANYWHERE.grounding, iterations=600),
        ),
        empty_hands=60,
        relabel=LiberoFrames.rising_until_lifted,
    ),
}


def suite_recipe(suite: str) -> SuiteRecipe:
    """Return how a policy for a suite is trained."""
    return SUITE_RECIPES.get(suite, _USUAL)


_INSTRUCTIONS_PER_FRAME = 3
FIRST_SEED = 2_000_000
"""First seed of the layouts for training; `spec-vla libero-expert` uses lower ones."""

_SEEDS_PER_SOURCE = 1_000_000  # seeds of layouts for each seed of a training
_LAYOUTS_PER_FILE, _FIRST_LAYOUT = 100, 500_000  # of glimpses, of which each task has a file
_FIRST_EMPTY_HANDS = 600_000


def train_libero_policy(
    suite: str,
    hyperparameters: Hyperparameters,
    *,
    work: Path,
    out: Path,
    processes: int,
    device: torch.device,
    report: Report,
) -> None:
    """Run every stage for a suite, and write the checkpoint to `out`; see `pipeline.train_policy`.

    Raises:
        ValueError: LIBERO is not installed, a task of the suite is more than placing a thing, or
            see `check_out` and `claim_work`.
    """
    check_out(out, design_for(suite))
    paths = collect_files(suite, hyperparameters, work, processes=processes, report=report)
    frames = suite_recipe(suite).relabel(load_libero_frames(paths))
    train_on_frames(
        hyperparameters,
        design_for(suite),
        frames.under_instructions(_INSTRUCTIONS_PER_FRAME, seed=hyperparameters.seed),
        full_speed=FULL_SPEED,
        work=work,
        out=out,
        device=device,
        report=report,
    )


def design_for(suite: str) -> Design:
    """Return the design of a policy for a suite.

    The beginning and the end that all its instructions share are one token each; so is the rest
    of each instruction.
    """
    instructions = tuple(task.instruction for task in read_tasks(suite))
    words = [text.split() for text in instructions]
    before = _shared_beginning(words)
    after = _shared_beginning([text[::-1] for text in words])[::-1]
    own = [' '.join(text[len(before) : -len(after)]) for text in words]
    return Design(
        name=f'small_{suite}',  # the suite's own name would mean OpenVLA's recipe
        instructions=instructions,
        phrases=(' '.join(before), ' '.join(after), *own),
        image_size=IMAGE_SIZE,
        towers=('spec_vla_conv_vit_patch32_128', 'spec_vla_vit_patch32_128'),
    )


def _shared_beginning(texts: list[list[str]]) -> list[str]:
    return [words[0] for words in takewhile(lambda w: len(set(w)) == 1, zip(*texts, strict=False))]


def collect_files(
    suite: str, hyperparameters: Hyperparameters, work: Path, *, processes: int, report: Report
) -> list[Path]:
    """Collect the missing files of frames in parallel; return the paths of all files.

    Raises:
        ValueError: see `train_libero_policy`.
    """
    tasks = read_tasks(suite)
    named_things(tasks)
    claim_work(work, hyperparameters, suite=suite)
    base = FIRST_SEED + hyperparameters.seed * _SEEDS_PER_SOURCE

    def jobs(
        name: str, record: RecordLayout, *, files: int, first: int, seeds: int
    ) -> Iterator[_Job]:
        for index in range(files if seeds else 0):
            turn, task = divmod(index, len(tasks))
            start = first + turn * seeds
            path = work / f'{name}_{turn:03d}_{task}.npz'
            yield _Job(suite, task, range(start, start + seeds), path, record)

    wanted = [
        *jobs(
            suite,
            episode,
            files=hyperparameters.files,
            first=base,
            seeds=hyperparameters.episodes_per_file,
        ),
        *jobs(
            f'{suite}_glimpses',
            glimpses,
            files=min(hyperparameters.files, len(tasks)),
            first=base + _FIRST_LAYOUT,
            seeds=_LAYOUTS_PER_FILE,
        ),
        *jobs(
            f'{suite}_empty_hands',
            empty_hands,
            files=min(hyperparameters.files, len(tasks)),
            first=base + _FIRST_EMPTY_HANDS,
            seeds=suite_recipe(suite).empty_hands,
        ),
    ]
    missing = [job for job in wanted if not job.path.exists()]
    # A new process for each file, since LIBERO leaks memory.
    collected = in_fresh_processes(_collect, missing, count=processes)
    for done, name in enumerate(collected, 1):
        report(f'{name}: {done} of {len(missing)} files')
    return [job.path for job in wanted]


@dataclass(frozen=True, slots=True)
class _Job:
    suite: str
    task: int
    seeds: range
    path: Path
    record: RecordLayout


def _collect(job: _Job) -> str:
    env = LiberoEnv(job.suite)
    try:
        collect_libero(env, job.task, job.seeds, record=job.record).save(job.path)
    finally:
        env.close()
    return job.path.name
