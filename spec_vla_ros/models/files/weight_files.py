# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Finds the files with a model's weights by their names and the index, and fingerprints them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from spec_vla_ros.files import files_in, fingerprint
from spec_vla_ros.models.files.folders import (
    CheckpointError,
    is_there,
    missing,
    read_json,
    shorten,
)
from spec_vla_ros.norm_stats import STATISTICS

INDEX = 'model.safetensors.index.json'
DEEPSPEED_SCRIPT = 'zero_to_fp32.py'
"""What DeepSpeed puts beside the state of a training, to make weights of it."""

_COUNT = frozenset(
    (
        *('config.json', 'generation_config.json', 'preprocessor_config.json', INDEX, STATISTICS),
        *('processor_config.json', 'tokenizer.json', 'tokenizer.model', 'tokenizer_config.json'),
    )
)
"""Files besides the weights on which a checkpoint's answers depend."""
_NUMBERED = re.compile(r'(.*)-(\d+)-of-(\d+)\.safetensors')
_PICKLED = ('.bin', '.pt', '.pth', '.ckpt')
_ARIA2 = '.aria2'  # of the file that aria2 keeps beside another one until this is whole
_UNFINISHED = (_ARIA2, '.incomplete', '.part', '.partial', '.crdownload')
_STATES = {
    DEEPSPEED_SCRIPT: 'with DeepSpeed: `python {file} {folder} {folder} --safe_serialization`',
    '*.distcp': 'in shards (FSDP): `accelerate merge-weights {parent} {folder}`',
}
"""Pattern of a file that a trainer saves in place of weights -> which one, and what makes weights.
"""
_CONVERTED = ('.gguf', '.ggml', '.onnx', '.engine', '.npz', '.h5', '.msgpack')


def read_index(folder: Path) -> dict[str, str]:
    """Return tensor -> name of its file, from the index; empty if there is no index.

    Raises:
        CheckpointError: the index is malformed, a link to nothing, or names files elsewhere.
    """
    path = folder / INDEX
    weight_map = read_json(path).get('weight_map', {}) if is_there(path) else {}
    if not isinstance(weight_map, dict):
        raise CheckpointError(f'{path}: weight_map must be an object of tensors and file names')
    for key, name in weight_map.items():
        plain = isinstance(name, str) and name == Path(name).name
        if not plain or not name.endswith('.safetensors'):
            raise CheckpointError(
                f'{path} says that {key} is in {name!r}, which is no safetensors file beside it'
            )
    return weight_map


def weight_files(folder: Path, weight_map: Mapping[str, str]) -> list[Path]:
    """Return the files with the weights: those that the index names, or all if it names none.

    Raises:
        CheckpointError: there are none, some are missing or still being downloaded, or the folder
            holds two sets of weights.
    """
    there = [p.name for p in safetensors(folder)]
    names = sorted({*weight_map.values()} or {*there, *_all_of_numbered(there)})
    strays = [name for name in there if name not in names]
    strays += [p.name for p in safetensors(folder, '.index.json') if p.name != INDEX]
    if strays:
        raise CheckpointError(
            f'{folder} holds two sets of weights: {INDEX if weight_map else shorten(names)}, and '
            f'{shorten(strays)}. Move away what does not belong to the checkpoint'
        )
    if not names:
        raise CheckpointError(
            f'{folder} has no *.safetensors file{_go_on(folder) or _instead(folder)}'
        )
    absent = [name for name in names if not (folder / name).is_file()]
    links = [name for name in absent if (folder / name).is_symlink()]
    if links:
        raise CheckpointError(missing(folder / links[0]))
    if absent:
        raise CheckpointError(
            f'weight files are missing in {folder}: {shorten(absent)}'
            f'{_go_on(folder) or "; download them again"}'
        )
    begun = [name for name in names if (folder / f'{name}{_ARIA2}').exists()]
    if begun:  # such a file may have its full size from the start, and zeros where data lack
        raise CheckpointError(
            f'{folder}: {shorten(begun)} is not whole{_go_on(folder)}. If it is whole, remove '
            f'{begun[0]}{_ARIA2}'
        )
    return [folder / name for name in names]


def safetensors(folder: Path, ending: str = '') -> list[Path]:
    """Return the files named *.safetensors + `ending`, without hidden ones.

    macOS adds hidden files (._model.safetensors) to what it copies to another file system.
    """
    found = folder.glob(f'*.safetensors{ending}')
    return sorted(path for path in found if not path.name.startswith('.'))


def fingerprint_of_weights(folder: Path) -> str:
    """Return twelve digits that differ if the weights in a folder differ; see `fingerprint`."""
    return fingerprint(safetensors(folder))


def fingerprint_of_checkpoint(folder: Path) -> str:
    """Return twelve digits that differ if a checkpoint's answers may differ; see `fingerprint`.

    Other files, such as a README, a trainer's state and hidden files, do not count.
    """
    return fingerprint(f for f in files_in(folder) if f.name in _COUNT or f in safetensors(folder))


def files_of_a_model(folder: Path) -> list[str]:
    """Return the names of the files by which a folder is a model's: config.json and weights."""
    kinds = ('.safetensors', *_PICKLED)
    there = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    visible = (name for name in there if not name.startswith('.'))
    return [name for name in visible if name == 'config.json' or name.endswith(kinds)]


def _all_of_numbered(names: list[str]) -> Iterator[str]:
    """Yield all names of each numbered set (model-00001-of-00003) of which some are there."""
    for name in names:
        if match := _NUMBERED.fullmatch(name):
            stem, number, count = match.groups()
            for i in range(1, min(int(count), 1000) + 1):
                yield f'{stem}-{i:0{len(number)}}-of-{count}.safetensors'


def _go_on(folder: Path) -> str:
    """Return in words how to go on with a download that was not finished; empty if none is known.

    Programs keep its parts beside the file. `hf download` keeps them in a folder inside, or among
    the blobs of its cache.
    """
    places = [folder, folder / '.cache' / 'huggingface' / 'download']
    if folder.resolve().parent.name == 'snapshots':
        places.append(folder.resolve().parents[1] / 'blobs')
    parts = [path.name for place in places for path in place.glob('*')]
    parts = [name for name in parts if name.endswith(_UNFINISHED)]
    if not parts:
        return ''
    return (
        f'; a download is not finished ({shorten(parts)}): give the command that began it again, '
        'which goes on where it ended'
    )


def _instead(folder: Path) -> str:
    """Return in words what a folder without safetensors files has instead, and what to do."""
    for pattern, how in _STATES.items():
        for file in [*folder.glob(pattern), *folder.glob(f'*/{pattern}')]:
            way_on = how.format(file=file, folder=folder, parent=file.parent)
            return f', but the state of a training {way_on} writes the weights of it'
    names = [path.name for path in folder.iterdir() if not path.name.startswith('._')]
    if any(name.endswith(_PICKLED) for name in names):
        return (
            '; pickled weights (.bin, .pt) are not loaded, since they can run code: convert them '
            'to safetensors'
        )
    converted = [name for name in names if name.endswith(_CONVERTED)]
    if converted:
        return (
            f'; what others were converted to ({shorten(converted)}) is not read: give the '
            'checkpoint that it was made from'
        )
    return f': it has {shorten(names)}' if names else ''
