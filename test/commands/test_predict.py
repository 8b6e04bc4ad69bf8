# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""`spec-vla predict` takes what the node would infer from, and nothing else."""

import logging

import numpy as np
import pytest
from PIL import Image
from toy_checkpoint import write_tiny

from spec_vla_ros import cli


@pytest.mark.parametrize('name', ['black.png', 'black.jpg'])
def test_a_picture_of_one_colour_is_refused_before_anything_is_loaded(tmp_path, capsys, name):
    Image.fromarray(np.zeros((48, 64, 3), np.uint8)).save(tmp_path / name)
    words = ['--checkpoint', str(tmp_path), '--image', str(tmp_path / name)]
    assert cli.main(['predict', *words, '--instruction', 'go']) == 2
    assert 'error: the picture is of one colour (0, 0, 0)' in capsys.readouterr().err


@pytest.mark.parametrize(
    ('instruction', 'reason'),
    [
        ('', 'the instruction is empty'),
        ('stop', 'a policy would try to act out'),
        ('pick up the mug', "does not know the words 'mug'"),
    ],
)
def test_an_instruction_that_is_refused_is_told_before_weights_are_read(
    tmp_path, capsys, instruction, reason
):
    folder = write_tiny(tmp_path / 'tiny')
    (folder / 'model.safetensors').write_bytes(b'not read')
    picture = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    Image.fromarray(picture).save(tmp_path / 'seen.png')
    words = ['--checkpoint', str(folder), '--image', str(tmp_path / 'seen.png')]
    assert cli.main(['predict', *words, '--instruction', instruction]) == 2
    assert reason in capsys.readouterr().err


def test_a_picture_that_the_node_warns_of_is_told(tmp_path, caplog, monkeypatch):
    """Of an infrared camera, say; the policy was trained on colours."""
    monkeypatch.setattr('spec_vla_ros.commands.predict.log_to_stderr', lambda: None)
    monkeypatch.setattr(logging.getLogger('spec_vla_ros'), 'propagate', True)
    grey = np.random.default_rng(0).integers(0, 256, (48, 64), dtype=np.uint8)
    Image.fromarray(grey).save(tmp_path / 'seen.png')
    folder = write_tiny(tmp_path / 'tiny')
    words = ['--checkpoint', str(folder), '--image', str(tmp_path / 'seen.png')]
    cli.main(['predict', *words, '--instruction', 'pick up the red block', '--device', 'cpu'])
    assert f'{tmp_path}/seen.png: pictures have no colour' in caplog.text
