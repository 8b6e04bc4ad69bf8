# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""From a seed to the checkpoint of a small policy for a suite of LIBERO: as for the tabletop."""

from __future__ import annotations

from itertools import takewhile
from multiprocessing import get_context
from pathlib import Path

import torch

from spec_vla_ros.sim.libero.env import LiberoEnv
from spec_vla_ros.sim.libero.expert import FULL_SPEED
from spec_vla_ros.sim.libero.suites import read_tasks
from spec_vla_ros.training.frames import Frames
from spec_vla_ros.training.libero.collect import Learner, collect_libero, named_things
from spec_vla_ros.training.libero.frames import IMAGE_SIZE, load_libero_frames
from spec_vla_ros.training.pipeline import Recipe, Report, train_on_frames
from spec_vla_ros.training.small_model import Design

RECIPE = Recipe(files=70, episodes_per_file=12, own_files=10, vision_bfloat16=True)
"""Files are of one task each, in turn."""

_INSTRUCTIONS_PER_FRAME = 3
FIRST_SEED = 2_000_000
"""Of the layouts trained on; the expert is measured with those before."""

_SEEDS_PER_SOURCE = 1_000_000


def train_libero_policy(
    suite: str, recipe: Recipe, *, work: Path, out: Path, processes: int, report: Report
) -> None:
    """Run every stage for a suite, and write the checkpoint to `out`.

    Raises:
        ValueError: LIBERO is not installed, or the suite's tasks are more than placing a thing.
    """
    work.mkdir(parents=True, exist_ok=True)

    def collect(learner: Learner | None = None) -> Frames:
        paths = collect_files(
            suite, recipe, work, processes=processes, report=report, learner=learner
        )
        found = load_libero_frames(paths)
        return found.under_instructions(_INSTRUCTIONS_PER_FRAME, seed=recipe.seed)

    train_on_frames(
        recipe,
        design_for(suite),
        collect(),
        full_speed=FULL_SPEED,
        work=work,
        out=out,
        report=report,
        more_frames=collect if recipe.own_files else None,
    )


def design_for(suite: str) -> Design:
    """Return what a policy for a suite is: what its instructions share are single tokens."""
    instructions = tuple(task.instruction for task in read_tasks(suite))
    words = [text.split() for text in instructions]
    before = _shared_beginning(words)
    after = _shared_beginning([text[::-1] for text in words])[::-1]
    own = [' '.join(text[len(before) : -len(after)]) for text in words]
    return Design(
        name=suite,
        instructions=instructions,
        phrases=(' '.join(before), ' '.join(after), *own),
        image_size=IMAGE_SIZE,
        towers=('spec_vla_conv_vit_patch32_128', 'spec_vla_vit_patch32_128'),
    )


def _shared_beginning(texts: list[list[str]]) -> list[str]:
    return [words[0] for words in takewhile(lambda w: len(set(w)) == 1, zip(*texts, strict=False))]


def collect_files(
    suite: str,
    recipe: Recipe,
    work: Path,
    *,
    processes: int,
    report: Report,
    learner: Learner | None = None,
) -> list[Path]:
    """Collect the files of frames that are missing, and return all, of the tasks in turn.

    learner: drives; `recipe.own_files` are collected then, from other layouts.

    Raises:
        ValueError: LIBERO is not installed, or the suite's tasks are more than placing a thing.
    """
    tasks = read_tasks(suite)
    named_things(tasks)
    count, prefix, base = recipe.files, suite, FIRST_SEED + recipe.seed * _SEEDS_PER_SOURCE
    if learner is not None:
        count, prefix, base = recipe.own_files, f'{suite}_own', base + _SEEDS_PER_SOURCE // 2
    jobs = []
    for index in range(count):
        turn, task = divmod(index, len(tasks))
        first = base + turn * recipe.episodes_per_file
        seeds = range(first, first + recipe.episodes_per_file)
        jobs.append((suite, task, seeds, work / f'{prefix}_{turn:03d}_{task}.npz', learner))
    missing = [job for job in jobs if not job[3].exists()]
    # spawn: the renderer's threads do not survive a fork. Anew for each file: LIBERO leaks memory.
    with get_context('spawn').Pool(processes, maxtasksperchild=1) as pool:
        for done, name in enumerate(pool.imap_unordered(_collect, missing), 1):
            report(f'{name}: {done} of {len(missing)} files')
    return [job[3] for job in jobs]


def _collect(job: tuple[str, int, range, Path, Learner | None]) -> str:
    suite, task, seeds, path, learner = job
    torch.set_num_threads(1)
    env = LiberoEnv(suite)
    try:
        named = named_things(env.tasks)
        collect_libero(env, task, seeds, named=named, learner=learner).save(path)
    finally:
        env.close()
    return path.name
