# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Which files a recording has, or a reason why it is none, with the way on."""

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
"""What a folder has that is a data set of other programs -> whose."""
_DATA_FILES = {'.parquet': 'LeRobot', '.hdf5': 'HDF5', '.h5': 'HDF5'}
_REPLAY = (
    'replay it as messages and record these with `ros2 bag record`, or write them with the '
    'package rosbags'
)
_MCAP = b'\x89MCAP0\r\n'  # what a whole file begins and ends with
_LONGEST = 16

ZSTD = b'\x28\xb5\x2f\xfd'
"""What zstd's frames begin with, RFC 8878."""

_KINDS = {ZSTD: '.zstd', _MCAP: '.mcap', b'SQLite format 3\0': '.db3', b'#ROSBAG V': '.bag'}
"""What a file begins with -> the suffix that it should have."""

_PACKED = {
    b'\x1f\x8b': 'gunzip -k',
    b'BZh': 'bunzip2 -k',
    b'\x04\x22\x4d\x18': 'lz4 -d',
    b'\xfd7zXZ\0': 'unxz -k',
    b'PK\x03\x04': 'unzip',
}
"""What a file begins with that other programs packed -> what unpacks it."""
_OF_TAR = re.compile(r'\.(tar(\.\w+)?|tgz|tbz2?|txz)$', re.IGNORECASE)


class RecordingError(ValueError):
    """A recording cannot be used; the message says why."""


def files_of(path: Path) -> list[Path]:
    """Return the files of a recording, all that it has.

    Of a folder's metadata.yaml only their names are taken: it may have been edited, or be older
    than they are, and each file says by itself what is in it.

    Raises:
        FileNotFoundError: there is no such file or folder.
        RecordingError: it is none of ROS 2, or some of it would be left out.
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
    """Return the suffix that a file should have by its beginning; empty: it is none of these."""
    with file.open('rb') as content:
        beginning = content.read(_LONGEST)
    return next((kind for begin, kind in _KINDS.items() if beginning.startswith(begin)), '')


def why_cut_off(file: Path, unpacked: Path) -> str:
    """Return in words how a compressed file is saved whose end is missing.

    unpacked: what could be unpacked of it.
    """
    plain = file.with_name(f'cut_{_plain_name(file)}')
    then = f'then {_recover(plain)}' if kind_of(unpacked) == '.mcap' else f'give {plain.name} then'
    return (
        f'{file} was cut off: copy it again, or save a part: `zstd -dc {file} > {plain}`, {then}'
    )


def why_unreadable(files: list[Path], error: Exception) -> str:
    """Return in words why files cannot be read, and how what they hold is saved."""
    cut = next((file for file in files if _is_cut_off(file)), None)
    if cut is not None:
        return f'{cut.name} was cut off; {_recover(cut)}'
    if len(files) == 1 and kind_of(files[0]) == '.db3':
        file, whole = files[0], _whole(files[0])
        return f'{error}; `sqlite3 {file} .recover | sqlite3 {whole}` saves what can be read'
    return f'{error}'


def _files_in(folder: Path) -> list[Path]:
    """Return the files that a folder's metadata.yaml names, compressed by now or not."""
    if not (folder / _METADATA).exists():
        raise RecordingError(
            f'{folder} is no rosbag2 recording: it has no {_METADATA}; {_parts(folder)}'
        )
    try:
        content = yaml.safe_load((folder / _METADATA).read_text(encoding='utf-8'))
        paths = content['rosbag2_bagfile_information']['relative_file_paths']
        named = [_plain_name(PurePath(path)) for path in paths]
    except Exception as error:  # whatever was made of it
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
    """List a folder's files of messages; of one that is there twice, the plain one comes last."""
    files = [file for file in folder.iterdir() if PurePath(_plain_name(file)).suffix in _STORAGE]
    return sorted(files, key=lambda file: (file.suffix not in _ZSTD_SUFFIXES, file.name))


def _plain_name(file: PurePath) -> str:
    """Return what a file is called when it is not compressed."""
    return file.stem if file.suffix in _ZSTD_SUFFIXES else file.name


def _refuse_others(file: Path) -> None:
    """Refuse a file that holds something else, or not all that its recorder wrote."""
    if '.bag' in (kind_of(file), file.suffix):
        raise RecordingError(
            f'{file} is a recording of ROS 1: convert it with `rosbags-convert --src {file} --dst '
            f'{file.with_suffix("")}` (of the package rosbags), and give the folder that it makes'
        )
    _refuse_packed(file)
    profile = _profile(file)
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
    """Refuse a file that other programs than zstd packed, or that holds several in one."""
    with file.open('rb') as content:
        beginning = content.read(_LONGEST)
    how = next((how for begin, how in _PACKED.items() if beginning.startswith(begin)), '')
    if _OF_TAR.search(file.name) and kind_of(file) in ('', '.zstd'):
        how = 'tar -xf'
    if how:
        raise RecordingError(
            f'{file} is packed, as is read of zstd alone: unpack it, `{how} {file}`, and give '
            'what comes out'
        )


def _data_set(path: Path) -> str:
    """Return whose data set a file or folder is; empty where it is none that is known."""
    if path.is_file():
        tf = re.search(r'\.tfrecord(-\d+-of-\d+)?$', path.name)
        return 'TensorFlow (RLDS)' if tf else _DATA_FILES.get(path.suffix, '')
    if (path / _METADATA).exists() or _storage_in(path) or any(path.glob(f'*/{_METADATA}')):
        return ''
    return next((owner for what, owner in _DATA_SETS.items() if any(path.glob(what))), '')


def _parts(folder: Path) -> str:
    """Return what to do with the files of a folder that nothing says how to read."""
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
    """Whether it is an .mcap file that has a beginning and no end."""
    if kind_of(file) != '.mcap':
        return False
    with file.open('rb') as content:
        content.seek(max(len(_MCAP), file.stat().st_size - len(_MCAP)))
        return content.read() != _MCAP


def _profile(file: Path) -> str | None:
    """Return what an .mcap file says that its messages are of; None where it says nothing."""
    with file.open('rb') as content:
        head = content.read(len(_MCAP) + 128)
    begin = len(_MCAP) + 9 + 4  # behind the record's kind and length, and the profile's
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
