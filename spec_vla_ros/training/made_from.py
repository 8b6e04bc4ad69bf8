# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""What the files of a folder were made from, noted beside them: what goes on goes on alike."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spec_vla_ros.files import written_whole

NOTE = 'made_from.json'
_COMPLETE = 'complete_for'


@dataclass(frozen=True, slots=True)
class MadeFrom:
    """The options that a command would make a folder's files with.

    folder: where the note is, and the files are.
    options: by name; what is no JSON is noted as its text. Options without influence on the files
    are left out.
    contents: fingerprints of the files that the command reads, by name; noted like options. Notes
    of older versions lack them.
    grow: names of numbers that may be larger than they were.
    way_on: what to do where the options differ, as an end of a sentence.
    """

    folder: Path
    options: Mapping[str, Any]
    way_on: str
    contents: Mapping[str, str] = field(default_factory=dict)
    grow: Collection[str] = ()

    @property
    def note(self) -> Path:
        """The file of the note."""
        return self.folder / NOTE

    def check(self, made: Iterable[Path]) -> None:
        """Make sure that the files that were made were made with these options.

        Args:
            made: those files; none, and anything goes.

        Raises:
            ValueError: the note says others, is missing or cannot be read.
        """
        example = next(iter(made), None)
        if example is None:
            return
        asked = self._noted()
        unless_same = (
            f'{self.way_on}; or, if the files were made with what is given now, write this '
            f'into {NOTE}: {json.dumps(asked)}'
        )
        try:
            before = json.loads(self.note.read_text())
            before.pop(_COMPLETE, None)
            lacking = [n for n in self.contents if n not in before]
            differ = [n for n in {**before, **asked} if not self._fits(n, before, asked)]
        except FileNotFoundError:
            raise ValueError(
                f'{example} is there, but no {self.note}, which would say with which options it '
                f'was made: {unless_same}'
            ) from None
        except (ValueError, TypeError, AttributeError) as error:
            raise ValueError(
                f'{self.note} cannot be read ({error}): remove it, and give the command again'
            ) from error
        changes = [
            f'{n} was {before.get(n)}, is {asked.get(n)}' for n in differ if n not in lacking
        ]
        if lacking:
            raise ValueError(
                f'{self.note} is of an older version and does not say {", ".join(lacking)}: '
                f'{"; ".join([*changes, unless_same])}'
            )
        if differ:
            raise ValueError(
                f'{self.folder} holds files that were made with other options or contents (see '
                f'{self.note}): {"; ".join(changes)}. Give the same again, or {self.way_on}'
            )

    def write(self, *, complete_for: str | None = None) -> None:
        """Write the note; it is whole or not there.

        complete_for: the fingerprint of the weights that all files have been made with.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with written_whole(self.note) as partial:
            noted = self._noted() | ({_COMPLETE: complete_for} if complete_for else {})
            partial.write_text(json.dumps(noted, indent=2) + '\n')

    def _noted(self) -> dict[str, Any]:
        """Return options and contents as they are read back."""
        said = {**self.options, **self.contents}
        noted: dict[str, Any] = json.loads(json.dumps(said, default=str))
        return noted

    def _fits(self, name: str, before: Mapping[str, Any], asked: Mapping[str, Any]) -> bool:
        if name not in before or name not in asked:
            return False
        same: bool = before[name] == asked[name]
        return same or (name in self.grow and before[name] < asked[name])


def check_features(files: Iterable[Path], *, weights: str) -> list[str]:
    """Make sure that features are of a checkpoint's weights, by the notes of `drafter-data`.

    Args:
        files: of the features.
        weights: their fingerprint.

    Returns:
        A warning for each folder that may be of an interrupted command.

    Raises:
        ValueError: a note says another one, or cannot be read.
    """
    warnings = []
    for note in sorted({file.parents[1] / NOTE for file in files}):
        noted = _read(note) if note.exists() else {}
        said = noted.get(_COMPLETE)
        if said not in (None, weights):
            raise ValueError(
                f'the features in {note.parent} are of other weights than those of the '
                'checkpoint: give the one that drafter-data was given'
            )
        if said is None:
            warnings.append(
                f'{note.parent} may lack features: {NOTE} does not say that drafter-data came to '
                'its end; give its command again, which makes what is missing'
            )
    return warnings


def _read(note: Path) -> dict[str, Any]:
    try:
        said = json.loads(note.read_text())
        if not isinstance(said, dict):
            raise ValueError('it holds no options')
    except ValueError as error:
        raise ValueError(f'{note} cannot be read ({error}): give drafter-data again') from error
    return said
