# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Files that appear whole or not at all, and what tells files apart by what they hold."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_SAMPLE, _SAMPLES = 2**20, 64  # bytes of a file that are read at once, and how often at most
_NAMED = 4  # files of a folder that an error names


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Give a place beside a file to write to; what is written there becomes the file at the end.

    A file that is there stays until the new one is whole: a disk may be full.
    """
    partial = path.with_name(f'{path.name}.partial')
    try:
        yield partial
        partial.rename(path)
    finally:
        partial.unlink(missing_ok=True)


def contents(files: Iterable[Path]) -> list[list[Any]]:
    """Return name, size in bytes and a checksum of each file, ready for JSON.

    Of a large file some samples are read, 64 MB at most.
    """
    return [[file.name, file.stat().st_size, _checksum(file)] for file in files]


def fingerprint(files: Iterable[Path]) -> str:
    """Return twelve digits that are others where files were added, renamed or changed.

    Raises:
        OSError: one cannot be read.
    """
    return digest(contents(files))


def files_in(folder: Path) -> list[Path]:
    """Return the files of a folder by name, those of its folders left out."""
    return sorted(path for path in folder.iterdir() if path.is_file())


def no_file(path: Path) -> str:
    """Return in words why there is no file at a path, and what to do if a folder is there."""
    if not path.is_dir():
        return 'there is no such file'
    names = sorted(inside.name for inside in path.iterdir())
    if names:
        return f'it is a folder ({", ".join(names[:_NAMED])}): put the file itself in its place'
    return (
        'it is an empty folder, as Docker makes in place of a file to mount that is not there: '
        'remove it, and mount the file'
    )


def digest(said: Any) -> str:
    """Return twelve digits that are others for anything else that can be said in JSON."""
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:12]


def _checksum(path: Path) -> str:
    size, checksum = path.stat().st_size, hashlib.sha256()
    with path.open('rb') as file:
        for offset in range(0, size, max(_SAMPLE, size // _SAMPLES)):
            file.seek(offset)
            checksum.update(file.read(_SAMPLE))
    return checksum.hexdigest()
