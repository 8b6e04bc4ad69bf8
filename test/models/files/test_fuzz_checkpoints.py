# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Damaged and hostile checkpoint folders: a policy that runs, or a clear error; never code."""

import json
import os
import pickle
import zipfile

import numpy as np
import pytest
import torch
from fuzzing import JSON_VALUES, attempt, damaged_bytes, fuzz, mutated_json
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file
from toy_checkpoint import write_tiny, write_tiny_drafter

from spec_vla_ros.models.checkpoint import load_openvla
from spec_vla_ros.models.drafter import Drafter
from spec_vla_ros.models.files.folders import CheckpointError
from spec_vla_ros.policy import load_policy
from spec_vla_ros.types import Decoding, Observation

pytestmark = pytest.mark.slow

WEIGHTS = 'model.safetensors'
OBSERVATION = Observation(np.full((20, 30, 3), 90, np.uint8), 'pick up the red block')
JSON_FILES = (
    'config.json',
    'preprocessor_config.json',
    'tokenizer.json',
    'dataset_statistics.json',
    'generation_config.json',
    'model.safetensors.index.json',
)
DRAFTER_CONFIG = 'drafter/config.json'


@pytest.fixture(scope='module')
def good(tmp_path_factory):
    """A folder with everything that a checkpoint may have."""
    folder = write_tiny(tmp_path_factory.mktemp('good'))
    config = json.loads((folder / 'config.json').read_text())
    (folder / 'dataset_statistics.json').write_text(json.dumps(config['norm_stats']))
    (folder / 'generation_config.json').write_text(json.dumps({'bos_token_id': 1}))
    weight_map = dict.fromkeys(load_file(folder / WEIGHTS), WEIGHTS)
    (folder / f'{WEIGHTS}.index.json').write_text(json.dumps({'weight_map': weight_map}))
    return write_tiny_drafter(folder)


def use(folder):
    """Load a policy and let it act: what a node does with a folder."""
    policy = load_policy(folder, device='cpu')
    policy.infer(OBSERVATION)
    return policy.infer(OBSERVATION, Decoding('relaxed', 9))


def with_bytes(folder, name, content):
    """Use a folder with other content in one of its files, and put the file back."""
    file = folder / name
    before = file.read_bytes()
    try:
        file.write_bytes(content)
        return attempt(lambda: use(folder))
    finally:
        file.write_bytes(before)


def test_the_folder_is_good(good):
    action, refusal = attempt(lambda: use(good))
    assert refusal is None
    assert np.isfinite(action.values).all()


@pytest.mark.parametrize('name', [*JSON_FILES, DRAFTER_CONFIG])
def test_json_files_with_other_values(good, name):
    content = json.loads((good / name).read_text())

    @fuzz(60)
    @given(changed=mutated_json(content))
    def try_it(changed):
        with_bytes(good, name, json.dumps(changed).encode())

    try_it()


@pytest.mark.parametrize(
    ('field', 'value'),
    [
        ('num_hidden_layers', 10**9),
        ('max_position_embeddings', 10**12),
        ('hidden_size', 2**40),
        ('vocab_size', -5),
        ('num_attention_heads', 2.5),
        ('intermediate_size', True),
        ('rms_norm_eps', [1e-6]),
        ('rope_theta', float('nan')),
    ],
)
def test_numbers_that_no_model_has_are_refused_before_anything_is_built(good, field, value):
    config = json.loads((good / 'config.json').read_text())
    config['text_config'][field] = value
    _, refusal = with_bytes(good, 'config.json', json.dumps(config).encode())
    assert field in refusal


@pytest.mark.parametrize('name', ['../other.safetensors', '/etc/passwd', 'config.json', ''])
def test_an_index_names_safetensors_files_of_its_own_folder_only(good, name):
    content = (good / f'{WEIGHTS}.index.json').read_text()
    index = json.loads(content)
    index['weight_map'][next(iter(index['weight_map']))] = name
    _, refusal = with_bytes(good, f'{WEIGHTS}.index.json', json.dumps(index).encode())
    assert 'index.json' in refusal


def test_norm_stats_that_are_not_finite(good):
    stats = {'tiny': {'action': {'q01': [-1.0] * 7, 'q99': [float('nan')] * 7}}}
    _, refusal = with_bytes(good, 'dataset_statistics.json', json.dumps(stats).encode())
    assert "'tiny' in dataset_statistics.json has bounds that are not finite" in refusal


@pytest.mark.parametrize('name', [*JSON_FILES, DRAFTER_CONFIG])
def test_files_that_are_no_json_object(good, name):
    @fuzz(15)
    @given(content=st.one_of(st.binary(max_size=40), JSON_VALUES.map(json.dumps).map(str.encode)))
    def try_it(content):
        with_bytes(good, name, content)

    try_it()


@pytest.mark.parametrize('name', [WEIGHTS, f'drafter/{WEIGHTS}'])
def test_damaged_safetensors(good, name):
    content = (good / name).read_bytes()
    header = 8 + int.from_bytes(content[:8], 'little')

    @fuzz(60)
    @given(damaged=damaged_bytes(content, last=header + 8))
    def try_it(damaged):
        with_bytes(good, name, damaged)

    try_it()


class Payload:
    """Unpickled, it writes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f'echo run > {self.path}',)


def as_torch_zip(content):
    return lambda path: torch.save(content, path)


def as_bare_pickle(content):
    return lambda path: path.write_bytes(pickle.dumps(content))


def as_legacy_torch(content):
    return lambda path: torch.save(content, path, _use_new_zipfile_serialization=False)


@pytest.mark.parametrize('write', [as_torch_zip, as_bare_pickle, as_legacy_torch])
@pytest.mark.parametrize('hidden', ['whole', 'among tensors'])
def test_a_pickled_payload_does_not_run(good, tmp_path, write, hidden):
    trace = tmp_path / 'it_ran'
    payload = Payload(trace)
    weights = drafter_weights(good)
    content = payload if hidden == 'whole' else {**weights, 'extra': payload}
    folder = drafter_folder(good, tmp_path)
    write(content)(folder / 'pytorch_model.bin')
    with pytest.raises(CheckpointError, match='cannot be read as weights'):
        load_policy(good, device='cpu', drafter=folder)
    assert not trace.exists()


def test_the_payload_would_run(tmp_path):
    """Or the test above would show nothing."""
    trace = tmp_path / 'it_ran'
    pickle.loads(pickle.dumps(Payload(trace)))
    assert trace.exists()


def test_tensors_in_a_published_drafters_format_are_read(good, tmp_path):
    folder = drafter_folder(good, tmp_path)
    torch.save(drafter_weights(good), folder / 'pytorch_model.bin')
    policy = load_policy(good, device='cpu', drafter=folder)
    assert policy.infer(OBSERVATION, Decoding('strict')).stats.draft_passes >= 0


def test_a_damaged_pytorch_file(good, tmp_path):
    folder = drafter_folder(good, tmp_path)
    file = folder / 'pytorch_model.bin'
    torch.save(drafter_weights(good), file)
    content = file.read_bytes()
    with zipfile.ZipFile(file) as archive:
        start = archive.getinfo('pytorch_model/data.pkl').header_offset

    @fuzz(60)
    @given(damaged=damaged_bytes(content, first=start, last=start + 2000))
    def try_it(damaged):
        file.write_bytes(damaged)
        attempt(lambda: load_policy(good, device='cpu', drafter=folder))

    try_it()


def test_pickled_weights_of_the_target_are_not_opened(good, tmp_path):
    trace, folder = tmp_path / 'it_ran', tmp_path / 'checkpoint'
    write_tiny(folder)
    (folder / WEIGHTS).unlink()
    as_torch_zip(Payload(trace))(folder / 'pytorch_model.bin')
    with pytest.raises(CheckpointError, match='pickled weights'):
        load_policy(folder, device='cpu')
    assert not trace.exists()


def test_code_in_the_folder_is_not_run(good, tmp_path):
    """Published checkpoints bring modelling code along, and config.json points to it."""
    trace, folder = tmp_path / 'it_ran', write_tiny(tmp_path / 'checkpoint')
    config = json.loads((folder / 'config.json').read_text())
    config['auto_map'] = {
        'AutoModelForVision2Seq': 'modeling_prismatic.OpenVLAForActionPrediction'
    }
    (folder / 'config.json').write_text(json.dumps(config))
    code = f'open({str(trace)!r}, "w").close()\n'
    for name in ('modeling_prismatic.py', 'configuration_prismatic.py', '__init__.py'):
        (folder / name).write_text(code)
    load_policy(folder, device='cpu').infer(OBSERVATION)
    assert not trace.exists()


def drafter_weights(good):
    target = load_openvla(good, device='cpu').model.language_model
    return dict(Drafter(target.config).state_dict())


def drafter_folder(good, tmp_path):
    folder = tmp_path / 'drafter'
    folder.mkdir()
    (folder / 'config.json').write_bytes((good / 'drafter' / 'config.json').read_bytes())
    return folder
