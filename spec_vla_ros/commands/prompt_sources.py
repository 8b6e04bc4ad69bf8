# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The sources of prompts for `spec-vla drafter-data`: a simulator, or recordings."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from spec_vla_ros.models.recipes import Recipe, libero_rotation
from spec_vla_ros.programs import say
from spec_vla_ros.recordings.prompts import RecordingTopics, check_recordings, topics_given
from spec_vla_ros.sim.libero.installed import check_installed
from spec_vla_ros.sim.scene import HELD_OUT_SEEDS
from spec_vla_ros.training.drafter.data import Example
from spec_vla_ros.training.drafter.sources import (
    libero_examples,
    libero_starts,
    recorded_examples,
    tabletop_examples,
)
from spec_vla_ros.types import Decoding, Observation, Policy

Source = Callable[..., Iterator[Example]]
"""Yields examples; called with `policy=`, which may drive. Can be sent to another process."""


def simulated_sources(args: argparse.Namespace, recipe: Recipe) -> list[Source]:
    """Return a source of prompts from the simulator for each process.

    Raises:
        ValueError: an option belongs to recordings, the simulator is not installed, the seeds are
            held out for evaluation, or there are fewer episodes than processes.
    """
    if args.image_topic or args.instruction_topic or args.instruction:
        raise ValueError('topics and instruction belong to recordings: give --recording too')
    _check_processes(args, args.episodes, 'episodes')
    seeds = range(args.first_seed, args.first_seed + args.episodes)
    if args.benchmark:
        check_installed()
        rotation, starts = libero_rotation(recipe), libero_starts(args.benchmark, seeds)
        return [
            partial(libero_examples, starts=part, suite=args.benchmark, image_rotation=rotation)
            for part in _dealt(starts, args.processes)
        ]
    if find_spec('mujoco') is None:
        raise ValueError(
            "mujoco is not installed: episodes need pip install -e '.[sim]', recordings "
            '(--recording) do not'
        )
    if seeds[-1] >= HELD_OUT_SEEDS.start and seeds[0] < HELD_OUT_SEEDS.stop:
        raise ValueError(
            f'--first-seed {args.first_seed}: the seeds {HELD_OUT_SEEDS.start} .. '
            f'{HELD_OUT_SEEDS.stop - 1} are for evaluation, nothing may be learnt from them'
        )
    return [partial(tabletop_examples, seeds=part) for part in _dealt(seeds, args.processes)]


def recorded_sources(args: argparse.Namespace) -> list[Source]:
    """Return a source of prompts from the recordings for each process.

    Raises:
        ValueError: an option belongs to the simulator or is out of range, a recording cannot be
            used, or there are fewer recordings than processes.
        FileNotFoundError: there is no such recording.
    """
    if args.benchmark:
        raise ValueError('--benchmark belongs to episodes, not to --recording')
    if args.every < 1:
        raise ValueError(f'--every {args.every}: at least 1, which takes every image')
    _check_processes(args, len(args.recording), 'recordings')
    topics = topics_given(
        image=args.image_topic,
        instruction_topic=args.instruction_topic,
        instruction=args.instruction,
    )
    check_recordings(args.recording, topics)  # now, since each may take hours
    if len(args.recording) == 1:
        say(
            'warning: one recording is one episode, and train-drafter holds whole episodes out: '
            'it needs two at least, from this command or from other folders of features'
        )
    parts = _dealt(list(enumerate(args.recording)), args.processes)
    return [partial(_from_recordings, part, topics, args.every) for part in parts]


def _from_recordings(
    recordings: Sequence[tuple[int, Path]],
    topics: RecordingTopics,
    every: int,
    policy: Policy,
) -> Iterator[Example]:
    """Yield an example for each image of some recordings; see `Source`.

    recordings: number of the episode, and path.
    """

    def answer(seen: Observation) -> Callable[[], np.ndarray]:
        """Return a function that infers, which is not called if the features exist already."""
        return lambda: policy.infer(seen, Decoding()).tokens

    for episode, path in recordings:
        yield from recorded_examples(
            path, topics, answer=answer, episode=episode, every=every, report=say
        )


def _check_processes(args: argparse.Namespace, count: int, what: str) -> None:
    if count < args.processes or args.processes < 1:
        raise ValueError(f'{args.processes} processes for {count} {what}: give at least one each')


def _dealt(things: Sequence, count: int) -> list:
    """Return the things in `count` parts of about the same size."""
    return [things[i::count] for i in range(count)]
