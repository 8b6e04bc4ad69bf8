# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""`spec-vla predict`: infers the action for one image and one instruction."""

from __future__ import annotations

import argparse
import logging

from spec_vla_ros.command_line import user_path
from spec_vla_ros.models.checkpoint_files import blaming, read_config, read_prompt_processor
from spec_vla_ros.models.recipe_options import add_recipe_options, check_chosen, recipe_from
from spec_vla_ros.pixels import check_scene, doubt, file_to_rgb
from spec_vla_ros.policy import load_policy
from spec_vla_ros.programs import log_to_stderr
from spec_vla_ros.types import Observation

_LOG = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument('--checkpoint', type=user_path, required=True, metavar='DIR')
    parser.add_argument('--image', type=user_path, required=True, metavar='FILE')
    parser.add_argument('--instruction', required=True, metavar='TEXT')
    parser.add_argument(
        '--unnorm-key', metavar='K', help='norm stats; needed if there are several'
    )
    add_recipe_options(parser)
    parser.add_argument('--device', default='auto', help='auto, cpu, cuda (default: %(default)s)')
    parser.add_argument('--dtype', default='auto', help='auto, float32, bfloat16, float16')


def run(args: argparse.Namespace) -> int:
    """Print tokens, action and timings; the progress of loading goes to standard error.

    Raises:
        ValueError: the picture, the instruction or the checkpoint cannot be used; the message says
            why.
    """
    log_to_stderr()
    image = check_scene(file_to_rgb(args.image))
    if why := doubt(image):
        _LOG.warning('%s: %s', args.image, why)
    recipe = recipe_from(args)
    config = read_config(args.checkpoint)
    check_chosen(args, config.keys_unasked, args.unnorm_key)
    with blaming(f'{args.checkpoint}'):
        prompts = read_prompt_processor(args.checkpoint, config)
    prompts(args.instruction)  # raises now what would only be raised once weights are read
    policy = load_policy(
        args.checkpoint,
        unnorm_key=args.unnorm_key,
        recipe=recipe,
        device=args.device,
        dtype=args.dtype,
    )
    policy.warm_up()
    action = policy.infer(Observation(image, args.instruction))
    print('tokens ', ' '.join(map(str, action.tokens)))
    print('action ', ' '.join(f'{value:+.6f}' for value in action.values))
    print('ms     ', ' '.join(f'{k} {v:.1f}' for k, v in action.stats.phases_ms.items()))
    return 0
