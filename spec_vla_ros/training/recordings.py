# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Prompts from users' own recordings: what the camera saw while an instruction was in force.

A recording is a rosbag2 folder (sqlite3 or MCAP) or a bare .mcap or .db3 file, compressed or not.
ROS need not be installed.
"""

from __future__ import annotations

import shutil
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from backports import zstd  # which rosbags reads compressed recordings with
from rosbags.interfaces import Connection
from rosbags.rosbag2 import Reader
from rosbags.typesys import Stores, get_typestore

from spec_vla_ros.pixels import compressed_to_rgb, raw_to_rgb
from spec_vla_ros.training.drafter_data import Example
from spec_vla_ros.types import Observation

_DECODERS: dict[str, Callable[[Any], np.ndarray]] = {
    'sensor_msgs/msg/Image': raw_to_rgb,
    'sensor_msgs/msg/CompressedImage': compressed_to_rgb,
}
_ZSTD = b'\x28\xb5\x2f\xfd'  # what zstd's frames begin with, RFC 8878
_INSTRUCTION_TYPES = ('std_msgs/msg/String',)

# These messages are the same in every distribution, so the definitions that a recording brings
# along (older ones bring none) need not be read.
_TYPES = get_typestore(Stores.ROS2_HUMBLE)


class RecordingError(ValueError):
    """A recording cannot be used; the message says why."""


@dataclass(frozen=True, slots=True)
class RecordingTopics:
    """Where in a recording the prompts are.

    image: topic of sensor_msgs/Image or sensor_msgs/CompressedImage.
    instruction_topic: of std_msgs/String; None where `instruction` says what was recorded.
    instruction: the instruction of the whole recording.

    Raises:
        ValueError: not exactly one of instruction_topic and instruction is given.
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


def check_recording(path: Path, topics: RecordingTopics) -> None:
    """Make sure that a recording holds what `recorded_examples` needs.

    Raises:
        FileNotFoundError: there is no such file or folder.
        RecordingError: it is no recording, or lacks a topic; the message lists the ones it has.
    """
    with _opened(path) as reader:
        _connections(reader, path, topics.image, _DECODERS)
        if topics.instruction_topic:
            _connections(reader, path, topics.instruction_topic, _INSTRUCTION_TYPES)


def recorded_examples(
    path: Path,
    topics: RecordingTopics,
    *,
    episode: int,
    every: int = 1,
    report: Callable[[str], None],
) -> Iterator[Example]:
    """Give every image of a recording as a prompt; see `recorded_observations`.

    Args:
        path: the recording.
        topics: where images and instructions are.
        episode: its number.
        every: take one image of so many.
        report: called at the end with a line that says how many images were used.

    Raises:
        FileNotFoundError, RecordingError: as `recorded_observations`.
    """
    for seen in recorded_observations(path, topics, every=every, report=report):
        yield Example(image=seen.image, instruction=seen.instruction, episode=episode)


def recorded_observations(
    path: Path,
    topics: RecordingTopics,
    *,
    every: int = 1,
    interval: float = 0.0,
    report: Callable[[str], None],
) -> Iterator[Observation]:
    """Give every image of a recording with the instruction that was in force, and its stamp.

    The instruction is the newest one recorded at or before the image. Images without one, and
    those after an empty one, which cancels, are left out and counted in the report. The stamp is
    the camera's, or when the image was recorded where the camera gave none.

    Args:
        path: the recording.
        topics: where images and instructions are.
        every: take one image of so many.
        interval: leave out images recorded sooner than this after the last one taken, seconds.
        report: called at the end with a line that says how many images were used.

    Raises:
        FileNotFoundError, RecordingError: as `check_recording`; or an image cannot be decoded, or
            no image has an instruction.
    """
    used = seen = without = 0
    due_ns = 0
    with _opened(path) as reader:
        times, texts = _instructions(reader, path, topics)
        images = _connections(reader, path, topics.image, _DECODERS)
        for connection, recorded_ns, data in reader.messages(images):
            place = bisect_right(times, recorded_ns)
            instruction = texts[place - 1] if place else ''
            if not instruction:
                without += 1
                continue
            seen += 1
            if (seen - 1) % every or recorded_ns < due_ns:
                continue
            due_ns = recorded_ns + round(interval * 1e9)
            message = _message(connection, data)
            try:
                image = _DECODERS[connection.msgtype](message)
            except ValueError as error:
                number = without + seen
                raise RecordingError(
                    f'{path}: image {number} of {topics.image}: {error}'
                ) from error
            used += 1
            stamp = message.header.stamp
            stamp_ns = stamp.sec * 1_000_000_000 + stamp.nanosec
            yield Observation(image, instruction, stamp_ns or recorded_ns)
    if not used:
        raise RecordingError(
            f'{path}: none of the {without} images of {topics.image} has an instruction at or '
            f'before it on {topics.instruction_topic}; where none was recorded, give its text'
            if without
            else f'{path}: {topics.image} is there but has no images'
        )
    report(f'{path}: {used} of {without + seen} images, {without} left out without an instruction')


def _instructions(
    reader: Reader, path: Path, topics: RecordingTopics
) -> tuple[list[float], list[str]]:
    """Return when each instruction came into force, ascending, and its text."""
    if topics.instruction_topic is None:
        return [-np.inf], [str(topics.instruction).strip()]
    connections = _connections(reader, path, topics.instruction_topic, _INSTRUCTION_TYPES)
    said = [
        (stamp_ns, _message(connection, data).data.strip())
        for connection, stamp_ns, data in reader.messages(connections)
    ]
    said.sort(key=lambda pair: pair[0])
    return [stamp_ns for stamp_ns, _ in said], [text for _, text in said]


def _connections(
    reader: Reader, path: Path, topic: str, types: Collection[str]
) -> list[Connection]:
    """Return a topic's connections of one of these types."""
    named = [c for c in reader.connections if c.topic.strip('/') == topic.strip('/')]
    if not named:
        there = ', '.join(sorted({f'{c.topic} ({c.msgtype})' for c in reader.connections}))
        raise RecordingError(f'{path} has no topic {topic}; it has: {there or "none at all"}')
    wrong = sorted({c.msgtype for c in named if c.msgtype not in types})
    if wrong:
        raise RecordingError(
            f'{path}: {topic} is of type {", ".join(wrong)} and should be {" or ".join(types)}'
        )
    return named


def _message(connection: Connection, data: bytes) -> Any:
    """Return a recorded message; its fields are those of its type."""
    if data[:4] == _ZSTD:  # its metadata.yaml, which says so, is not here: CDR begins with a zero
        data = zstd.decompress(data)
    return _TYPES.deserialize_cdr(data, connection.msgtype)


@contextmanager
def _opened(path: Path) -> Iterator[Reader]:
    """Open a recording; errors inside are raised with the recording's name."""
    if not path.exists():
        raise FileNotFoundError(f'{path}: no such recording')
    if path.is_dir() and not (path / 'metadata.yaml').exists():
        raise RecordingError(
            f'{path} is no rosbag2 recording: it has no metadata.yaml (if it was cut off, give '
            'its .mcap or .db3 file, or run `ros2 bag reindex` on it)'
        )
    try:
        with ExitStack() as stack:
            file = stack.enter_context(_decompressed(path)) if path.suffix == '.zstd' else path
            yield stack.enter_context(Reader(file))
    except (RecordingError, OSError):
        raise
    except Exception as error:  # each storage format has its own
        raise RecordingError(f'{path} cannot be read as a rosbag2 recording: {error}') from error


@contextmanager
def _decompressed(path: Path) -> Iterator[Path]:
    """Write a compressed file of a recording out, for as long as it is read."""
    with TemporaryDirectory(prefix='spec_vla_recording_') as folder:
        plain = Path(folder) / path.stem
        with zstd.open(path, 'rb') as compressed, open(plain, 'wb') as written:
            shutil.copyfileobj(compressed, written)
        yield plain
