# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Which files hold a folder's weights, and what is said where they are not all there."""

import pytest

from spec_vla_ros.models.files.folders import CheckpointError
from spec_vla_ros.models.files.weight_files import (
    INDEX,
    files_of_a_model,
    fingerprint_of_checkpoint,
    weight_files,
)

SHARDS = [f'model-{i:05}-of-00003.safetensors' for i in (1, 2, 3)]


def touch(folder, *names):
    for name in names:
        (folder / name).touch()
    return folder


def test_numbered_files_need_no_index(tmp_path):
    assert [f.name for f in weight_files(touch(tmp_path, *SHARDS), {})] == SHARDS


def test_hidden_files_are_none_of_the_weights(tmp_path):
    """As macOS leaves them beside what it copies to a stick: they were refused as cut off."""
    hidden = [f'._{name}' for name in (*SHARDS, INDEX, 'config.json')]
    touch(tmp_path, *SHARDS, INDEX, *hidden)
    for weight_map in (
        {},
        dict.fromkeys('abc', SHARDS[0]) | dict(zip('xyz', SHARDS, strict=True)),
    ):
        assert [f.name for f in weight_files(tmp_path, weight_map)] == SHARDS
    assert files_of_a_model(tmp_path) == SHARDS


def test_without_an_index_their_numbers_say_which_are_missing(tmp_path):
    """Else the weights would be called those of another model."""
    touch(tmp_path, SHARDS[0], f'{SHARDS[1]}.old')
    with pytest.raises(CheckpointError, match=rf'missing in .*: {SHARDS[1]}, {SHARDS[2]}; downl'):
        weight_files(tmp_path, {})


@pytest.mark.parametrize(
    ('name', 'message'),
    [
        ('consolidated.00.pth', 'pickled weights'),
        ('openvla-7b-q4_k.gguf', r'converted to \(openvla-7b-q4_k\.gguf\) is not read'),
        ('README.md', r'no \*\.safetensors file: it has README\.md'),
        ('zero_to_fp32.py', r'training with DeepSpeed: `python \S+\.py \S+ \S+ --safe_serial'),
        ('pytorch_model_fsdp_0/__0_0.distcp', r'`accelerate merge-weights \S+_fsdp_0 \S+` wri'),
        ('__0_0.distcp', r'state of a training in shards \(FSDP\): `accelerate merge-weights'),
    ],
)
def test_what_is_there_instead_is_told(tmp_path, name, message):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    with pytest.raises(CheckpointError, match=message):
        weight_files(touch(tmp_path, name), {})


@pytest.mark.parametrize('there', [[], SHARDS[:1]])
@pytest.mark.parametrize(
    'part',
    [
        f'{SHARDS[1]}.incomplete',
        f'{SHARDS[1]}.part',
        '.cache/huggingface/download/Ab1=.cd2.incomplete',
        '../../blobs/cd2.incomplete',
    ],
)
def test_a_download_that_was_not_finished_is_told_as_one(tmp_path, there, part):
    folder = tmp_path / 'snapshots' / 'abc'
    for place in (folder, (folder / part).parent):
        place.mkdir(parents=True, exist_ok=True)
    touch(folder, *there, part)
    named = part.rpartition('/')[2]
    with pytest.raises(CheckpointError, match=rf'not finished \({named}\): give the command that'):
        weight_files(folder, {})


def test_a_file_that_aria2_still_downloads_is_not_read(tmp_path):
    """It may have its full size: its middle is zeros, and its first and last rows are right."""
    touch(tmp_path, *SHARDS, f'{SHARDS[1]}.aria2', 'README.md.aria2')
    with pytest.raises(CheckpointError, match=rf'{SHARDS[1]} is not whole.*again, which goes on'):
        weight_files(tmp_path, {})
    (tmp_path / f'{SHARDS[1]}.aria2').unlink()
    assert len(weight_files(tmp_path, {})) == 3


def test_what_an_earlier_download_left_beside_whole_files_counts_for_nothing(tmp_path):
    assert len(weight_files(touch(tmp_path, *SHARDS, 'Ab1.incomplete'), {})) == 3


def test_a_checkpoint_is_another_one_by_what_it_answers_with(tmp_path):
    """A README, or a file of a desktop, cost the features that took hours."""
    before = fingerprint_of_checkpoint(touch(tmp_path, 'model.safetensors', 'config.json'))
    touch(tmp_path, 'README.md', '.DS_Store', '._model.safetensors', 'optimizer.pt')
    assert fingerprint_of_checkpoint(tmp_path) == before
    for name in ('dataset_statistics.json', 'model-2.safetensors', 'tokenizer.model'):
        assert fingerprint_of_checkpoint(touch(tmp_path, name)) != before
        (tmp_path / name).unlink()
