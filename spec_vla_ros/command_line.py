# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Options that several commands have, refused before any work is done."""

from __future__ import annotations

import argparse
import math
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path


def at_least(least: int) -> Callable[[str], int]:
    """Return the type of an argparse option that is a whole number, and no smaller one."""

    def whole_number(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f'{text!r} is no whole number') from None
        if value < least:
            raise argparse.ArgumentTypeError(f'{value}: at least {least}')
        return value

    return whole_number


def number(*, above: float = -math.inf, least: float = -math.inf) -> Callable[[str], float]:
    """Return the type of an argparse option that is a finite number, above one or at least one."""

    def finite(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f'{text!r} is no number') from None
        if not math.isfinite(value) or value <= above or value < least:
            wanted = f'above {above:g}' if math.isfinite(above) else f'{least:g} or more'
            raise argparse.ArgumentTypeError(f'{text}: give a number, {wanted}')
        return value

    return finite


def user_path(text: str) -> Path:
    """Return a path with `~` expanded, which no shell does behind `=`; a type for argparse."""
    if not text:  # an unset variable of the shell; it would be the folder that one is in
        raise argparse.ArgumentTypeError('the path is empty: is a variable of the shell not set?')
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise argparse.ArgumentTypeError(f'{text} begins with no home folder: {error}') from error


def chosen_tasks(given: Sequence[int] | None, count: int) -> list[int]:
    """Return the numbers of the tasks of a suite that --tasks names, each once; None: all.

    Raises:
        ValueError: there is no such task.
    """
    chosen = list(dict.fromkeys(range(count) if given is None else given))
    if not set(chosen) <= set(range(count)):
        raise ValueError(f'--tasks {given}: they are numbered 0 .. {count - 1}')
    return chosen


def check_initial_states(episodes: int, count: int) -> None:
    """Make sure that a task has as many official initial states as --episodes asks for.

    Raises:
        ValueError: there are not so many.
    """
    if episodes > count:
        raise ValueError(f'--episodes {episodes}: a task has {count} official initial states')


def check_writable(folder: Path) -> None:
    """Make sure that results can be written into a folder, or into one that is yet to be made.

    Raises:
        ValueError: they cannot be; before hours of work whose results would be lost.
    """
    there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise ValueError(
            f'nothing can be written into the folder {folder} ({error.strerror}): give another '
            '--out'
        ) from error
