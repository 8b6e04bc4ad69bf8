# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""`spec-vla record-sim`: records episodes of the simulated robot, as `ros2 bag record` would."""

from __future__ import annotations

import argparse
import dataclasses

import torch

from spec_vla_ros.checkpoints import TABLETOP
from spec_vla_ros.command_line import at_least, check_writable, user_path
from spec_vla_ros.evaluation.sim_recording import (
    GRIPPER_TOPIC,
    POSE_TOPIC,
    record_episode,
)
from spec_vla_ros.policy import load_policy
from spec_vla_ros.recordings.instructions import INSTRUCTION_TOPIC
from spec_vla_ros.recordings.prompts import IMAGE_TOPIC
from spec_vla_ros.settings.nodes import SimSettings
from spec_vla_ros.settings.parameter import meaning_of
from spec_vla_ros.sim.env import TabletopEnv
from spec_vla_ros.sim.scene import HELD_OUT_SEEDS

_SIZE = next(f for f in dataclasses.fields(SimSettings) if f.name == 'image_size')
_SIZES = range(int(meaning_of(_SIZE).low or 0), int(meaning_of(_SIZE).high or 0) + 1)
FIRST_SEED = HELD_OUT_SEEDS.start + 50_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument('--episodes', type=int, default=20, help='default: %(default)s')
    parser.add_argument(
        '--first-seed',
        type=at_least(0),
        default=FIRST_SEED,
        help='of the episodes (default: %(default)s)',
    )
    parser.add_argument('--out', type=user_path, required=True, help='folder for the recordings')
    parser.add_argument(
        '--checkpoint',
        type=user_path,
        default=TABLETOP,
        help='drives; default: the shipped policy',
    )
    parser.add_argument(
        '--image-size',
        type=int,
        default=_SIZE.default,
        help=f'pixels, {_SIZES.start} to {_SIZES.stop - 1} (default: {_SIZE.default})',
    )


def run(args: argparse.Namespace) -> int:
    """Record the episodes, each into a rosbag2 folder (MCAP).

    Raises:
        ValueError: an option is out of range, or a folder exists.
    """
    if args.episodes < 1:
        raise ValueError(f'--episodes {args.episodes}: give at least one')
    if args.image_size not in _SIZES:
        raise ValueError(
            f'--image-size {args.image_size}: give {_SIZES.start} to {_SIZES.stop - 1} pixels'
        )
    seeds = range(args.first_seed, args.first_seed + args.episodes)
    folders = {seed: args.out / f'episode_{seed}' for seed in seeds}
    there = [folder for folder in folders.values() if folder.exists()]
    if there:  # refused before the first is recorded
        raise ValueError(
            f'{there[0]} exists, as {len(there)} of these {len(seeds)} recordings do: remove it, '
            'or give another --out or --first-seed'
        )
    check_writable(args.out)
    torch.set_num_threads(1)
    policy = load_policy(args.checkpoint, device='cpu')
    env = TabletopEnv(image_size=args.image_size)
    try:
        for seed, folder in folders.items():
            made = record_episode(env, policy, seed=seed, folder=folder)
            verdict = 'success' if made.success else 'no success'
            print(f'{made.folder}: {made.instruction!r}, {made.images} images, {verdict}')
    finally:
        env.close()
    print(
        f'topics: {IMAGE_TOPIC} (sensor_msgs/Image), {INSTRUCTION_TOPIC} (std_msgs/String), '
        f'{POSE_TOPIC} (geometry_msgs/PoseStamped), {GRIPPER_TOPIC} (std_msgs/Float64)'
    )
    return 0
