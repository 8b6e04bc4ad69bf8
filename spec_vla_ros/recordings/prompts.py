# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Reads observations from recordings: images, each with the instruction then in force."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.interfaces import Connection

from spec_vla_ros.files import contents
from spec_vla_ros.pixels import check_scene, compressed_to_rgb, doubt
from spec_vla_ros.raw_pixels import raw_to_rgb
from spec_vla_ros.recordings.files import RecordingError, files_of
from spec_vla_ros.recordings.instructions import (
    INSTRUCTION_TOPIC,
    check_instructions,
    instructions_in_force,
    is_spoken,
)
from spec_vla_ros.recordings.reader import (
    Recording,
    check_messages,
    connections,
    message,
    opened,
    stamp_ns,
)
from spec_vla_ros.types import NANOSECONDS, Observation, instruction_fault

IMAGE_TOPIC = '/image'
"""Default topic of images, which is the policy node's."""

_NEARLY = 0.75  # share of the interval after which an image is taken, to allow for its jitter

_DECODERS: dict[str, Callable[[Any], np.ndarray]] = {
    'sensor_msgs/msg/Image': raw_to_rgb,
    'sensor_msgs/msg/CompressedImage': compressed_to_rgb,
}

_WAY_ON = (
    "give the topic of the camera's colour pictures; where only a stream of them was recorded, as "
    'of ffmpeg or theora, play it into `ros2 run image_transport republish`, and record what '
    'comes out'
)


@dataclass(frozen=True, slots=True)
class RecordingTopics:
    """Where in a recording images and instructions are.

    image: topic of sensor_msgs/Image or sensor_msgs/CompressedImage.
    instruction_topic: topic of std_msgs/String; None if `instruction` is given.
    instruction: the instruction of the whole recording.

    Raises:
        ValueError: not exactly one of instruction_topic and instruction is given, or the
            instruction is one that the node would refuse.
    """

    image: str
    instruction_topic: str | None = None
    instruction: str | None = None

    def __post_init__(self) -> None:
        if bool(self.instruction_topic) == bool((self.instruction or '').strip()):
            raise ValueError(
                "give the topic of the recording's instructions, or the instruction itself where "
                'none was recorded: one of the two'
            )
        fault = instruction_fault((self.instruction or '').strip())
        if fault:
            raise ValueError(fault)


def topics_given(
    *, image: str | None, instruction_topic: str | None, instruction: str | None
) -> RecordingTopics:
    """Return the topics that options give, and the node's topics for options left out.

    Raises:
        ValueError: both an instruction and its topic are given, or see `RecordingTopics`.
    """
    if instruction_topic is None and instruction is None:
        instruction_topic = INSTRUCTION_TOPIC
    return RecordingTopics(image or IMAGE_TOPIC, instruction_topic, instruction)


def check_recordings(paths: Iterable[Path], topics: RecordingTopics) -> None:
    """Make sure that each recording can be read and has the topics, and that none is given twice.

    Copies, links, and a folder together with its file count as the same recording. Its images
    would be in the training and the validation set.

    Raises:
        FileNotFoundError, RecordingError: as `check_recording`; or two recordings are the same.
    """
    seen: dict[tuple[int, str], Path] = {}
    for path in paths:
        check_recording(path, topics)
        for _, size, checksum in contents(files_of(path)):
            if (size, checksum) in seen:
                raise RecordingError(
                    f'{seen[size, checksum]} and {path} are the same recording, or one is a copy, '
                    'which would count twice: give it once'
                )
            seen[size, checksum] = path


def check_recording(path: Path, topics: RecordingTopics) -> None:
    """Make sure that a recording holds what `recorded_observations` needs.

    Raises:
        FileNotFoundError: there is no such file or folder.
        RecordingError: it is no recording, or lacks a topic; the message lists those it has.
    """
    with opened(path) as recording:
        images = _images(recording, path, topics.image)
        check_messages(recording, path, images, way_on=_WAY_ON)
        if topics.instruction_topic:
            check_instructions(recording, path, topics.instruction_topic)


def _images(recording: Recording, path: Path, topic: str) -> list[Connection]:
    """Return the connections of a topic of images; RecordingError: see `connections`."""
    return connections(recording, path, topic, _DECODERS, way_on=_WAY_ON)


def image_times(path: Path, topic: str) -> tuple[np.ndarray, np.ndarray]:
    """Return each image's stamp and the time it was recorded, (N,) int64 each, nanoseconds.

    They are in the order of recording. No image is decoded.

    Raises:
        FileNotFoundError, RecordingError: as `check_recording`.
    """
    with opened(path) as recording:
        images = _images(recording, path, topic)
        found = [
            (stamp_ns(message(connection, data), recorded_ns), recorded_ns)
            for connection, recorded_ns, data in recording.messages(images)
        ]
    stamps, recorded = np.array(found, np.int64).reshape(-1, 2).T
    return stamps, recorded


def recorded_observations(
    path: Path,
    topics: RecordingTopics,
    *,
    every: int = 1,
    interval: float = 0.0,
    report: Callable[[str], None],
) -> Iterator[Observation]:
    """Yield the images of a recording, each with its stamp and the instruction then in force.

    The instruction is the newest one recorded at or before the image or, if the policy node's
    status was recorded, the one that the node had in force. These images are left out, and counted
    in the report: those without an instruction, after an empty one (which cancels) or after one
    that the node refuses; and those that the node would not infer from, which cannot be decoded or
    have one colour only. The stamp is the camera's, or the time of recording if the camera gave
    none.

    Args:
        path: the recording.
        topics: where images and instructions are.
        every: take one image of so many.
        interval: leave out images recorded clearly sooner than this after the last one taken,
            seconds. A camera that runs at about this interval loses none.
        report: called with a line for each of these: what the instructions are taken from, if not
            from their topic; why some are refused; how many images cannot be used; that most are
            copies; what is doubtful of them; and, at the end, how many images were used.

    Raises:
        FileNotFoundError, RecordingError: as `check_recording`; or images are in several frames;
            or, at the end: no image has an instruction, or more than half of those that have one
            cannot be used.
    """
    used = seen = without = refused = repeated = doubted = 0
    last: np.ndarray | None = None
    refusal = doubtful = ''  # why the first of them was refused, or is doubted
    due_ns = 0
    frames: set[str] = set()
    with opened(path) as recording:
        if topics.instruction_topic:
            times, texts = instructions_in_force(
                recording, path, topics.instruction_topic, report=report
            )
        else:
            times, texts = [-np.inf], [str(topics.instruction).strip()]
            if is_spoken(recording, INSTRUCTION_TOPIC):
                report(f'{path}: the instruction given is used, and none of {INSTRUCTION_TOPIC}')
        faults = [instruction_fault(text) for text in texts]
        for fault in sorted({fault for fault in faults if fault}):
            report(f'{path}: refused, as the node would: {fault}')
        texts = ['' if fault else text for text, fault in zip(texts, faults, strict=True)]
        images = _images(recording, path, topics.image)
        for connection, recorded_ns, data in recording.messages(images):
            place = bisect_right(times, recorded_ns)
            instruction = texts[place - 1] if place else ''
            if not instruction:
                without += 1
                continue
            seen += 1
            if (seen - 1) % every or recorded_ns < due_ns:
                continue
            due_ns = recorded_ns + round(_NEARLY * interval * NANOSECONDS)
            picture = message(connection, data)
            frames.add(picture.header.frame_id)
            if len(frames) > 1:
                named = ', '.join(map(repr, sorted(frames)))
                raise RecordingError(
                    f'{path}: {topics.image} is in the frames {named}, as of several cameras on '
                    'one topic: record each on a topic of its own'
                )
            try:
                image = check_scene(_DECODERS[connection.msgtype](picture))
            except ValueError as error:
                refused += 1
                refusal = refusal or f'image {without + seen} of {topics.image}: {error}'
                continue
            used += 1
            repeated += last is not None and np.array_equal(image, last)
            last = image
            if why := doubt(image):
                doubted += 1
                doubtful = doubtful or why
            yield Observation(image, instruction, stamp_ns(picture, recorded_ns))
    if refused > used:
        raise RecordingError(
            f'{path}: {refusal}; {refused} of {used + refused} images are refused, more '
            'than half: record again, or give another topic'
        )
    if not used:
        raise RecordingError(
            f'{path}: none of the {without} images of {topics.image} has an instruction at or '
            f'before it on {topics.instruction_topic}; where none was recorded, give its text'
            if without
            else f'{path}: {topics.image} is there but has no images'
        )
    if refused:
        report(
            f'{path}: {refused} of {used + refused} images left out, as the node would refuse '
            f'them: first {refusal}'
        )
    if 2 * repeated > used:
        report(
            f'{path}: warning: {repeated} of {used} images are the same as the one before, to the '
            'last bit: the camera or its driver hung, and they say little'
        )
    if doubted:
        report(f'{path}: warning: {doubted} of {used} images are doubtful: {doubtful}')
    report(f'{path}: {used} of {without + seen} images, {without} left out without an instruction')
