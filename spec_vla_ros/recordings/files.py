# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Finds the files of a recording, or says why it cannot be used and what to do."""

from __future__ import annotations

import re
from pathlib import Path, PurePath

import yaml

_METADATA = 'metadata.yaml'
_STORAGE = ('.mcap', '.db3')
_ZSTD_SUFFIXES = ('.zstd', '.zst')

_DATA_SETS = {
    'meta/info.json': 'LeRobot',
    'dataset_info.json': 'TensorFlow (RLDS)',
    '*/dataset_info.json': 'TensorFlow (RLDS)',
    '*/*/dataset_info.json': 'TensorFlow (RLDS)',
    '*/meta/info.json': 'LeRobot',
    '*/*/meta/info.json': 'LeRobot',
    **{f'{level}*.parquet': 'LeRobot' for level in ('', '*/')},
    **{f'{level}*{end}': 'HDF5' for level in ('', '*/') for end in ('.hdf5', '.h5')},
    **{f'{level}.z{kind}': 'Zarr' for level in ('', '*/', '*/*/') for kind in ('group', 'array')},
}
"""Pattern of a file in a data set of another program -> name of that program."""
_DATA_FILES = {'.parquet': 'LeRobot', '.hdf5': 'HDF5', '.h5': 'HDF5'}
_REPLAY = (
    'replay it as messages and record these with `ros2 bag record`, or write them with the '
    'package rosbags'
)
_MCAP = b'\x89MCAP0\r\n'  # first and last bytes of a complete file
_MAGIC_BYTES = 16  # read from the beginning of a file to tell its format

ZSTD = b'\x28\xb5\x2f\xfd'
"""First bytes of a zstd frame, RFC 8878."""

_KINDS = {ZSTD: '.zstd', _MCAP: '.mcap', b'SQLite format 3\0': '.db3', b'#ROSBAG V': '.bag'}
"""First bytes of a file -> the suffix that it should have."""

_PACKED = {
    b'\x1f\x8b': 'gunzip -k',
    b'BZh': 'bunzip2 -k',
    b'\x04\x22\x4d\x18': 'lz4 -d',
    b'\xfd7zXZ\0': 'unxz -k',
    b'PK\x03\x04': 'unzip',
}
"""First bytes of a file that another program packed -> the command that unpacks it."""
_OF_TAR = re.compile(r'\.(tar(\.\w+)?|tgz|tbz2?|txz)$', re.IGNORECASE)


class RecordingError(ValueError):
    """A recording cannot be used; the message says why."""


def files_of(path: Path) -> list[Path]:
    """Return all files of a recording.

    From a folder's metadata.yaml only their names are taken. The rest of it may be outdated, and
    each file describes its own content.

    Raises:
        FileNotFoundError: there is no such file or folder.
        RecordingError: it is no recording of ROS 2, or files are missing or not listed.
    """
    if not path.exists():
        raise FileNotFoundError(f'{path}: no such recording')
    owner = _data_set(path)
    if owner:
        raise RecordingError(
            f'{path} is a data set of {owner}, and no recording of ROS: {_REPLAY}'
        )
    if path.name == _METADATA:
        raise RecordingError(f'{path} is a part of a recording: give its folder {path.parent}')
    files = _files_in(path) if path.is_dir() else [path]
    for file in files:
        _refuse_others(file)
    return files


def kind_of(file: Path) -> str:
    """Return the suffix that a file should have by its first bytes; empty if none is known."""
    with file.open('rb') as content:
        beginning = content.read(_MAGIC_BYTES)
    return next((kind for begin, kind in _KINDS.items() if beginning.startswith(begin)), '')


def the_whole(path: Path) -> str:
    """Return in words which folder to give in place of a part of a split recording; or ''."""
    part = path.is_file() and (path.parent / _METADATA).exists()
    if not part or len(_storage_in(path.parent)) < 2:
        return ''
    return f'; it is a part of a recording: give the whole, {path.parent}'


def why_cut_off(file: Path, unpacked: Path) -> str:
    """Return the error text for a compressed file whose end is missing, with a way to rescue it.

    unpacked: the part of it that could be unpacked.
    """
    plain = file.with_name(f'cut_{_plain_name(file)}')
    then = f'then {_recover(plain)}' if kind_of(unpacked) == '.mcap' else f'give {plain.name} then'
    return (
        f'{file} was cut off: copy it again, or save a part: `zstd -dc {file} > {plain}`, {then}'
    )


def why_unreadable(files: list[Path], error: Exception) -> str:
    """Return in words why files cannot be read, with a way to rescue their content."""
    cut = next((file for file in files if _is_cut_off(file)), None)
    if cut is not None:
        return f'{cut.name} was cut off; {_recover(cut)}'
    if len(files) == 1 and kind_of(files[0]) == '.db3':
        file, whole = files[0], _whole(files[0])
        return f'{error}; `sqlite3 {file} .recover | sqlite3 {whole}` saves what can be read'
    return f'{error}'


def _files_in(folder: Path) -> list[Path]:
    """Return the files that a folder's metadata.yaml names, which may be compressed or not."""
    if not (folder / _METADATA).exists():
        raise RecordingError(
            f'{folder} is no rosbag2 recording: it has no {_METADATA}; {_parts(folder)}'
        )
    try:
        content = yaml.safe_load((folder / _METADATA).read_text(encoding='utf-8'))
        paths = content['rosbag2_bagfile_information']['relative_file_paths']
        named = [_plain_name(PurePath(path)) for path in paths]
    except Exception as error:  # an edited file can fail in many ways
        raise RecordingError(
            f'{folder / _METADATA} cannot be read ({error}): {_parts(folder)}'
        ) from error
    there = {_plain_name(file): file for file in _storage_in(folder)}
    problems = [
        *(f'{name} is not there' for name in named if name not in there),
        *(f'{name} is not in it' for name in there if name not in named),
    ]
    if problems:
        raise RecordingError(
            f'{folder / _METADATA} does not fit its folder: {", ".join(problems)}; copy what is '
            f'missing, move away what does not belong, or run `ros2 bag reindex {folder}`'
        )
    return [there[name] for name in named]


def _storage_in(folder: Path) -> list[Path]:
    """Return a folder's .mcap and .db3 files, plain ones after compressed ones."""
    files = [file for file in folder.iterdir() if PurePath(_plain_name(file)).suffix in _STORAGE]
    return sorted(files, key=lambda file: (file.suffix not in _ZSTD_SUFFIXES, file.name))


def _plain_name(file: PurePath) -> str:
    """Return a file's name without the suffix of compression."""
    return file.stem if file.suffix in _ZSTD_SUFFIXES else file.name


def _refuse_others(file: Path) -> None:
    """Raise RecordingError if a file is no recording of ROS 2, or is incomplete or empty."""
    if '.bag' in (kind_of(file), file.suffix):
        raise RecordingError(
            f'{file} is a recording of ROS 1: convert it with `rosbags-convert --src {file} --dst '
            f'{file.with_suffix("")}` (of the package rosbags), and give the folder that it makes'
        )
    _refuse_packed(file)
    profile = _profile(file)
    if profile == '':
        raise RecordingError(
            f'{file} does not say that it is of ROS 2, as where `mcap merge` wrote it: if it is, '
            f'`mcap merge {file} --profile ros2 -o {_whole(file)}` writes one that says so; give '
            f'{_whole(file).name} then'
        )
    if profile not in (None, 'ros2'):
        raise RecordingError(
            f'{file} is no recording of ROS 2, its MCAP has the profile {profile!r}: {_REPLAY}'
        )
    left = file.with_name(f'{file.name}-wal')
    if left.exists() and left.stat().st_size:
        raise RecordingError(
            f'{file} lacks messages that are in {left.name} still, as where its recorder was '
            f"killed: `sqlite3 {file} 'PRAGMA wal_checkpoint(TRUNCATE)'` moves them into it"
        )
    with file.open('rb') as content:
        if not content.read(1 << 20).strip(b'\0'):
            raise RecordingError(
                f'{file} is empty: its recorder was killed before it wrote, or the disk was full; '
                'give another one'
            )


def _refuse_packed(file: Path) -> None:
    """Raise RecordingError for an archive, or a file that was compressed by other than zstd."""
    with file.open('rb') as content:
        beginning = content.read(_MAGIC_BYTES)
    how = next((how for begin, how in _PACKED.items() if beginning.startswith(begin)), '')
    if _OF_TAR.search(file.name) and kind_of(file) in ('', '.zstd'):
        how = 'tar -xf'
    if how:
        raise RecordingError(
            f'{file} is packed, as is read of zstd alone: unpack it, `{how} {file}`, and give '
            'what comes out'
        )


def _data_set(path: Path) -> str:
    """Return the program whose data set a file or folder is; empty if it is none that is known."""
    if path.is_file():
        tf = re.search(r'\.tfrecord(-\d+-of-\d+)?$', path.name)
        return 'TensorFlow (RLDS)' if tf else _DATA_FILES.get(path.suffix, '')
    if (path / _METADATA).exists() or _storage_in(path) or any(path.glob(f'*/{_METADATA}')):
        return ''
    return next((owner for what, owner in _DATA_SETS.items() if any(path.glob(what))), '')


def _parts(folder: Path) -> str:
    """Return what to do with a folder that has no usable metadata.yaml, by the files in it."""
    files = _storage_in(folder)
    inside = sorted(file.parent.name for file in folder.glob(f'*/{_METADATA}'))
    if inside and not files:
        more = f' and {len(inside) - 8} more' if len(inside) > 8 else ''
        return f'it holds recordings: give those of {", ".join(inside[:8])}{more} that are meant'
    if not files:
        return 'nor has it an .mcap or .db3 file'
    cut = next((file for file in files if _is_cut_off(file)), None)
    if cut is not None:
        return f'{cut.name} was cut off, too; {_recover(cut)}'
    if len(files) > 1:
        return (
            f'run `ros2 bag reindex {folder}` if its {len(files)} files are one recording; if '
            f'each is one, give them ({files[0]})'
        )
    return f'give its file ({files[0]}), or run `ros2 bag reindex {folder}`'


def _is_cut_off(file: Path) -> bool:
    """Return whether it is an .mcap file without its end."""
    if kind_of(file) != '.mcap':
        return False
    with file.open('rb') as content:
        content.seek(max(len(_MCAP), file.stat().st_size - len(_MCAP)))
        return content.read() != _MCAP


def _profile(file: Path) -> str | None:
    """Return the profile of an .mcap file, such as 'ros2'; None if it has none."""
    with file.open('rb') as content:
        head = content.read(len(_MCAP) + 128)
    begin = len(_MCAP) + 9 + 4  # after the record's kind and length, and the profile's length
    length = int.from_bytes(head[begin - 4 : begin], 'little')
    if not head.startswith(_MCAP + b'\x01') or not begin + length <= len(head):
        return None
    return head[begin : begin + length].decode(errors='replace')


def _whole(file: Path) -> Path:
    return file.with_name(f'whole_{file.name}')


def _recover(file: Path) -> str:
    return (
        f'`mcap recover {file} -o {_whole(file)}` (https://mcap.dev/guides/cli) saves what is '
        f'there: give {_whole(file).name} then'
    )
