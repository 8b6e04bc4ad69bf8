# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""`spec-vla drafter-data`: computes a frozen target's features, from which a drafter learns."""

from __future__ import annotations

import argparse
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from spec_vla_ros.checkpoints import TABLETOP
from spec_vla_ros.command_line import at_least, check_writable, user_path
from spec_vla_ros.commands.prompt_sources import Source, recorded_sources, simulated_sources
from spec_vla_ros.evaluation.lenient_policy import LenientPolicy
from spec_vla_ros.files import fingerprint
from spec_vla_ros.models.checkpoint import load_openvla, resolve_device
from spec_vla_ros.models.checkpoint_files import codec_of, read_config
from spec_vla_ros.models.files.weight_files import (
    fingerprint_of_checkpoint,
    fingerprint_of_weights,
)
from spec_vla_ros.models.recipe_options import add_recipe_options, check_chosen, recipe_from
from spec_vla_ros.models.recipe_pictures import RecipePicture
from spec_vla_ros.models.recipes import PLAIN, Recipe
from spec_vla_ros.models.text_tokenizers import require_tokenizer
from spec_vla_ros.policy import SpecVlaPolicy
from spec_vla_ros.policy_config import PolicyConfig
from spec_vla_ros.programs import say, worker_processes
from spec_vla_ros.recordings.files import files_of
from spec_vla_ros.recordings.instructions import INSTRUCTION_TOPIC
from spec_vla_ros.recordings.prompts import (
    IMAGE_TOPIC,
)
from spec_vla_ros.sim.libero.suites import MAX_STEPS
from spec_vla_ros.training.drafter.data import feature_files, write_features
from spec_vla_ros.training.made_from import MadeFrom
from spec_vla_ros.types import PRECISIONS

_OF_EPISODES = {'episodes': 3000, 'first_seed': 3_000_000}
_OF_RECORDINGS = {'every': 1}
"""Options of one kind of source only -> their defaults."""
_NOT_NOTED = ('command', 'run', 'out', 'recipe', 'set', 'device', 'dtype', 'threads')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument(
        '--checkpoint',
        type=user_path,
        default=TABLETOP,
        help='the target; default: the shipped policy',
    )
    parser.add_argument('--unnorm-key', default=None, help='where the target has several')
    add_recipe_options(parser)
    parser.add_argument('--out', type=user_path, required=True, help='folder for the features')
    parser.add_argument('--processes', type=int, default=1, help='run side by side')
    parser.add_argument('--device', default='auto', help="'cpu', 'cuda' (default: %(default)s)")
    parser.add_argument(
        '--dtype', default='auto', choices=('auto', *PRECISIONS), help='of the weights'
    )
    parser.add_argument(
        '--threads', type=at_least(1), default=1, help='of the CPU, for each process (default: 1)'
    )
    simulator = parser.add_argument_group('prompts from the simulator')
    simulator.add_argument(
        '--benchmark', choices=list(MAX_STEPS), help='suite of LIBERO (default: the tabletop)'
    )
    simulator.add_argument('--episodes', type=int, help=f'default: {_OF_EPISODES["episodes"]}')
    simulator.add_argument(
        '--first-seed',
        type=at_least(0),
        help=f'of the episodes (default: {_OF_EPISODES["first_seed"]})',
    )
    recordings = parser.add_argument_group('prompts from recordings')
    recordings.add_argument(
        '--recording',
        type=user_path,
        nargs='+',
        metavar='PATH',
        help='rosbag2 folders or .mcap files, each an episode; no simulator then',
    )
    recordings.add_argument(
        '--image-topic', help=f'of Image or CompressedImage messages (default: {IMAGE_TOPIC})'
    )
    recordings.add_argument(
        '--instruction-topic', help=f'of String messages (default: {INSTRUCTION_TOPIC})'
    )
    recordings.add_argument('--instruction', help='its text, where none was recorded')
    recordings.add_argument('--every', type=int, help='take one image of so many (default: all)')


def run(args: argparse.Namespace) -> int:
    """Compute the features; existing files are kept.

    Raises:
        ValueError: options, recordings or recipe (see `check_chosen`) cannot be used; the message
            says why.
    """
    _fill_in(args)
    recipe = recipe_from(args)
    config = read_config(args.checkpoint)
    check_chosen(args, config.keys_unasked, args.unnorm_key)
    resolve_device(args.device)  # raises before recordings and weights are read
    codec_of(args.checkpoint, config, recipe, args.unnorm_key)
    require_tokenizer(args.checkpoint)
    sources = recorded_sources(args) if args.recording else simulated_sources(args, recipe)
    made_from = _claim(args, recipe)
    jobs = [
        (args.checkpoint, args.unnorm_key, recipe, source, args.out / f'part_{i}')
        for i, source in enumerate(sources)
    ]
    write = partial(_write_part, device=args.device, dtype=args.dtype, threads=args.threads)
    with worker_processes(args.processes) as pool:
        list(pool.map(write, jobs))
    made_from.write(complete_for=fingerprint_of_weights(args.checkpoint))
    return 0


def _fill_in(args: argparse.Namespace) -> None:
    """Set the options that were left out to their defaults.

    Raises:
        ValueError: an option would have no effect.
    """
    void, source = (
        (_OF_EPISODES, 'belong to episodes of a simulator, not to --recording')
        if args.recording
        else (_OF_RECORDINGS, 'belong to recordings: give --recording too')
    )
    given = [f'--{name.replace("_", "-")}' for name in void if getattr(args, name) is not None]
    if given:
        raise ValueError(f'{", ".join(given)} {source}')
    for name, value in {**_OF_EPISODES, **_OF_RECORDINGS}.items():
        if getattr(args, name) is None:
            setattr(args, name, value)


def _claim(args: argparse.Namespace, recipe: Recipe) -> MadeFrom:
    """Note in the folder what its files are made from; refuse to mix them with others."""
    asked = {name: value for name, value in vars(args).items() if name not in _NOT_NOTED}
    asked['checkpoint'] = args.checkpoint.resolve()
    contents = {'checkpoint_contents': fingerprint_of_checkpoint(args.checkpoint)}
    if args.recording:
        asked['recording'] = [path.resolve() for path in args.recording]
        files = [file for path in args.recording for file in files_of(path)]
        contents['recording_contents'] = fingerprint(files)
    if recipe != PLAIN:
        asked['recipe'] = str(recipe)
    if args.dtype != 'auto':
        asked['dtype'] = args.dtype
    way_on = 'give another --out (train-drafter takes several folders)'
    made_from = MadeFrom(args.out, asked, way_on, contents=contents)
    made_from.check(feature_files(args.out))
    check_writable(args.out)
    made_from.write()
    return made_from


def _write_part(
    job: tuple[Path, str | None, Recipe, Source, Path], *, device: str, dtype: str, threads: int
) -> None:
    """Write the features of one source, in a process of its own.

    job: folder of the checkpoint, unnorm_key, recipe, source of prompts, folder of the features.
    """
    folder, unnorm_key, recipe, source, out = job
    torch.set_num_threads(threads)
    checkpoint = load_openvla(folder, device=device, dtype=dtype)
    config = PolicyConfig(unnorm_key=unnorm_key, recipe=recipe)
    policy = LenientPolicy(SpecVlaPolicy(checkpoint, config=config))
    prepare = RecipePicture(recipe, side=max(checkpoint.config.image_sizes))
    write_features(
        checkpoint,
        (replace(seen, image=prepare(seen.image)) for seen in source(policy=policy)),
        out,
        report=lambda text: say(f'{out.name}/{text}'),
    )
    policy.check()
    if warning := policy.warning():
        say(f'{out.name}: {warning}')
