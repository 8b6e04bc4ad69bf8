# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Which files hold a folder's weights, and what is said where they are not all there."""

import pytest

from spec_vla_ros.models.folders import CheckpointError
from spec_vla_ros.models.weight_files import (
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
    touch(tmp_path, SHARDS[0], f'{SHARDS[1]}.incomplete')
    with pytest.raises(CheckpointError, match=rf'missing in .*: {SHARDS[1]}, {SHARDS[2]}; downl'):
        weight_files(tmp_path, {})


@pytest.mark.parametrize(
    ('name', 'message'),
    [
        ('consolidated.00.pth', 'pickled weights'),
        ('openvla-7b-q4_k.gguf', r'converted to \(openvla-7b-q4_k\.gguf\) is not read'),
        ('README.md', r'no \*\.safetensors file: it has README\.md'),
    ],
)
def test_what_is_there_instead_is_told(tmp_path, name, message):
    with pytest.raises(CheckpointError, match=message):
        weight_files(touch(tmp_path, name), {})


def test_a_checkpoint_is_another_one_by_what_it_answers_with(tmp_path):
    """A README, or a file of a desktop, cost the features that took hours."""
    before = fingerprint_of_checkpoint(touch(tmp_path, 'model.safetensors', 'config.json'))
    touch(tmp_path, 'README.md', '.DS_Store', '._model.safetensors', 'optimizer.pt')
    assert fingerprint_of_checkpoint(tmp_path) == before
    for name in ('dataset_statistics.json', 'model-2.safetensors', 'tokenizer.model'):
        assert fingerprint_of_checkpoint(touch(tmp_path, name)) != before
        (tmp_path / name).unlink()
