# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Notes in a folder with which options its files were made.

So an interrupted command does not resume with other options, which would mix different files.
"""

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
    """The options with which a command makes the files of a folder.

    folder: where the files and the note are.
    options: name -> value, for all options that influence the files. A value that JSON cannot hold
        is noted as text.
    way_on: what the user can do if the options differ, as the end of a sentence.
    contents: name -> fingerprint of files that the command reads; noted like options. Notes of
        older versions lack them.
    grow: names of numbers that may now be larger than in the note.
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
        """Make sure that existing files were made with these options.

        Args:
            made: those files; if there are none, the note does not matter.

        Raises:
            ValueError: the note has other options, is missing or cannot be read.
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
        """Write the note, which appears whole or not at all.

        complete_for: fingerprint of the checkpoint's weights, once all files have been made.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with written_whole(self.note) as partial:
            noted = self._noted() | ({_COMPLETE: complete_for} if complete_for else {})
            partial.write_text(json.dumps(noted, indent=2) + '\n')

    def _noted(self) -> dict[str, Any]:
        """Return options and contents as JSON gives them back."""
        said = {**self.options, **self.contents}
        noted: dict[str, Any] = json.loads(json.dumps(said, default=str))
        return noted

    def _fits(self, name: str, before: Mapping[str, Any], asked: Mapping[str, Any]) -> bool:
        """Return whether an option is the same as in the note, or is one that may grow and did."""
        if name not in before or name not in asked:
            return False
        same: bool = before[name] == asked[name]
        return same or (name in self.grow and before[name] < asked[name])


def check_features(files: Iterable[Path], *, weights: str) -> list[str]:
    """Make sure that features are those of a checkpoint, by the notes that `drafter-data` wrote.

    Args:
        files: of the features.
        weights: fingerprint of the checkpoint's weights.

    Returns:
        A warning for each folder whose `drafter-data` may not have come to its end.

    Raises:
        ValueError: a note has another fingerprint, or cannot be read.
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
