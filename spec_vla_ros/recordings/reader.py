# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Opens recordings, finds their topics and reads their messages, or says why it cannot.

A recording is a rosbag2 folder (sqlite3 or MCAP) or a bare .mcap or .db3 file, compressed or not.
"""

from __future__ import annotations

import heapq
import shutil
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from operator import itemgetter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from backports import zstd  # a requirement of rosbags
from rosbags.interfaces import Connection
from rosbags.rosbag2 import Reader
from rosbags.typesys import Stores, get_typestore

from spec_vla_ros.recordings.files import (
    ZSTD,
    RecordingError,
    files_of,
    kind_of,
    the_whole,
    why_cut_off,
    why_unreadable,
)
from spec_vla_ros.types import NANOSECONDS

# The messages that are read are the same in every distribution of ROS 2. So the definitions in a
# recording, which older ones lack, are not needed.
_TYPES = get_typestore(Stores.ROS2_HUMBLE)


class Recording:
    """The opened files of a recording, which are read as if they were one."""

    def __init__(self, files: Sequence[Reader]) -> None:
        self._files = files

    @property
    def connections(self) -> list[Connection]:
        """The recorded topics with their types, of each file."""
        return [connection for file in self._files for connection in file.connections]

    def messages(self, wanted: Collection[Connection]) -> Iterator[tuple[Connection, int, bytes]]:
        """Yield (connection, time of recording in ns, bytes) of each message, ordered by time."""
        own = [(file, [c for c in file.connections if c in wanted]) for file in self._files]
        parts = [file.messages(of_file) for file, of_file in own if of_file]
        return heapq.merge(*parts, key=itemgetter(1))


@contextmanager
def opened(path: Path) -> Iterator[Recording]:
    """Open a recording; errors while it is read name it, too.

    Raises:
        FileNotFoundError: there is no such file or folder.
        RecordingError: it is no recording, is damaged or cut off, or files of it are missing.
    """
    files = files_of(path)
    try:
        with ExitStack() as stack:
            plain = [stack.enter_context(_readable(file)) for file in files]
            yield Recording([stack.enter_context(Reader(file)) for file in plain])
    except (RecordingError, OSError):
        raise
    except Exception as error:  # each storage format has its own
        raise RecordingError(
            f'{path} cannot be read as a rosbag2 recording: {why_unreadable(files, error)}'
        ) from error


def connections(
    recording: Recording, path: Path, topic: str, types: Collection[str], *, way_on: str = ''
) -> list[Connection]:
    """Return a topic's connections, all of one of these types.

    way_on: in words, what to do if they are of another type.

    Raises:
        RecordingError: there are none, or they are of another type.
    """
    named = [c for c in recording.connections if c.topic.strip('/') == topic.strip('/')]
    if not named:
        # Those that may be meant come first, since recordings can have hundreds.
        found = {(c.msgtype not in types, c.topic, c.msgtype) for c in recording.connections}
        there = ', '.join(f'{name} ({msgtype})' for _, name, msgtype in sorted(found))
        raise RecordingError(
            f'{path} has no topic {topic}; it has: {there or "none at all"}{the_whole(path)}'
        )
    wrong = sorted({c.msgtype for c in named if c.msgtype not in types})
    if wrong:
        raise RecordingError(
            f'{path}: {topic} is of type {", ".join(wrong)} and should be {" or ".join(types)}'
            + (way_on and f'; {way_on}')
        )
    return named


def check_messages(
    recording: Recording, path: Path, named: Sequence[Connection], *, way_on: str
) -> None:
    """Make sure that a topic has messages, as far as the recording counts them.

    named: the topic's connections.
    way_on: in words, what to do if it has none.

    Raises:
        RecordingError: it has none, as in the later files of a recording that was split.
    """
    counted = any(c.msgcount for c in recording.connections)
    if not counted or any(c.msgcount for c in named):
        return
    raise RecordingError(
        f'{path}: {named[0].topic} has no messages{the_whole(path) or f": {way_on}"}'
    )


def message(connection: Connection, data: bytes) -> Any:
    """Return a recorded message; its fields are those of its type."""
    return _TYPES.deserialize_cdr(decompressed(data), connection.msgtype)


def stamp_ns(stamped: Any, recorded_ns: int) -> int:
    """Return a message's stamp, nanoseconds; if it has none, the time it was recorded."""
    stamp = stamped.header.stamp
    return int(stamp.sec * NANOSECONDS + stamp.nanosec) or recorded_ns


def decompressed(data: bytes) -> bytes:
    """Return the bytes of a message, unpacked if it is compressed.

    An uncompressed message (CDR) begins with a zero, unlike a zstd frame.
    """
    return zstd.decompress(data) if data[:4] == ZSTD else data


@contextmanager
def _readable(file: Path) -> Iterator[Path]:
    """Yield a file of a recording, uncompressed and with the right suffix; it may be temporary.

    Compression and format are told by the content, since the name may be any.
    """
    with TemporaryDirectory(prefix='spec_vla_recording_') as folder:
        plain = file
        if kind_of(file) == '.zstd':
            plain = Path(folder) / 'plain'
            _unpack(file, plain)
        suffix = kind_of(plain)
        if suffix not in ('.mcap', '.db3'):
            raise RecordingError(
                f'{file} cannot be read as a rosbag2 recording: it holds neither MCAP nor SQLite; '
                'give the folder of a recording, or its .mcap or .db3 file, as it is or as .zstd'
            )
        if plain.suffix != suffix:  # rosbags chooses the format by it
            link = Path(folder) / f'file{suffix}'
            link.symlink_to(plain.resolve())
            plain = link
        yield plain


def _unpack(file: Path, plain: Path) -> None:
    try:
        with zstd.open(file, 'rb') as compressed, open(plain, 'wb') as written:
            shutil.copyfileobj(compressed, written)
    except EOFError as error:
        raise RecordingError(why_cut_off(file, plain)) from error
    except OSError as error:
        raise OSError(
            f'{file} cannot be unpacked into {plain.parents[1]} ({error.strerror}): make room, or '
            'set the environment variable TMPDIR to a folder that has more'
        ) from error
