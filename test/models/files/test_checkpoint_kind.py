# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Folders of something else than an OpenVLA are refused by what they are; others are read."""

import json
import logging
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from toy_checkpoint import write_tiny

from spec_vla_ros.models.checkpoint import load_openvla
from spec_vla_ros.models.checkpoint_files import read_config
from spec_vla_ros.models.files.folders import CheckpointError
from spec_vla_ros.models.files.safetensors_files import INDEX
from spec_vla_ros.policy import load_policy
from spec_vla_ros.types import Observation

WEIGHTS = 'model.safetensors'
SEEN = Observation(np.full((20, 30, 3), 90, np.uint8), 'pick up the red block')


@pytest.fixture
def folder(tmp_path):
    return write_tiny(tmp_path / 'checkpoint')


def edit_json(folder, name, **changes):
    content = json.loads((folder / name).read_text())
    (folder / name).write_text(json.dumps({**content, **changes}))


def refusal(folder):
    with pytest.raises(CheckpointError) as refused:
        load_policy(folder, device='cpu')
    return str(refused.value)


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


@pytest.mark.parametrize(
    'name',
    [
        'action_head--150000_checkpoint.pt',
        'proprio_projector--150000_checkpoint.pt',
        'noisy_action_projector--latest_checkpoint.pt',
        'action_head.pt',
        'action_head_1000.pt',
        'diffusion_head--1.pt',
        'proprio_projector.pt',
        'heads/action_head--1_checkpoint.pt',
    ],
)
def test_openvla_oft_is_refused_by_its_heads(folder, name):
    touch(folder, name, 'lora_adapter/adapter_config.json')
    message = refusal(folder)
    assert 'OpenVLA-OFT' in message
    assert name in message
    assert 'not autoregressive' in message


@pytest.mark.parametrize('word', ['NUM_ACTIONS_CHUNK', 'L1RegressionActionHead'])
def test_openvla_oft_is_refused_by_its_code_which_is_not_run(folder, word):
    code = f'raise SystemExit({word!r})'
    (folder / 'modeling_prismatic.py').write_text(code)
    message = refusal(folder)
    assert f'has the code of OpenVLA-OFT ({word} in modeling_prismatic.py)' in message
    assert 'into which its training script writes its code' in message
    assert 'plain OpenVLA weights, remove modeling_prismatic.py' in message
    touch(folder, 'modeling_prismatic.py.back.20250301_120000')
    assert 'move modeling_prismatic.py.back.20250301_120000 to modeling_p' in refusal(folder)


def test_heads_of_another_checkpoint_inside_are_its_own(folder):
    touch(folder, 'oft/config.json', 'oft/action_head.pt')
    (folder / 'modeling_prismatic.py').write_bytes(b'class OpenVLAForActionPrediction: \xff')
    assert load_policy(folder, device='cpu').infer(SEEN)


def test_univla_is_refused_by_its_decoder(folder):
    touch(folder, 'action_decoder-10000.pt')
    assert 'UniVLA checkpoint (action_decoder-10000.pt)' in refusal(folder)


@pytest.mark.parametrize(
    ('key', 'value', 'message'),
    [
        ('use_l1_regression', True, 'OpenVLA-OFT'),
        ('num_actions_chunk', 8, 'OpenVLA-OFT'),
        ('use_film', True, 'OpenVLA-OFT'),
        ('num_action_chunks', 8, 'OpenVLA-OFT'),
        ('action_chunk', 8, 'OpenVLA-OFT'),
        ('action_horizon', 8, 'OpenVLA-OFT'),
        ('num_images_in_input', 2, 'more than one image'),
        ('image_sequence_len', 2, 'more than one image'),
        ('use_wrist_image', True, 'more than one image'),
        ('use_proprio', True, 'more than one image'),
        ('action_tokenizer', 'libero_vq_extra_action_tokenizer', 'other actions'),
        ('architectures', ['OtherVLA'], "OtherVLA.*has \\['OpenVLAForActionPrediction'\\]"),
        (
            'auto_map',
            {'AutoModelForVision2Seq': 'modeling_cogact.CogACT'},
            'modeling_cogact.CogACT',
        ),
        ('auto_map', {'AutoConfig': 'a/b--configuration_prismatic.OtherConfig'}, 'another class'),
        ('_name_or_path', 'furonghuang-lab/TraceVLA-7B', r'TraceVLA.*change _name_or_path'),
        ('quantization_config', {'quant_method': 'gptq', 'bits': 4}, r'\(gptq\).*stored_as'),
    ],
)
def test_others_are_refused_by_their_config(folder, key, value, message):
    edit_json(folder, 'config.json', **{key: value})
    with pytest.raises(CheckpointError, match=message):
        load_policy(folder, device='cpu')


def test_one_image_and_the_usual_names_are_fine(folder):
    edit_json(
        folder,
        'config.json',
        num_images_in_input=1,
        use_film=False,
        action_horizon=1,
        use_wrist_image=False,
        action_tokenizer='action_tokenizer',
        architectures=['OpenVLAForActionPrediction'],
        quantization_config=None,
        auto_map={
            'AutoConfig': 'openvla/openvla-7b--configuration_prismatic.OpenVLAConfig',
            'AutoModelForVision2Seq': 'prismatic.extern.modeling.OpenVLAForActionPrediction',
        },
    )
    assert load_policy(folder, device='cpu').infer(SEEN)


@pytest.mark.parametrize(
    ('tensor', 'message'),
    [
        ('action_head.fc1.weight', 'action head'),
        ('language_model.model.layers.0.self_attn.q_proj.lora_A.default.weight', 'not merged'),
        ('language_model.lm_head.modules_to_save.default.weight', 'not merged'),
        ('language_model.model.layers.0.self_attn.q_proj.base_layer.weight', 'not merged'),
        ('base_model.model.projector.fc1.weight', 'call `merge_and_unload()`'),
        ('module.projector.fc1.weight', 'save `model.module`'),
        ('_orig_mod.projector.fc1.weight', 'save `model._orig_mod`'),
        ('vision_backbone._orig_mod.featurizer.pos_embed', "hold '_orig_mod.'"),
        ('language_model.module.lm_head.weight', 'save `model.module`'),
        ('_fsdp_wrapped_module.projector.fc1.weight', 'save its full state dict'),
        ('projector._checkpoint_wrapped_module.fc1.weight', "hold '_checkpoint_wrapped_module.'"),
    ],
)
def test_weights_of_something_else_are_refused_by_what_they_are(folder, tensor, message):
    tensors = load_file(folder / WEIGHTS)
    save_file({**tensors, tensor: torch.zeros(2)}, folder / WEIGHTS)
    assert message in refusal(folder)


def test_a_model_that_was_saved_inside_of_another_is_told(folder):
    tensors = load_file(folder / WEIGHTS)
    save_file({f'vla.{key}': value for key, value in tensors.items()}, folder / WEIGHTS)
    message = refusal(folder)
    assert "begin with 'vla.'" in message
    assert 'save the model inside, `model.vla`' in message


@pytest.mark.parametrize('place', ['', 'lora_adapter', 'adapter', 'checkpoint-500'])
@pytest.mark.parametrize('weights', [False, True])
def test_an_adapter_is_told_with_its_base_and_how_to_merge_it(folder, place, weights):
    if not weights:
        shutil.rmtree(folder)
    where = folder / place
    where.mkdir(parents=True, exist_ok=True)
    config = {'peft_type': 'LORA', 'base_model_name_or_path': 'somebody/base-7b'}
    (where / 'adapter_config.json').write_text(json.dumps(config))
    save_file({'x.lora_A.weight': torch.zeros(2)}, where / 'adapter_model.safetensors')
    message = refusal(folder)
    assert 'LoRA adapter' in message
    assert "'somebody/base-7b'" in message
    assert 'merge_and_unload' in message
    assert ('nothing says whether' in message) == weights


@pytest.mark.parametrize(
    ('config', 'message'),
    [
        ({'model_type': 'prismatic'}, 'Prismatic'),
        ({'model_type': 'llama'}, 'a drafter'),
        ({'model_type': 'paligemma'}, 'PaliGemma'),
        ({'model_type': 'unheard_of', 'architectures': ['Some']}, r"'unheard_of'.*Some"),
        *(({'type': name}, f"LeRobot policy.*'{name}'") for name in ('smolvla', 'new_one')),
        ({'vla': {'base_vlm': 'x'}}, 'convert_openvla_weights_to_hf'),
        ({}, 'model_type None'),
    ],
    ids=str,
)
def test_other_families_are_named(folder, config, message):
    (folder / 'config.json').write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match=message):
        load_policy(folder, device='cpu')


@pytest.mark.parametrize('name', ['tracevla_7b', 'TraceVLA-Phi3', 'openvla-trace-vla'])
def test_tracevla_is_refused_by_its_name(tmp_path, name):
    message = refusal(write_tiny(tmp_path / name))
    assert 'two images' in message
    assert 'rename the folder' in message


@pytest.mark.parametrize('name', ['univla-7b', 'UniVLA-libero'])
def test_univla_is_refused_by_its_name(tmp_path, name):
    assert 'UniVLA checkpoint' in refusal(write_tiny(tmp_path / name))


@pytest.mark.parametrize(
    ('name', 'message'),
    [
        ('vqvla_weight', 'VQ-VLA checkpoint: its tokens are codes'),
        ('VQ-VLA-libero-90', 'VQ-VLA checkpoint'),
        ('openfly-agent-7b', 'OpenFly checkpoint, which flies'),
    ],
)
def test_others_of_the_same_layout_are_refused_by_their_name(tmp_path, name, message):
    assert message in refusal(write_tiny(tmp_path / name))


@pytest.mark.parametrize(
    'name',
    ['ecot-openvla-7b-oxe', 'embodied_cot', 'Embodied-CoT-bridge', 'Emma-X', 'CoTVLA', 'cot-vla'],
)
def test_reasoning_checkpoints_are_refused_by_their_name(tmp_path, name):
    assert 'reasoning' in refusal(write_tiny(tmp_path / name))


def test_reasoning_checkpoints_are_refused_by_where_they_came_from(folder):
    edit_json(folder, 'config.json', _name_or_path='Embodied-CoT/ecot-openvla-7b-bridge')
    assert 'reasoning' in refusal(folder)
    assert 'change _name_or_path' in refusal(folder)


@pytest.mark.parametrize(
    'name',
    [
        'openvla-7b-oft-finetuned-libero-spatial',
        'RLinf-OpenVLAOFT-GRPO-LIBERO-object',
        'OpenVLAOFT',
        'models--moojink--openvla-7b-oft-finetuned-libero-spatial/snapshots/abc',
    ],
)
def test_openvla_oft_is_refused_by_its_name_where_its_heads_are_missing(tmp_path, name):
    message = refusal(write_tiny(tmp_path / name))
    assert 'OpenVLA-OFT' in message
    assert 'rename the folder' in message


@pytest.mark.parametrize(
    'name', ['second', 'apricot', 'cotton-picker', 'soft-grasp', 'loft', 'gemma-xl']
)
def test_other_names_mean_nothing(tmp_path, name):
    assert load_policy(write_tiny(tmp_path / name), device='cpu').infer(SEEN)


def test_a_folder_of_checkpoints_asks_for_one(tmp_path):
    for name in ('checkpoint-100', 'checkpoint-200'):
        write_tiny(tmp_path / name)
    message = refusal(tmp_path)
    assert 'checkpoint-100, checkpoint-200' in message


def test_a_training_run_with_adapters_inside_asks_for_a_merge(tmp_path):
    for name in ('checkpoint-500', 'checkpoint-1000'):
        touch(tmp_path, f'{name}/adapter_config.json')
    message = refusal(tmp_path)
    assert 'no weights but LoRA adapters (checkpoint-1000, checkpoint-500)' in message
    assert 'Merge one of them' in message


def test_a_download_cache_asks_for_the_snapshot(tmp_path):
    write_tiny(tmp_path / 'snapshots' / 'abc')
    assert 'snapshots/abc' in refusal(tmp_path)


@pytest.mark.parametrize(
    ('file', 'message'),
    [
        ('run/step-9/adapter/adapter_config.json', 'no weights but LoRA adapters (run/step-9/ad'),
        ('models--a--b/snapshots/abc/config.json', 'give one of models--a--b/snapshots/abc'),
        ('checkpoints/last/pretrained_model/config.json', 'give one of checkpoints/last/pretrai'),
        ('dataset_statistics.json', 'has no model until the adapter is merged'),
    ],
)
def test_what_a_folder_without_a_model_holds_is_told(tmp_path, file, message):
    touch(tmp_path, file)
    assert message in refusal(tmp_path)


def test_an_adapter_beside_checkpoints_is_not_what_a_folder_is(tmp_path):
    touch(tmp_path, 'base/config.json', 'mine/adapter_config.json')
    assert 'holds checkpoints: give one of base' in refusal(tmp_path)


def test_a_file_in_place_of_its_folder_is_told(folder):
    assert 'is a file: give the folder' in refusal(folder / WEIGHTS)


def test_a_training_run_is_to_be_converted(tmp_path):
    touch(tmp_path, 'config.yaml', 'checkpoints/step-1.pt')
    assert 'convert_openvla_weights_to_hf' in refusal(tmp_path)
    (tmp_path / 'config.json').write_text(json.dumps({'vla': {'base_vlm': 'siglip-224px+7b'}}))
    assert 'convert_openvla_weights_to_hf' in refusal(tmp_path)


@pytest.mark.parametrize('names', [(), ('checkpoints/step-1.pt',)], ids=str)
def test_a_training_run_of_another_language_model_is_not_to_be_converted(tmp_path, names):
    """MiniVLA is made of Qwen, for which the conversion is not, and would be refused after it."""
    touch(tmp_path, *names)
    began_with = 'prism-qwen25-extra-dinosiglip-224px+0_5b'
    (tmp_path / 'config.json').write_text(json.dumps({'vla': {'base_vlm': began_with}}))
    message = refusal(tmp_path)
    assert f'it began with {began_with!r}, a Qwen language model' in message
    assert 'convert_openvla' not in message


def with_index(folder):
    weight_map = dict.fromkeys(load_file(folder / WEIGHTS), 'part.safetensors')
    (folder / WEIGHTS).rename(folder / 'part.safetensors')
    (folder / INDEX).write_text(json.dumps({'weight_map': weight_map}))


@pytest.mark.parametrize('second', [WEIGHTS, 'model.fp16.safetensors.index.json'])
def test_two_sets_of_weights_are_refused(folder, second):
    with_index(folder)
    (folder / second).write_bytes((folder / 'part.safetensors').read_bytes())
    message = refusal(folder)
    assert 'two sets of weights' in message
    assert second in message


@pytest.mark.parametrize(
    ('name', 'said'),
    [
        ('optimizer.pt', "trainer's state"),
        ('trainer_state.json', "trainer's state"),
        ('global_step500/mp_rank_00_model_states.pt', "trainer's state"),
        ('pytorch_model.bin', 'other weights'),
        ('checkpoint-500/config.json', 'other checkpoints'),
    ],
)
def test_what_is_left_aside_is_said(folder, name, said, caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger('spec_vla_ros'), 'propagate', True)
    touch(folder, name)
    load_openvla(folder, device='cpu')
    assert said in caplog.text
    assert name.partition('/')[0] in caplog.text


def test_nothing_is_said_of_a_plain_folder(folder, caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger('spec_vla_ros'), 'propagate', True)
    (folder / 'drafter').mkdir()
    touch(folder, 'drafter/config.json', 'README.md', 'modeling_prismatic.py')
    load_openvla(folder, device='cpu')
    assert not [r for r in caplog.records if r.levelno >= logging.WARNING]


def test_towers_are_counted_where_nothing_says_how_many(tmp_path):
    for towers, fused in ((1, False), (2, True)):
        folder = write_tiny(tmp_path / str(towers), fused=fused)
        edit_json(folder, 'config.json', use_fused_vision_backbone=None)
        assert len(read_config(folder).timm_model_ids) == towers
        assert load_policy(folder, device='cpu').infer(SEEN).values.shape == (7,)


@pytest.mark.parametrize(
    ('backbone', 'message'),
    [
        ('mistral-v0.1-7b-pure', 'Mistral'),
        ('phi-2-3b', 'Phi-2'),
        ('qwen25-0_5b-pure', r"'qwen25-0_5b-pure' is a Qwen language model: only Llama"),
        ('gemma-2b', r"'gemma-2b' is not known.*vicuna-v15-7b"),
        (7, '7 is not known'),
    ],
)
def test_other_language_models_are_refused_by_name(folder, backbone, message):
    edit_json(folder, 'config.json', llm_backbone_id=backbone)
    with pytest.raises(CheckpointError, match=message):
        load_policy(folder, device='cpu')
