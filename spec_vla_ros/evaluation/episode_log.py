# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Logs the results of episodes as they end, so that a run can resume without repeating them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any


class EpisodeLog:
    """A file of JSON lines with an episode in each.

    An incomplete line does not count, so the program may be killed at any time.

    Args:
        path: the file; it is made when there is something to write.
        key: the fields that identify an episode.
    """

    def __init__(self, path: Path, *, key: Iterable[str]) -> None:
        self._path, self._key = path, tuple(key)

    def read(self) -> dict[tuple, dict[str, Any]]:
        """Return the logged episodes by the values of their key; of several equal keys, the last.

        Raises:
            ValueError: the file holds something other than episodes.
        """
        if not self._path.exists():
            return {}
        try:
            rows = [json.loads(line) for line in whole_lines(self._path)]
            return {tuple(row[name] for name in self._key): row for row in rows}
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(
                f'{self._path} is no log of episodes ({error}): remove it, or give another folder'
            ) from error

    def add(self, row: dict[str, Any]) -> None:
        """Append an episode; it is on the disk when this returns."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        cut_off_torn_line(self._path)
        with self._path.open('a') as file:
            file.write(json.dumps(row) + '\n')
            file.flush()
            os.fsync(file.fileno())


def whole_lines(path: Path) -> list[str]:
    """Return the lines of a file without an incomplete last one, whose writer was killed."""
    text = path.read_text()
    return text[: text.rfind('\n') + 1].splitlines()


def cut_off_torn_line(path: Path) -> None:
    """Remove an incomplete last line, whose writer was killed, from a file."""
    if not path.exists():
        return
    with path.open('rb+') as file:
        file.truncate(file.read().rfind(b'\n') + 1)
