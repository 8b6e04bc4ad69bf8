# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""`spec-vla inspect`: prints what a checkpoint folder holds, and whether it can be used."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

from spec_vla_ros.command_line import user_path
from spec_vla_ros.models.checkpoint_files import (
    read_config,
    read_image_processor,
    read_prompt_processor,
    read_tensors,
)
from spec_vla_ros.models.drafter_files import check_drafter, drafter_beside
from spec_vla_ros.models.files.checkpoint_kind import left_aside
from spec_vla_ros.models.files.folders import CheckpointError
from spec_vla_ros.models.files.safetensors_files import check_tensors
from spec_vla_ros.models.openvla import OpenVLA, OpenVLAConfig, checkpoint_key
from spec_vla_ros.models.recipe_checks import (
    check_dimensions,
    crop_doubt,
    doubts,
    farthest_actions,
    suggestion,
)
from spec_vla_ros.models.recipe_options import add_recipe_options, recipe_from
from spec_vla_ros.models.recipes import Recipe
from spec_vla_ros.models.text_tokenizers import require_tokenizer, tokenizer_file
from spec_vla_ros.norm_stats import STATISTICS, NormStats
from spec_vla_ros.policy import load_policy
from spec_vla_ros.types import DIMENSIONS, InstructionError, Observation

_INSTRUCTION = 'pick up the red block'
_AXES = (*(f'{axis} (m)' for axis in 'xyz'), 'roll (rad)', 'pitch (rad)', 'yaw (rad)', 'gripper')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument('folder', type=user_path, metavar='DIR')
    parser.add_argument('--unnorm-key', metavar='K', help='the data set to ask with')
    add_recipe_options(parser)
    parser.add_argument('--drafter', type=user_path, metavar='DIR', help='default: DIR/drafter')
    parser.add_argument(
        '--instruction',
        metavar='TEXT',
        help=f'what to ask for, in words that the checkpoint knows (default: {_INSTRUCTION})',
    )
    parser.add_argument(
        '--headers-only',
        action='store_true',
        help='do not load the weights: neither ask for an action nor try the drafter',
    )
    parser.add_argument('--device', default='auto', help='auto, cpu, cuda (default: %(default)s)')
    parser.add_argument('--dtype', default='auto', help='auto, float32, bfloat16, float16')


def run(args: argparse.Namespace) -> int:
    """Print what the folder holds, then load it and infer one action.

    Raises:
        CheckpointError: the checkpoint or its drafter cannot be used; the message says why.
        InstructionError: the instruction in --instruction cannot be used.
        ValueError: there are no such norm stats, or no such recipe.
    """
    config, recipe = read_config(args.folder), recipe_from(args)
    _print_model(args.folder, config)
    print(f'recipe      {recipe}')
    if cropped := crop_doubt(recipe, args.folder):
        print(f'            {cropped}')
    usable = _print_data_sets(config, recipe)
    if args.unnorm_key is not None:
        config.codec(args.unnorm_key)  # raises if it is unknown or cannot be used
    if args.drafter is not None and not args.drafter.is_dir():
        raise CheckpointError(f'{args.drafter} is not a folder: give the path of a drafter')
    _print_weights(args.folder, config)
    require_tokenizer(args.folder)
    if args.instruction is not None:
        read_prompt_processor(args.folder, config)(args.instruction)  # raises if it cannot be used
    if not usable:
        there = (args.folder / STATISTICS).exists()
        mend = 'mend what is said of them above, or add' if there else 'add'
        raise CheckpointError(
            f'no data set can be used, so no action can be un-normalised: {mend} the '
            f'{STATISTICS} of the training'
        )
    drafter = args.drafter or drafter_beside(args.folder)
    if drafter:
        check_drafter(drafter, config.text)
    if args.headers_only:
        print(f'drafter     {f"{drafter}, not tried" if drafter else "none"}')
        print('asked       nothing: the weights were not loaded')
    else:
        _ask(args, usable, recipe, has_drafter=drafter is not None)
    return 0


def _print_model(folder: Path, config: OpenVLAConfig) -> None:
    text, towers = config.text, len(config.timm_model_ids)
    print(f'family      OpenVLA, {towers} vision tower(s), {config.llm_backbone_id}')
    for name, size in zip(config.timm_model_ids, config.image_sizes, strict=True):
        print(f'tower       {name} at {size} px')
    processor = read_image_processor(folder, config)
    for i, description in enumerate(processor.description):
        print(f'image {i + 1}     {description}')
    for doubt in processor.doubts(config.timm_model_ids):
        print(f'            {doubt}')
    print(
        f'language    Llama, {text.num_hidden_layers} layers, hidden {text.hidden_size}, '
        f'{text.num_attention_heads} heads, vocabulary {text.vocab_size}'
    )
    read_prompt_processor(folder, config)
    file = tokenizer_file(folder)
    print(f'tokenizer   {file.name if file else "none"}')
    print(f'prompt      {config.prompt!r}')
    print(f'actions     ids {config.action_ids.start} to {config.action_ids.stop - 1}')


def _print_data_sets(config: OpenVLAConfig, recipe: Recipe) -> dict[str, NormStats]:
    """Print the range of actions of each data set; return the norm stats that can be used."""
    usable = {}
    for key in sorted(config.norm_stats):
        try:
            stats = config.codec(key).stats
            check_dimensions(recipe, stats)
        except ValueError as error:
            print(f'norm stats  {key}: not usable: {error}')
            continue
        usable[key] = stats
        print(f'norm stats  {key}: {stats.dimensions} dimensions, usable')
        if stats.dimensions != DIMENSIONS:
            print(f'            by the library only: the policy node drives {DIMENSIONS}')
        foreign = stats.foreign_warning(config.norm_stats_files)
        for line in [*_bounds(stats, recipe), *([foreign] if foreign else [])]:
            print(f'            {line}')
    return usable


def _bounds(stats: NormStats, recipe: Recipe) -> list[str]:
    """Return in words the range of each dimension in one step, and what looks wrong."""
    named = stats.dimensions == len(_AXES)
    names = _AXES if named else tuple(f'dimension {i}' for i in range(stats.dimensions))
    low, high = np.sort(recipe.in_si_units(farthest_actions(stats)), axis=0)
    lines = [f'{n:<12} {a:+.4f} to {b:+.4f}' for n, a, b in zip(names, low, high, strict=True)]
    for i in np.flatnonzero(~stats.mask & (stats.q01 < stats.q99)):
        seen = f'{stats.q01[i]:g} to {stats.q99[i]:g}'
        lines[i] += f' (the policy says -1 to 1; its training data have {seen})'
    hint = suggestion(recipe, stats)
    return [*lines, *doubts(recipe, stats), *([hint] if hint else [])]


def _print_weights(folder: Path, config: OpenVLAConfig) -> None:
    tensors = read_tensors(folder)
    with torch.device('meta'):
        model = OpenVLA(config)
    check_tensors(model, tensors, key_of=checkpoint_key)
    mebibytes = sum(t.nbytes for t in tensors.values()) / 2**20
    files = len({t.file for t in tensors.values()})
    print(f'weights     {len(tensors)} tensors, {mebibytes:.1f} MiB in {files} file(s)')
    for note in left_aside(folder):
        print(f'note        {note}')


def _ask(
    args: argparse.Namespace, usable: dict[str, NormStats], recipe: Recipe, *, has_drafter: bool
) -> None:
    """Load the checkpoint with its drafter, and infer the action for a grey image.

    Raises:
        NotAnActionError: it answered in words.
    """
    unasked = [key for key in read_config(args.folder).keys_unasked if key in usable]
    key = recipe.key_among(unasked, args.unnorm_key) or next(iter(unasked or usable))
    policy = load_policy(
        args.folder,
        unnorm_key=key,
        recipe=recipe,
        device=args.device,
        dtype=args.dtype,
        drafter=args.drafter,
    )
    print(f'drafter     {"fits its target" if has_drafter else "none"}')
    picture = np.full((224, 224, 3), 128, np.uint8)
    instruction = _INSTRUCTION if args.instruction is None else args.instruction
    try:
        action = policy.infer(Observation(picture, instruction))
    except InstructionError as error:  # of ours: one that was given has been read before
        print(f'asked       nothing: {error}, with --instruction')
        return
    print(f'asked       {instruction!r} with {key}: {len(action.tokens)} action tokens')
