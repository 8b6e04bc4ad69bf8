# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The options of `spec-vla evaluate --benchmark`, checked and turned into settings of a run."""

from __future__ import annotations

import argparse
import importlib.util
from collections.abc import Mapping, Sequence

from spec_vla_ros.checkpoints import libero_checkpoint
from spec_vla_ros.command_line import check_initial_states, chosen_tasks, user_path
from spec_vla_ros.decoding.draft_tree import TreeShape
from spec_vla_ros.evaluation.suite_worker import Setup
from spec_vla_ros.evaluation.workers import Parallelism
from spec_vla_ros.models.checkpoint_files import read_config
from spec_vla_ros.models.drafter_files import drafter_beside
from spec_vla_ros.models.recipe_options import check_chosen, recipe_from
from spec_vla_ros.policy import check_before_weights
from spec_vla_ros.policy_config import PolicyConfig
from spec_vla_ros.sim.libero.suites import INITIAL_STATES, MAX_STEPS, Task
from spec_vla_ros.types import Decoding

EPISODES = 20
"""Default number of episodes for each task and each way of decoding."""

COMPARE_EVERY = 5
"""Default of --compare-every."""


def add_benchmark_options(parser: argparse.ArgumentParser) -> None:
    """Declare --benchmark and the options that need it."""
    group = parser.add_argument_group(
        'the benchmark LIBERO, in place of the tabletop',
        'Episodes begin in the official initial states. Ended and started again, it goes on where '
        'it was.',
    )
    group.add_argument('--benchmark', choices=list(MAX_STEPS), help='the suite')
    group.add_argument('--tasks', type=int, nargs='+', help='numbers from 0 (default: all)')
    group.add_argument(
        '--drafter', type=user_path, help="folder (default: the checkpoint's `drafter`)"
    )
    group.add_argument(
        '--unnorm-key',
        metavar='KEY',
        help='norm stats (default: those of the suite, or the only ones)',
    )
    group.add_argument(
        '--sweep',
        action='store_const',
        const=True,
        help='thresholds r = 0, 1, 3, 5, 9, 15, 25 with and without temporal drafts',
    )
    group.add_argument(
        '--compare-every',
        type=int,
        metavar='N',
        help="autoregressive decoding and transformers' generate decode each Nth observation as "
        f'well: for ratios and deviation (default: {COMPARE_EVERY})',
    )
    group.add_argument(
        '--without-generate',
        action='store_const',
        const=True,
        help="leave out transformers' generate, which holds the language model a second time",
    )
    group.add_argument('--steps', type=int, help='end episodes after so many, to try something')
    group.add_argument(
        '--ray', metavar='ADDRESS', help="run on this Ray cluster ('auto': the one that is here)"
    )
    group.add_argument(
        '--gpus-per-process',
        type=float,
        metavar='G',
        help='on Ray (default: 1, if it has any)',
    )


ONLY_BENCHMARK = (
    *('tasks', 'drafter', 'unnorm_key', 'sweep', 'compare_every', 'without_generate'),
    *('steps', 'ray', 'gpus_per_process'),
)
"""Options that need --benchmark."""


def tasks_from(args: argparse.Namespace, tasks: Sequence[Task]) -> Sequence[int]:
    """Return the numbers of the tasks to run; also check options that must be at least one.

    Raises:
        ValueError: there is no such task; or --processes, --compare-every or --steps is below 1.
    """
    chosen = chosen_tasks(args.tasks, len(tasks))
    for name in ('processes', 'compare_every', 'steps'):
        value = getattr(args, name)
        if value is not None and value < 1:
            raise ValueError(f'--{name.replace("_", "-")} {value}: give at least one')
    return chosen


def states_from(args: argparse.Namespace) -> range:
    """Return the numbers of the official initial states to begin in, one for each episode.

    Raises:
        ValueError: more episodes are asked for than a task has initial states.
    """
    states = range(EPISODES if args.episodes is None else args.episodes)
    check_initial_states(len(states), INITIAL_STATES)
    return states


def parallelism_from(args: argparse.Namespace) -> Parallelism:
    """Return how many processes run the episodes, and where.

    Raises:
        ValueError: a certain GPU is asked for although Ray hands out the GPUs; or a share of a
            GPU is asked for, which only Ray can give.
    """
    gpus = 0.0 if args.device == 'cpu' else args.gpus_per_process
    parallelism = Parallelism(processes=args.processes, cluster=args.ray, gpus=gpus)
    if parallelism.on_ray and ':' in (args.device or ''):
        raise ValueError(f"--device {args.device}: on Ray say 'cuda', it hands out the GPUs")
    if args.gpus_per_process is not None and not parallelism.on_ray:
        raise ValueError(
            f'--gpus-per-process {args.gpus_per_process:g} is for Ray: give --processes 2 or '
            'more, or --ray'
        )
    return parallelism


def setup_from(args: argparse.Namespace, modes: Mapping[str, Decoding]) -> Setup:
    """Return what every episode is run with.

    modes: the ways of decoding to compare, by name.

    Raises:
        ValueError: no checkpoint is given and none is shipped for the suite, transformers is not
            installed, or a recipe must be chosen, see `check_chosen`.
        CheckpointError: the checkpoint cannot be used; the message says why.
    """
    checkpoint = args.checkpoint or libero_checkpoint(args.benchmark)
    recipe = recipe_from(args)
    keys = list(read_config(checkpoint).norm_stats)
    key = suite_key(args.benchmark, keys) if args.unnorm_key is None else args.unnorm_key
    check_chosen(args, keys, key)
    check_before_weights(
        checkpoint,
        PolicyConfig(
            unnorm_key=key, recipe=recipe, drafter=args.drafter, stored_as=args.stored_as
        ),
    )
    generate = not args.without_generate and args.stored_as is None
    if generate and importlib.util.find_spec('transformers') is None:
        raise ValueError(
            "transformers' generate is compared with, and transformers is not installed: pip "
            "install '.[bench]', or give --without-generate"
        )
    drafter = args.drafter or drafter_beside(checkpoint)
    return Setup(
        suite=args.benchmark,
        modes=modes,
        checkpoint=checkpoint.absolute(),  # Ray starts workers in other folders
        drafter=drafter and drafter.absolute(),
        recipe=recipe,
        unnorm_key=key,
        device=args.device or 'auto',
        dtype=args.dtype,
        stored_as=args.stored_as,
        tree=TreeShape(*args.tree),
        compare_every=args.compare_every or COMPARE_EVERY,
        generate=generate,
        max_steps=args.steps,
    )


def suite_key(suite: str, keys: Sequence[str]) -> str | None:
    """Return which of a checkpoint's norm stats belong to a suite, or None.

    As in published evaluations, these are named like the suite, or like it with `_no_noops`.
    """
    return next((key for key in (suite, f'{suite}_no_noops') if key in keys), None)
