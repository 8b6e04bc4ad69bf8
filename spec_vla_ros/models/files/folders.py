# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Reads files of a checkpoint's folder, and says in words why one cannot be read."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from spec_vla_ros.files import no_file

_SHOWN = 8
_FORBIDDEN = '{file} may not be read by the user that runs this: `chmod a+r {file}` lets everybody'
_POINTER = b'version https://git-lfs.github.com/spec/'  # what Git LFS leaves in place of a file
_PAGE = re.compile(rb'\s*<(!doctype )?html', re.IGNORECASE)
_HUB_ID = re.compile(
    r'(?:(?:https?:/+)?(?:www\.)?(?:huggingface|hf)\.co/|hf:/+)?'  # Path merges slashes
    r'(?P<name>\w[\w.-]*/[\w.-]+?)(?:@[\w.-]+|/(?:tree|blob|resolve)/.*)?'
)


class CheckpointError(ValueError):
    """A checkpoint folder cannot be used; the message says why and what to do."""


def folder_path(folder: str | Path) -> Path:
    """Return a folder's path with `~` expanded, which shells do not do after `checkpoint:=`.

    Raises:
        CheckpointError: the name is empty or no string, or there is no such user.
    """
    if not isinstance(folder, str | os.PathLike):  # such as None from os.environ.get
        raise CheckpointError(f'{folder!r} is no folder: give its path')
    if folder == '':  # Path('') would be the folder in which the program was started
        raise CheckpointError("a folder's name is empty: give its path, or leave it out")
    try:
        return Path(folder).expanduser()
    except RuntimeError as error:
        raise CheckpointError(f'{folder} begins with no home folder: {error}') from error


def check_enterable(folder: Path) -> None:
    """Make sure that this user may look into a folder, if there is one.

    Raises:
        CheckpointError: the folder, or one that it is in, may not be entered, as another user's
            home; the message says what to do.
    """
    try:
        if folder.is_dir():
            next(folder.iterdir(), None)
    except PermissionError as error:
        raise CheckpointError(
            f'{folder} may not be entered by the user that runs this: `chmod -R a+rX {folder}` '
            "lets everybody, and `chmod a+x` on each folder that it is in (another user's home "
            'usually is closed); or copy it to where both may read'
        ) from error


def looked_for(path: Path) -> str:
    """Return in words where a path was looked for; empty if the path itself says so.

    In parameter files, `$HOME` is not expanded, and relative paths begin where ROS was started.
    """
    if '$' in str(path):
        return ' (variables are not expanded here: write the path itself)'
    return '' if path.is_absolute() else f' (looked for in {Path.cwd()})'


def from_the_hub(path: Path) -> str:
    """Return how to download a checkpoint, or '' if a path looks like no name on Hugging Face.

    It may also be the address of a page there.
    """
    found = _HUB_ID.fullmatch(str(path))
    if not found:
        return ''
    name = found['name']
    return (
        f'; `hf download {name} --local-dir {name.partition("/")[2]}` fetches one from Hugging '
        'Face'
    )


class _TwiceError(ValueError):
    """A JSON object has two values with the same name."""


def is_there(file: Path) -> bool:
    """Whether there is such a file.

    Raises:
        CheckpointError: it is a link to nothing, which must not be ignored as if it were missing.
    """
    if file.is_symlink() and not file.exists():
        raise CheckpointError(missing(file))
    return file.exists()


def missing(file: Path) -> str:
    """Say in words why a file cannot be found."""
    if file.is_symlink():
        return (
            f'{file} is a link to {file.readlink()}, which is not there, as in a copied download '
            'cache: copy it with `cp -rL`, which copies what links point to'
        )
    names = sorted(p.name for p in file.parent.iterdir()) if file.parent.is_dir() else []
    if not names:
        return f'{file} is missing: there is no such folder{looked_for(file)}, or it is empty'
    return f'{file} is missing: the folder has {shorten(names)}'


def check_readable(file: Path) -> None:
    """Make sure that this user may read a file; if not, some libraries say that it is missing.

    Raises:
        CheckpointError: the file may not be read, or is a folder; the message says what to do.
    """
    try:
        file.open('rb').close()
    except PermissionError as error:
        raise CheckpointError(_FORBIDDEN.format(file=file)) from error
    except IsADirectoryError as error:
        raise CheckpointError(f'{file} cannot be read: {no_file(file)}') from error


def mend(file: Path) -> str:
    """Return in words how to mend a file that cannot be read."""
    if not file.is_file():
        return no_file(file)
    with file.open('rb') as opened:
        begin = opened.read(256)
    if _PAGE.match(begin):
        return (
            'it is a web page, as of a download without access or login: accept the terms of the '
            'checkpoint, log in (`hf auth login`), and download it again'
        )
    if begin.startswith(_POINTER):
        return 'it is a pointer of Git LFS, and not the file itself: run `git lfs pull` there'
    return 'download it again'


_TRAILING = re.compile(r',\s*[}\]]')  # allowed in YAML and Python, but not in JSON


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        CheckpointError: the file is missing or malformed, may not be read, or has a name twice in
            one object.
    """
    try:
        text = path.read_text(encoding='utf-8-sig')  # some editors add a byte order mark
        content = json.loads(text, object_pairs_hook=_once)
    except FileNotFoundError:
        raise CheckpointError(missing(path)) from None
    except PermissionError as error:
        raise CheckpointError(_FORBIDDEN.format(file=path)) from error
    except IsADirectoryError as error:
        raise CheckpointError(f'{path} cannot be read: {mend(path)}') from error
    except _TwiceError as error:
        raise CheckpointError(f'{path} says {error}: remove the one that is wrong') from error
    except json.JSONDecodeError as error:
        comma = _TRAILING.search(text)
        way_on = mend(path)
        if comma and error.pos in range(comma.start(), comma.end() + 1):
            line = text.count('\n', 0, comma.start()) + 1
            way_on = f'remove the comma before the closing bracket, in line {line}'
        raise CheckpointError(f'{path} is not valid JSON ({error}): {way_on}') from error
    except ValueError as error:
        raise CheckpointError(f'{path} is not valid JSON ({error}): {mend(path)}') from error
    if not isinstance(content, dict):
        raise CheckpointError(f'{path} must hold a JSON object')
    return content


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object of a JSON file as a dict; raises _TwiceError if a name occurs twice."""
    content = dict(pairs)
    if len(content) < len(pairs):
        names = [name for name, _ in pairs]
        raise _TwiceError(f'{next(n for n in names if names.count(n) > 1)!r} twice')
    return content


def shorten(names: Iterable[str]) -> str:
    """Join names in alphabetical order; if there are many, only the first few."""
    names = sorted(names)
    more = f' and {len(names) - _SHOWN} more' if len(names) > _SHOWN else ''
    return ', '.join(names[:_SHOWN]) + more
