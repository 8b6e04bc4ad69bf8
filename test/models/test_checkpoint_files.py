# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Files as different releases and trainers write them are read; what cannot be is named."""

import json
import logging
import re

import numpy as np
import pytest
import torch
from toy_checkpoint import tiny_tokenizer, write_tiny

from spec_vla_ros.models.checkpoint import load_openvla
from spec_vla_ros.models.checkpoint_files import read_config, read_image_processor
from spec_vla_ros.models.files.folders import CheckpointError
from spec_vla_ros.models.text_tokenizers import largest_id
from spec_vla_ros.policy import load_policy
from spec_vla_ros.types import Observation

PLAIN, NESTING = 'preprocessor_config.json', 'processor_config.json'
IMAGE = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)
SEEN = Observation(IMAGE, 'pick up the red block')


@pytest.fixture
def folder(tmp_path):
    return write_tiny(tmp_path / 'checkpoint')


def nest(folder, **changes):
    """Write the image processor as transformers 5 does."""
    plain = json.loads((folder / PLAIN).read_text())
    content = {'processor_class': 'PrismaticProcessor', 'image_processor': {**plain, **changes}}
    (folder / NESTING).write_text(json.dumps(content))


def test_an_image_processor_inside_processor_config(folder):
    expected = read_image_processor(folder, read_config(folder))(IMAGE)
    before = load_policy(folder, device='cpu').infer(SEEN)
    nest(folder)
    (folder / PLAIN).unlink()
    assert torch.equal(read_image_processor(folder, read_config(folder))(IMAGE), expected)
    assert np.array_equal(load_policy(folder, device='cpu').infer(SEEN).tokens, before.tokens)


def test_two_image_processors_must_agree(folder):
    nest(folder)
    load_openvla(folder, device='cpu')
    nest(folder, means=[[0.1, 0.2, 0.3]] * 2)
    with pytest.raises(CheckpointError, match='differently'):
        load_openvla(folder, device='cpu')


def test_a_processor_config_without_an_image_processor(folder):
    (folder / NESTING).write_text(json.dumps({'processor_class': 'PrismaticProcessor'}))
    load_openvla(folder, device='cpu')  # as transformers 4 writes it, beside the other file
    (folder / PLAIN).unlink()
    with pytest.raises(CheckpointError, match=r'preprocessor_config\.json is missing.*no image_p'):
        load_openvla(folder, device='cpu')


def test_a_resize_strategy_that_config_json_contradicts_is_refused(folder):
    config = json.loads((folder / 'config.json').read_text())
    for strategy in ('resize-naive', 'letterbox'):
        config['image_resize_strategy'] = strategy
        (folder / 'config.json').write_text(json.dumps(config))
        if strategy == 'resize-naive':
            load_openvla(folder, device='cpu')
    with pytest.raises(CheckpointError, match=r"'letterbox' in config\.json and 'resize-naive'"):
        read_image_processor(folder, read_config(folder))


@pytest.mark.parametrize('sides', [(224, 224), (64,), (64, 64, 64)])
def test_pictures_that_the_towers_do_not_see_are_told_before_weights_are_read(folder, sides):
    (folder / 'model.safetensors').write_bytes(b'not read')
    path = folder / 'preprocessor_config.json'
    raw = json.loads(path.read_text())
    for name in ('interpolations', 'means', 'stds'):
        raw[name] = [raw[name][0]] * len(sides)
    raw['input_sizes'] = [[3, side, side] for side in sides]
    path.write_text(json.dumps(raw))
    made = ' and '.join(f'{side} x {side}' for side in sides)
    with pytest.raises(CheckpointError, match=f'pictures of {made} pixels.*see 64 x 64 and 64'):
        load_openvla(folder, device='cpu')


def test_what_speaks_against_the_image_processor_is_logged(folder, caplog):
    plain = json.loads((folder / PLAIN).read_text())
    (folder / PLAIN).write_text(json.dumps({**plain, 'crop_size': 32}))
    load_openvla(folder, device='cpu')
    assert 'crop_size in preprocessor_config.json have no effect' in caplog.text


def statistics(folder, content):
    (folder / 'dataset_statistics.json').write_text(json.dumps(content))


def test_flat_statistics_are_the_only_data_set(folder):
    bounds = {'q01': [-0.02] * 7, 'q99': [0.04] * 7}
    statistics(folder, {'action': bounds, 'proprio': bounds, 'num_trajectories': 3})
    policy = load_policy(folder, device='cpu')
    np.testing.assert_array_equal(policy.codec.stats.q99, bounds['q99'])
    assert policy.info.unnorm_key == 'tiny'


def test_flat_statistics_replace_those_of_the_model_that_was_fine_tuned(folder):
    config = json.loads((folder / 'config.json').read_text())
    config['norm_stats']['other'] = config['norm_stats']['tiny']
    (folder / 'config.json').write_text(json.dumps(config))
    statistics(folder, {'action': {'q01': [0.0], 'q99': [1.0]}})
    assert set(read_config(folder).norm_stats) == {'dataset_statistics'}


def test_a_data_set_may_be_called_action(folder):
    statistics(folder, {'action': {'action': {'q01': [0.0], 'q99': [1.0]}}})
    assert set(read_config(folder).norm_stats) == {'action', 'tiny'}


def test_statistics_of_another_shape_name_file_and_key(folder):
    statistics(folder, {'mine': [1, 2]})
    with pytest.raises(CheckpointError, match=r"dataset_statistics\.json: 'mine' is \[1, 2\]"):
        load_policy(folder, device='cpu')


def test_errors_of_norm_stats_name_folder_file_and_key(folder):
    statistics(folder, {'mine': {'action': {'q01': [1.0] * 7, 'q99': [0.0] * 7}}})
    named = rf"^{re.escape(str(folder))}: norm stats 'mine' in dataset_statistics\.json: q01 is"
    with pytest.raises(CheckpointError, match=named):
        load_policy(folder, device='cpu', unnorm_key='mine')
    statistics(folder, {key: {'action': {}} for key in ('mine', 'yours')})
    with pytest.raises(CheckpointError, match=rf'^{re.escape(str(folder))}: choose an unnorm_key'):
        load_policy(folder, device='cpu')


def test_a_fine_tune_without_its_own_statistics_is_told_where_they_are(folder):
    said = r"has 'tiny'; a fine-tune's own are in the dataset_statistics\.json of its training"
    with pytest.raises(CheckpointError, match=said):
        load_policy(folder, device='cpu', unnorm_key='mine')
    statistics(folder, {'mine': {'action': {'q01': [-0.02] * 7, 'q99': [0.04] * 7}}})
    with pytest.raises(CheckpointError, match=r"'yours': the checkpoint has 'mine', 'tiny'$"):
        load_policy(folder, device='cpu', unnorm_key='yours')


MINE = {'mine': {'action': {'q01': [-0.02] * 7, 'q99': [0.04] * 7}}}


@pytest.mark.parametrize(
    'name',
    [
        *('dataset_statistics (1).json', 'Dataset-Stats.json', 'dataset_statistics.json.txt'),
        *('dataset_statistics.yaml', 'norm_stats.json', 'stats.json', 'statistics.json'),
        'action_stats.json',
    ],
)
def test_statistics_of_another_name_are_told_and_not_passed_over(folder, name):
    (folder / name).write_text(json.dumps(MINE))
    with pytest.raises(CheckpointError, match=rf'has {re.escape(name)} and no dataset_statistics'):
        read_config(folder)
    statistics(folder, MINE)
    assert read_config(folder)


def test_figures_of_a_training_are_no_statistics(folder):
    (folder / 'stats.json').write_text('{"loss": 0.1}')
    (folder / 'statistics.json').mkdir()
    config = json.loads((folder / 'config.json').read_text())
    for copy in (config['norm_stats'], {'norm_stats': config['norm_stats']}):
        (folder / 'norm_stats.json').write_text(json.dumps(copy))
        assert read_config(folder)


def test_a_file_without_a_data_set_is_told_and_not_passed_over(folder):
    statistics(folder, {})
    with pytest.raises(CheckpointError, match=r'holds no data set, .* by those of tiny in config'):
        read_config(folder)


def test_a_fine_tunes_own_statistics_come_first(folder, caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger('spec_vla_ros'), 'propagate', True)
    bounds = {'q01': [-0.02] * 7, 'q99': [0.04] * 7}
    statistics(folder, {'mine': {'action': bounds}})
    assert load_policy(folder, device='cpu').info.unnorm_key == 'mine'
    assert 'fine-tuned from' not in caplog.text
    load_policy(folder, device='cpu', unnorm_key='tiny')
    assert "'tiny' are in config.json alone, and so of the model that this one was" in caplog.text
    assert "its own are in dataset_statistics.json: 'mine'" in caplog.text


def test_statistics_without_a_data_sets_name_show_how_they_are_written(folder):
    statistics(folder, {'action.min': [0.0] * 7, 'action.max': [1.0] * 7})
    with pytest.raises(CheckpointError, match=r"'action\.min' is .*written as \{name: \{'action'"):
        load_policy(folder, device='cpu')


def test_a_data_set_that_stands_there_twice_is_refused(folder):
    one = json.dumps({'action': {'q01': [0.0] * 7, 'q99': [1.0] * 7}})
    (folder / 'dataset_statistics.json').write_text(f'{{"mine": {one}, "mine": {one}}}')
    with pytest.raises(CheckpointError, match=r"dataset_statistics\.json says 'mine' twice"):
        load_policy(folder, device='cpu')


def test_a_mark_of_the_encoding_in_front_is_passed_over(folder):
    plain = (folder / 'config.json').read_bytes()
    (folder / 'config.json').write_bytes(b'\xef\xbb\xbf' + plain)
    assert read_config(folder).text.vocab_size == 384


def test_a_beginning_of_prompts_that_is_null_is_not_said(folder):
    (folder / 'generation_config.json').write_text('{"bos_token_id": null}')
    prompts = load_openvla(folder, device='cpu').prompt_processor
    assert prompts('pick up the red block')[0, 0] == 1


def test_another_beginning_of_prompts_than_the_tokenizers_is_refused(folder):
    """Every prompt began as none of the training did: with what a trainer had written there."""
    (folder / 'generation_config.json').write_text('{"bos_token_id": 2}')
    assert tiny_tokenizer().token_to_id('<s>') == 1
    with pytest.raises(CheckpointError, match=r'is 2, and the tokenizer.s <s> is 1, .*: write 1'):
        load_openvla(folder, device='cpu')


@pytest.mark.parametrize(
    'wrong',
    [
        {'means': [[123.7, 116.3, 103.5]] * 2},
        {'stds': [[0.0, 0.2, 0.2]] * 2},
        {'stds': [[58.4, 57.1, 57.4]] * 2},
        {'means': [[float('nan')] * 3] * 2},
    ],
    ids=str,
)
def test_means_of_other_pixels_are_refused(folder, wrong):
    content = json.loads((folder / PLAIN).read_text())
    (folder / PLAIN).write_text(json.dumps({**content, **wrong}))
    with pytest.raises(CheckpointError, match=r'tower 1 in .* they are of pixels from 0 to 1'):
        load_openvla(folder, device='cpu')


@pytest.mark.parametrize(
    'broken',
    [
        {'action': {'q01': [1.0], 'q99': [0.0]}},
        {'action': {'mean': [0.0]}},
        {'action': {'q01': [0.0], 'q99': [float('nan')]}},
        {'action': {'q01': ['a'], 'q99': [1.0]}},
        {'action': 5},
        {},
    ],
    ids=str,
)
def test_a_broken_data_set_does_not_spoil_the_others(folder, broken):
    statistics(folder, {'broken': broken})
    policy = load_policy(folder, device='cpu', unnorm_key='tiny')
    assert policy.infer(SEEN).values.shape == (7,)
    with pytest.raises(ValueError, match="'broken'"):
        load_policy(folder, device='cpu', unnorm_key='broken')


def test_a_tokenizer_with_more_ids_than_the_model_is_refused(folder):
    tiny_tokenizer(tuple(map(str, range(400)))).save(str(folder / 'tokenizer.json'))
    with pytest.raises(CheckpointError, match=r"another language model's.* up to \d+.* knows 384"):
        load_policy(folder, device='cpu')


def test_added_tokens_may_lie_in_the_padding(folder):
    tokenizer = tiny_tokenizer(tuple(map(str, range(320))))
    tokenizer.add_tokens(['<PAD>'])
    tokenizer.save(str(folder / 'tokenizer.json'))
    assert largest_id(tokenizer) > read_config(folder).vocab_size
    load_policy(folder, device='cpu')


def test_no_tokenizer_is_told_before_anything_else(folder):
    (folder / 'tokenizer.json').unlink()
    load_openvla(folder, device='cpu')  # prompts may come as token ids
    with pytest.raises(ValueError, match=r'has no tokenizer\.json or tokenizer\.model'):
        load_policy(folder, device='cpu')
