# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Recordings opened, their topics found and their messages read, or a reason why not.

A recording is a rosbag2 folder (sqlite3 or MCAP) or a bare .mcap or .db3 file, compressed or not.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from backports import zstd  # which rosbags reads compressed recordings with
from rosbags.interfaces import Connection
from rosbags.rosbag2 import Reader
from rosbags.typesys import Stores, get_typestore

_ZSTD = b'\x28\xb5\x2f\xfd'  # what zstd's frames begin with, RFC 8878
_ZSTD_SUFFIXES = ('.zstd', '.zst')
_DATA_SETS = {
    'meta/info.json': 'LeRobot',
    'dataset_info.json': 'TensorFlow (RLDS)',
    '*/dataset_info.json': 'TensorFlow (RLDS)',
}
"""What a folder has that is a data set of other programs -> whose."""
_DATA_FILES = {'.parquet': 'LeRobot', '.hdf5': 'HDF5', '.h5': 'HDF5'}
_REPLAY = (
    'replay it as messages and record these with `ros2 bag record`, or write them with the '
    'package rosbags'
)
_MCAP = b'\x89MCAP0\r\n'  # what a whole file begins and ends with

# These messages are the same in every distribution, so the definitions that a recording brings
# along (older ones bring none) need not be read.
_TYPES = get_typestore(Stores.ROS2_HUMBLE)


class RecordingError(ValueError):
    """A recording cannot be used; the message says why."""


@contextmanager
def opened(path: Path) -> Iterator[Reader]:
    """Open a recording; errors inside are raised with the recording's name.

    Raises:
        FileNotFoundError: there is no such file or folder.
        RecordingError: it is no recording, a data set of other programs, is damaged, or was cut
            off.
    """
    if not path.exists():
        raise FileNotFoundError(f'{path}: no such recording')
    owner = _data_set(path)
    if owner:
        raise RecordingError(
            f'{path} is a data set of {owner}, and no recording of ROS: {_REPLAY}'
        )
    if path.name == 'metadata.yaml':
        raise RecordingError(f'{path} is a part of a recording: give its folder {path.parent}')
    profile = _profile(path)
    if profile not in (None, 'ros2'):
        raise RecordingError(
            f'{path} is no recording of ROS 2, its MCAP has the profile {profile!r}: {_REPLAY}'
        )
    if path.is_dir() and not (path / 'metadata.yaml').exists():
        raise RecordingError(
            f'{path} is no rosbag2 recording: it has no metadata.yaml; {_parts(path)}'
        )
    if path.is_file() and path.suffix == '.bag':
        raise RecordingError(
            f'{path} is a recording of ROS 1: convert it with `rosbags-convert --src {path} --dst '
            f'{path.with_suffix("")}` (of the package rosbags), and give the folder that it makes'
        )
    try:
        with ExitStack() as stack:
            compressed = path.suffix in _ZSTD_SUFFIXES
            file = stack.enter_context(_decompressed(path)) if compressed else path
            yield stack.enter_context(Reader(file))
    except (RecordingError, OSError):
        raise
    except Exception as error:  # each storage format has its own
        cut = _cut_off(path)
        reason = f'{error}' if cut is None else f'{cut.name} was cut off; {_recover(cut)}'
        raise RecordingError(f'{path} cannot be read as a rosbag2 recording: {reason}') from error


def connections(
    reader: Reader, path: Path, topic: str, types: Collection[str]
) -> list[Connection]:
    """Return a topic's connections, all of one of these types.

    Raises:
        RecordingError: there are none, or of another type.
    """
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


def message(connection: Connection, data: bytes) -> Any:
    """Return a recorded message; its fields are those of its type."""
    if data[:4] == _ZSTD:  # its metadata.yaml, which says so, is not here: CDR begins with a zero
        data = zstd.decompress(data)
    return _TYPES.deserialize_cdr(data, connection.msgtype)


@contextmanager
def _decompressed(path: Path) -> Iterator[Path]:
    """Write a compressed file of a recording out, for as long as it is read."""
    with TemporaryDirectory(prefix='spec_vla_recording_') as folder:
        plain = Path(folder) / path.stem
        with zstd.open(path, 'rb') as compressed, open(plain, 'wb') as written:
            shutil.copyfileobj(compressed, written)
        yield plain


def _data_set(path: Path) -> str:
    """Return whose data set a file or folder is; empty where it is none that is known."""
    if path.is_file():
        tf = re.search(r'\.tfrecord(-\d+-of-\d+)?$', path.name)
        return 'TensorFlow (RLDS)' if tf else _DATA_FILES.get(path.suffix, '')
    if (path / 'metadata.yaml').exists():
        return ''
    return next((owner for what, owner in _DATA_SETS.items() if any(path.glob(what))), '')


def _parts(folder: Path) -> str:
    """Return what to do with the files of a folder whose recorder did not end it."""
    files = sorted(p for p in folder.iterdir() if {'.mcap', '.db3'} & {*p.suffixes})
    inside = sorted(file.parent.name for file in folder.glob('*/metadata.yaml'))
    if inside and not files:
        more = f' and {len(inside) - 8} more' if len(inside) > 8 else ''
        return f'it holds recordings: give those of {", ".join(inside[:8])}{more} that are meant'
    if not files:
        return 'nor has it an .mcap or .db3 file'
    cut = next((file for file in files if _cut_off(file)), None)
    if cut is not None:
        return f'{cut.name} was cut off, too; {_recover(cut)}'
    return f'give its file ({files[0]}), or run `ros2 bag reindex {folder}`'


def _cut_off(path: Path) -> Path | None:
    """Return the .mcap file of a recording that has a beginning and no end; None without one."""
    for file in sorted(path.glob('*.mcap')) if path.is_dir() else [path]:
        with file.open('rb') as content:
            if content.read(len(_MCAP)) != _MCAP:
                continue
            content.seek(max(len(_MCAP), file.stat().st_size - len(_MCAP)))
            if content.read() != _MCAP:
                return file
    return None


def _profile(path: Path) -> str | None:
    """Return what an .mcap file says that its messages are of; None where it says nothing."""
    if not path.is_file():
        return None
    with path.open('rb') as content:
        head = content.read(len(_MCAP) + 128)
    begin = len(_MCAP) + 9 + 4  # behind the record's kind and length, and the profile's
    length = int.from_bytes(head[begin - 4 : begin], 'little')
    if not head.startswith(_MCAP + b'\x01') or not begin + length <= len(head):
        return None
    return head[begin : begin + length].decode(errors='replace')


def _recover(file: Path) -> str:
    whole = file.with_name(f'whole_{file.name}')
    return (
        f'`mcap recover {file} -o {whole}` (https://mcap.dev/guides/cli) saves what is there: '
        f'give {whole.name} then'
    )
