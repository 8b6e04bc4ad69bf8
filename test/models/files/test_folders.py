# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""What cannot be read in a checkpoint's folder is said as what it is."""

import shutil
from pathlib import Path

import pytest
from toy_checkpoint import write_tiny, write_tiny_drafter

from spec_vla_ros.models.files.folders import CheckpointError, folder_path, read_json
from spec_vla_ros.policy import load_policy

WEIGHTS, STATISTICS = 'model.safetensors', 'dataset_statistics.json'
POINTER = 'version https://git-lfs.github.com/spec/v1\noid sha256:4d7a21\nsize 12345\n'
FILES = (
    'config.json',
    'preprocessor_config.json',
    'tokenizer.json',
    'generation_config.json',
    STATISTICS,
    f'{WEIGHTS}.index.json',
    WEIGHTS,
    f'drafter/{WEIGHTS}',
)


@pytest.fixture(scope='module')
def whole(tmp_path_factory):
    """A checkpoint that can be used, with a drafter."""
    return write_tiny_drafter(write_tiny(tmp_path_factory.mktemp('whole')))


@pytest.fixture
def folder(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / 'home' / 'checkpoint')


@pytest.mark.parametrize('name', FILES)
def test_a_link_to_nothing_is_told_as_one(folder, name):
    (folder / name).unlink(missing_ok=True)
    (folder / name).symlink_to('../../blobs/4d7a21')
    with pytest.raises(CheckpointError, match=rf'{name} is a link to .*4d7a21.*cp -rL'):
        load_policy(folder, device='cpu')


@pytest.mark.parametrize('name', [n for n in FILES if n != 'generation_config.json'])
def test_a_pointer_of_git_lfs_is_told_as_one(folder, name):
    (folder / name).write_text(POINTER)
    with pytest.raises(CheckpointError, match=rf'{name}.* pointer of Git LFS.*git lfs pull'):
        load_policy(folder, device='cpu')


@pytest.mark.parametrize('name', ['config.json', 'tokenizer.json', WEIGHTS, f'drafter/{WEIGHTS}'])
def test_a_file_that_this_user_may_not_read_is_told_as_one(folder, monkeypatch, name):
    """safetensors says that there is none; a robot's node is often another user."""
    opened = Path.open

    def forbid(self, *given, **named):
        if self == folder / name:
            raise PermissionError(13, 'Permission denied')
        return opened(self, *given, **named)

    monkeypatch.setattr(Path, 'open', forbid)
    with pytest.raises(CheckpointError, match=rf'{name} may not be read by the user.*chmod a\+r'):
        load_policy(folder, device='cpu')


@pytest.mark.parametrize('inside', ['', 'drafter'])
@pytest.mark.parametrize('call', ['is_dir', 'iterdir'])
def test_a_folder_that_may_not_be_entered_is_told_with_the_way_on(
    folder, monkeypatch, inside, call
):
    """As in another user's home: tests may run as root, who may enter all."""
    closed, plain = folder / inside, getattr(Path, call)

    def stopped(path):
        if path == closed:
            raise PermissionError(13, 'Permission denied')
        return plain(path)

    monkeypatch.setattr(Path, call, stopped)
    with pytest.raises(CheckpointError, match=rf'{closed} may not be entered by .*chmod -R a\+rX'):
        load_policy(folder, device='cpu')


@pytest.mark.parametrize(
    'given',
    [
        'https://huggingface.co/openvla/openvla-7b',
        'https://huggingface.co/openvla/openvla-7b/tree/main',
        'hf.co/openvla/openvla-7b',
        'hf://openvla/openvla-7b',
        'openvla/openvla-7b@main',
    ],
)
def test_an_address_on_hugging_face_is_told_how_to_download_it(given):
    with pytest.raises(CheckpointError, match=r'hf download openvla/openvla-7b --local-dir open'):
        load_policy(given, device='cpu')


def test_a_relative_path_that_is_not_there_is_told_with_where_it_was_looked_for(
    folder, tmp_path, monkeypatch
):
    """As in a parameter file, where nobody sees where ROS was started, and expands no $HOME."""
    monkeypatch.chdir(tmp_path)
    there = rf'\(looked for in {tmp_path}\)'
    for path in ('$HOME/x', '/home/$USER/x'):
        with pytest.raises(CheckpointError, match=r'/x is not a folder \(variables are not exp'):
            load_policy(path, device='cpu')
    hub = r'; `hf download openvla/openvla-7b --local-dir openvla-7b`'
    with pytest.raises(CheckpointError, match=rf'-7b is not a folder {there}: .*{hub}'):
        load_policy('openvla/openvla-7b', device='cpu')
    with pytest.raises(CheckpointError, match=rf'there is no such folder {there}'):
        load_policy(folder, device='cpu', drafter='mine')
    with pytest.raises(ValueError, match=rf'there is no such file {there}'):
        load_policy(folder, device='cpu', recipe='mine.yaml')
    with pytest.raises(CheckpointError, match=r'/nowhere is not a folder: give'):
        load_policy('/nowhere', device='cpu')


def test_home_folders_are_found(folder, monkeypatch):
    monkeypatch.setenv('HOME', str(folder.parent))
    policy = load_policy('~/checkpoint', device='cpu', drafter='~/checkpoint/drafter')
    assert policy.info.checkpoint == str(folder)
    assert policy.info.has_drafter


def test_a_user_that_does_not_exist_has_no_home():
    with pytest.raises(CheckpointError, match='~nobody-of-that-name/x begins with no home'):
        folder_path('~nobody-of-that-name/x')


@pytest.mark.parametrize('given', [{'checkpoint': ''}, {'drafter': ''}])
def test_an_empty_name_is_not_the_folder_that_one_is_in(folder, monkeypatch, given):
    monkeypatch.chdir(folder)
    with pytest.raises(CheckpointError, match="a folder's name is empty: give its path, or leave"):
        load_policy(**{'checkpoint': folder, 'device': 'cpu', **given})


def test_what_is_no_path_is_told():
    """As of a variable of the environment that is not set."""
    with pytest.raises(CheckpointError, match='None is no folder: give its path'):
        load_policy(None)


@pytest.mark.parametrize('text', ['{"a": 1,}', '{"a":\n[1,\n]}', '{"a": {"b": 1, }}'])
def test_a_comma_too_many_is_told_as_such(tmp_path, text):
    """Downloading a file again does not mend what somebody wrote."""
    file = tmp_path / 'some.json'
    file.write_text(text)
    line = 2 if '\n' in text else 1
    with pytest.raises(CheckpointError, match=f'remove the comma before .* in line {line}$'):
        read_json(file)
    file.write_text('{"a": 1 "b": [1,2]}')
    with pytest.raises(CheckpointError, match='download it again'):
        read_json(file)


@pytest.mark.parametrize('page', [b'<!DOCTYPE html>\n<p>', b'\n<html lang="en">'])
def test_a_web_page_in_place_of_weights_is_told_as_one(folder, page):
    (folder / 'model.safetensors').write_bytes(page + b' ' * 300)
    with pytest.raises(CheckpointError, match=r'it is a web page, .*without access or login'):
        load_policy(folder, device='cpu')


@pytest.mark.parametrize('name', [n for n in FILES if n.endswith('.json')])
def test_a_folder_in_place_of_a_file_is_told(folder, name):
    (folder / name).unlink(missing_ok=True)
    (folder / name).mkdir()
    with pytest.raises(CheckpointError, match=rf'{name}.*an empty folder, as Docker makes'):
        load_policy(folder, device='cpu')
