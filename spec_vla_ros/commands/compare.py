# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""`spec-vla compare`: compares a policy's actions with what the arm of a recording did."""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch

from spec_vla_ros.checkpoints import TABLETOP
from spec_vla_ros.command_line import at_least, check_writable, user_path
from spec_vla_ros.commands.recording_options import add_recording_options, recordings_from
from spec_vla_ros.evaluation.lenient_policy import LenientPolicy
from spec_vla_ros.evaluation.recorded.agreement import (
    MIN_PAIRS,
    Agreement,
    agreements,
    has_other_scale,
    verdict,
)
from spec_vla_ros.evaluation.recorded.agreement_report import plot, table
from spec_vla_ros.evaluation.recorded.recorded_motion import (
    MotionTopics,
    RecordedMotion,
    recorded_motion,
)
from spec_vla_ros.evaluation.recorded.tuning import Recording, replay
from spec_vla_ros.models.recipe_options import add_recipe_options, recipe_from
from spec_vla_ros.policy import check_before_weights, load_policy
from spec_vla_ros.policy_config import PolicyConfig
from spec_vla_ros.programs import log_to_stderr
from spec_vla_ros.recordings.prompts import image_times
from spec_vla_ros.types import DIMENSIONS, NANOSECONDS, Decoding, Observation, Policy

_LONGEST_PAUSE = 3.0  # multiple of the median time between two images; longer ones are left out
_SLOWER = 2.5  # multiple of a step; an arm that waits between two steps goes no farther for that


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        '--checkpoint', type=user_path, default=TABLETOP, help='default: the shipped policy'
    )
    parser.add_argument('--unnorm-key', help='norm stats; needed if there are several')
    add_recipe_options(parser)
    parser.add_argument('--device', default='auto', help='auto, cpu, cuda (default: %(default)s)')
    parser.add_argument('--dtype', default='auto', help='auto, float32, bfloat16, float16')
    parser.add_argument('--threads', type=at_least(1), default=1, help='of the CPU (default: 1)')
    add_recording_options(parser)
    motion = parser.add_argument_group('where the arm was')
    motion.add_argument('--pose-topic', help='of PoseStamped messages of the end effector')
    motion.add_argument('--twist-topic', help='or of the TwistStamped messages that drove it')
    motion.add_argument(
        '--twist-linear-scale', type=float, default=1.0, help='m/s that 1.0 is (default: 1)'
    )
    motion.add_argument(
        '--twist-angular-scale', type=float, default=1.0, help='rad/s that 1.0 is (default: 1)'
    )
    motion.add_argument(
        '--gripper-topic', help='of Float64 positions of the gripper, or of JointState messages'
    )
    motion.add_argument('--gripper-joint', help='which joint of the JointState messages')
    motion.add_argument('--gripper-closed', type=float, default=0.0, help='position (default: 0)')
    motion.add_argument('--gripper-open', type=float, default=1.0, help='position (default: 1)')
    parser.add_argument('--out', type=user_path, default=Path('results/compare'), help='folder')


def run(args: argparse.Namespace) -> int:
    """Replay the recordings, and write compare.json, compare.md and compare.png.

    Raises:
        ValueError: the recordings or the checkpoint cannot be used; the message says why.
    """
    log_to_stderr()
    topics = MotionTopics(
        pose=args.pose_topic,
        twist=args.twist_topic,
        twist_linear_scale=args.twist_linear_scale,
        twist_angular_scale=args.twist_angular_scale,
        gripper=args.gripper_topic,
        gripper_joint=args.gripper_joint,
        gripper_closed=args.gripper_closed,
        gripper_open=args.gripper_open,
    )
    recordings, recipe = recordings_from(args), recipe_from(args)
    motions = [recorded_motion(path, topics) for path in args.recordings]
    _check_times(args, motions)
    config = PolicyConfig(
        unnorm_key=args.unnorm_key, recipe=recipe, device=args.device, dtype=args.dtype
    )
    stats = check_before_weights(args.checkpoint, config).stats
    if stats.dimensions != DIMENSIONS:
        raise ValueError(
            f'norm stats {stats.key!r} have {stats.dimensions} dimensions; an end effector has '
            f'{DIMENSIONS}'
        )
    check_writable(args.out)
    torch.set_num_threads(args.threads)
    policy = load_policy(args.checkpoint, config=config)
    lenient = LenientPolicy(policy)
    parts = [
        _pairs(lenient, recording, motion, policy.codec.is_action)
        for recording, motion in zip(recordings, motions, strict=True)
    ]
    lenient.check()
    if warning := lenient.warning():
        print(warning)
    predicted, recorded = (np.concatenate(each) for each in zip(*parts, strict=True))
    found = agreements(predicted, recorded)
    report = {
        'checkpoint': args.checkpoint.name,
        'recipe': str(recipe),
        'recordings': [path.name for path in args.recordings],
        'pairs': len(predicted),
        'dimensions': [dataclasses.asdict(each) for each in found],
    }
    text = f'{table(found)}\n{verdict(found)}{_unit_doubt(topics, found)}\n'
    # Printed before the files are written, which may fail on a full disk.
    print(f'recipe {recipe}; {len(predicted)} pairs\n\n{text}')
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / 'compare.json').write_text(json.dumps(report, indent=2, allow_nan=False) + '\n')
    (args.out / 'compare.md').write_text(text)
    plot(predicted, recorded, found, args.out / 'compare.png')
    print(f'written: {args.out}/compare.json, compare.md, compare.png')
    return 0


def _unit_doubt(topics: MotionTopics, found: Sequence[Agreement]) -> str:
    """Return in a sentence that recorded velocities may be unitless; empty if they are not."""
    scaled = (topics.twist_linear_scale, topics.twist_angular_scale) != (1.0, 1.0)
    if not topics.twist or scaled or not has_other_scale(found):
        return ''
    return (
        f' The velocities of {topics.twist} are taken as m/s and rad/s: if they are unitless, as '
        'MoveIt Servo takes them (twist_units), give --twist-linear-scale and '
        '--twist-angular-scale, and change no parameter before.'
    )


def _check_times(args: argparse.Namespace, motions: Sequence[RecordedMotion]) -> None:
    """Make sure before the replay that images and motions were recorded at the same time.

    Raises:
        ValueError: by their stamps, too few images are within the motion.
    """
    images = within = 0
    for path, motion in zip(args.recordings, motions, strict=True):
        stamps, recorded = image_times(path, args.image_topic)
        images, within = images + len(stamps), within + motion.covers(stamps)
        for doubt in (motion.clock_doubt(stamps, recorded), _pace_doubt(stamps, args.interval)):
            if doubt:
                print(f'warning: {path}: {doubt}')
    if within < MIN_PAIRS:
        raise ValueError(
            f'{within} of {images} pictures were taken while the arm was recorded, by the stamps '
            f'of both, and {MIN_PAIRS} are needed at least: give more recordings, or some in '
            'which both are stamped by the same clock'
        )


def _pace_doubt(stamps: np.ndarray, interval: float) -> str:
    """Return in words that pictures are further apart than a step takes; empty if they are not.

    stamps: (N,) int64, nanoseconds. interval: seconds that a step takes; 0 if nobody said.
    """
    usual = float(np.median(np.diff(np.sort(stamps)))) / NANOSECONDS if len(stamps) > 1 else 0.0
    if not interval or usual <= _SLOWER * interval:
        return ''
    return (
        f'pictures are {usual:.2g} s apart, and a step takes --interval {interval:g} s: what the '
        f'arm did from one to the next is held against one step, and looks {usual / interval:.2g} '
        'times too far. Give --interval as long as the steps of the training are; if that is '
        'shorter, the recorder lost pictures: record again'
    )


def _pairs(
    policy: Policy,
    recording: Recording,
    motion: RecordedMotion,
    is_action: Callable[[np.ndarray], bool],
) -> tuple[np.ndarray, np.ndarray]:
    """Return predicted and recorded motions from each image to the next, (N, 7) each.

    Images that the recorded motion does not cover, pauses and answers in words are left out.
    """
    stamps: list[int] = []

    def noted() -> Iterator[Observation]:
        for seen in recording():
            stamps.append(seen.stamp_ns)
            yield seen

    said = [one.action for one in replay(policy, [noted], Decoding())]
    usual = np.median(np.diff(stamps)) if len(stamps) > 1 else 0
    pairs = [
        (action.values, done)
        for action, (start, end) in zip(said, pairwise(stamps), strict=False)
        if end - start <= _LONGEST_PAUSE * usual
        and is_action(action.tokens)
        and (done := motion.between(start, end)) is not None
    ]
    both = np.array(pairs).reshape(-1, 2, DIMENSIONS)
    return both[:, 0], both[:, 1]
