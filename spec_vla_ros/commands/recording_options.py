# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The options of `spec-vla compare` and `spec-vla tune` that say which recordings are replayed."""

from __future__ import annotations

import argparse
import math
from functools import cache, partial

from spec_vla_ros.command_line import user_path
from spec_vla_ros.evaluation.recorded.tuning import Recording
from spec_vla_ros.recordings.instructions import INSTRUCTION_TOPIC
from spec_vla_ros.recordings.prompts import (
    IMAGE_TOPIC,
    check_recordings,
    recorded_observations,
    topics_given,
)


def add_recording_options(parser: argparse.ArgumentParser) -> None:
    """Declare the recordings, their topics, and the time between the images used."""
    parser.add_argument(
        'recordings',
        type=user_path,
        nargs='+',
        metavar='RECORDING',
        help='rosbag2 folders or .mcap files',
    )
    prompts = parser.add_argument_group('what was recorded')
    prompts.add_argument('--image-topic', default=IMAGE_TOPIC, help='default: %(default)s')
    prompts.add_argument('--instruction-topic', help=f'default: {INSTRUCTION_TOPIC}')
    prompts.add_argument('--instruction', help='its text, where none was recorded')
    prompts.add_argument(
        '--interval',
        type=float,
        default=0.1,
        help='seconds between the images used: how long a step of the robot takes (default: 0.1)',
    )


def recordings_from(args: argparse.Namespace) -> list[Recording]:
    """Return a reader for each recording, after checking that it can be read.

    Raises:
        ValueError: a recording cannot be read, lacks a topic or is given twice, or an option
            cannot be used; the message says why.
        FileNotFoundError: there is no such recording.
    """
    if not (math.isfinite(args.interval) and args.interval >= 0):
        raise ValueError(f'--interval {args.interval}: give seconds, 0 takes every image')
    topics = topics_given(
        image=args.image_topic,
        instruction_topic=args.instruction_topic,
        instruction=args.instruction,
    )
    check_recordings(args.recordings, topics)
    report = cache(print)  # each text once, however often a recording is read
    return [
        partial(recorded_observations, path, topics, interval=args.interval, report=report)
        for path in args.recordings
    ]
