# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Checkpoint folders load strictly, in any layout, and what does not fit is named."""

import json
from pathlib import Path

import pytest
import torch
from processes import KILOBYTES, run_python
from safetensors.torch import load_file, save_file
from toy_checkpoint import tiny_config, toy_folder, write_tiny

from spec_vla_ros.models.checkpoint import (
    load_openvla,
    multiplies_bfloat16,
    resolve_device,
    save_weights,
    warn_of_slow_bfloat16,
)
from spec_vla_ros.models.checkpoint_files import read_config
from spec_vla_ros.models.files.folders import CheckpointError
from spec_vla_ros.models.files.safetensors_files import check_finite, refuse_zeros

WEIGHTS = 'model.safetensors'
NORM = 'language_model.model.norm.weight'


@pytest.fixture
def folder(tmp_path):
    return write_tiny(tmp_path / 'checkpoint')


def edit_weights(folder, change):
    tensors = load_file(folder / WEIGHTS)
    change(tensors)
    save_file(tensors, folder / WEIGHTS)


def edit_json(folder, name, **changes):
    content = json.loads((folder / name).read_text())
    (folder / name).write_text(json.dumps({**content, **changes}))


def shard(folder, *, with_index):
    tensors = load_file(folder / WEIGHTS)
    (folder / WEIGHTS).unlink()
    weight_map = {key: f'model-{i % 3}.safetensors' for i, key in enumerate(tensors)}
    for name in set(weight_map.values()):
        part = {k: v for k, v in tensors.items() if weight_map[k] == name}
        save_file(part, folder / name)
    if with_index:
        index = json.dumps({'weight_map': weight_map})
        (folder / 'model.safetensors.index.json').write_text(index)


def parameters(folder, **options):
    return dict(load_openvla(folder, device='cpu', **options).model.named_parameters())


@pytest.mark.parametrize('with_index', [True, False])
def test_shards_hold_the_same_model_as_one_file(folder, with_index):
    whole = parameters(folder)
    shard(folder, with_index=with_index)
    sharded = parameters(folder)
    assert all(torch.equal(sharded[k], whole[k]) for k in whole)


@pytest.mark.parametrize('stored', [torch.bfloat16, torch.float16, torch.float32, torch.float64])
def test_stored_dtypes(tmp_path, stored):
    folder = write_tiny(tmp_path / 'x', dtype=stored)
    file = load_file(folder / WEIGHTS)
    assert file[NORM].dtype == stored
    weight = parameters(folder)['language_model.lm_head.weight']
    assert weight.dtype == torch.float32
    assert torch.equal(weight, file['language_model.lm_head.weight'].float())
    chosen = parameters(folder, dtype='bfloat16')
    assert {p.dtype for p in chosen.values()} == {torch.bfloat16}


@pytest.mark.parametrize('said', ['torch.float32', 'float64', 'torch.float64'])
def test_the_precision_as_other_tools_write_it(folder, said):
    content = json.loads((folder / 'config.json').read_text())
    (folder / 'config.json').write_text(json.dumps({**content, 'torch_dtype': said}))
    assert read_config(folder).dtype == torch.float32


def test_single_tower(tmp_path):
    folder = write_tiny(tmp_path / 'single', fused=False)
    checkpoint = load_openvla(folder, device='cpu')
    assert checkpoint.model.projector.fc3 is None
    assert checkpoint.model.image_embeds(torch.rand(1, 3, 64, 64)).shape == (1, 16, 32)


def test_saved_weights_load_again(folder):
    model = load_openvla(folder, device='cpu').model
    save_weights(model, folder / WEIGHTS, dtype=torch.float32)
    again = parameters(folder)
    assert all(torch.equal(again[k], v) for k, v in model.named_parameters())


def test_weights_do_not_stay_a_view_of_the_file(folder):
    model = load_openvla(folder, device='cpu').model
    before = model.language_model.lm_head.weight.clone()
    size = (folder / WEIGHTS).stat().st_size
    with open(folder / WEIGHTS, 'r+b') as file:
        file.write(bytes(size))
    assert torch.equal(model.language_model.lm_head.weight, before)


def test_progress_ends_at_the_whole(folder):
    seen = []
    load_openvla(folder, device='cpu', progress=lambda done, total: seen.append((done, total)))
    assert seen == sorted(seen)
    assert seen[-1][0] == seen[-1][1] > 0


def test_dataset_statistics_join_the_norm_stats(folder):
    extra = {'mine': {'action': {'q01': [0.0], 'q99': [1.0]}}}
    (folder / 'dataset_statistics.json').write_text(json.dumps(extra))
    assert set(load_openvla(folder, device='cpu').config.norm_stats) == {'mine', 'tiny'}


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda t: t.pop(NORM), f'missing: {NORM}'),
        (lambda t: t.update(extra=torch.zeros(2)), 'unexpected: extra'),
        (lambda t: t.update({NORM: torch.zeros(3)}), r'norm.weight is \(3,\) and should be \(32,'),
        (lambda t: t.update({NORM: torch.zeros(32, dtype=torch.int8)}), 'norm.weight.* as I8'),
    ],
    ids=['missing', 'unexpected', 'mis-shaped', 'quantised'],
)
def test_keys_that_do_not_fit_are_named(folder, change, message):
    edit_weights(folder, change)
    with pytest.raises(CheckpointError, match=message):
        load_openvla(folder, device='cpu')


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'model_type': 'llama'}, "model_type 'llama'"),
        ({'text_config': None}, 'text_config in config.json is None, expected an object'),
        ({'text_config': {'vocab_size': '384'}}, "vocab_size is '384', expected a whole number"),
        ({'image_sizes': 64}, 'image_sizes in config.json is 64, expected a list of pixels'),
        ({'timm_model_ids': 'vit'}, "timm_model_ids in config.json is 'vit', expected a list"),
        ({'pad_to_multiple_of': None}, 'pad_to_multiple_of in config.json is None, expected a w'),
        ({'arch_specifier': 'linear'}, "arch_specifier 'linear'.*no-align"),
        ({'timm_model_ids': ['vit_nonsense'] * 2}, "no vision tower 'vit_nonsense'"),
        ({'timm_model_ids': ['resnet18'] * 2}, "'resnet18'.*no plain vision transformer"),
        ({'timm_model_ids': ['spec_vla_vit_patch16_64']}, '2 vision tower'),
        ({'image_sizes': [64, 96]}, 'pictures of 64 x 64 and 64 x 64 pixels.*see 64 x 64 and 96'),
        ({'timm_model_ids': ['spec_vla_vit_patch16_64', 'vit_small_patch8_224']}, 'same number'),
        ({'torch_dtype': 'int4'}, "'int4'"),
        ({'text_config': {'model_type': 'mistral'}}, 'mistral'),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else '',
)
def test_config_errors_are_named(folder, changes, message):
    edit_json(folder, 'config.json', **changes)
    with pytest.raises(CheckpointError, match=message):
        load_openvla(folder, device='cpu')


def test_config_fields_that_are_missing_are_named(folder):
    config = tiny_config()
    del config['timm_model_ids']
    (folder / 'config.json').write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match='lacks timm_model_ids'):
        load_openvla(folder, device='cpu')


@pytest.mark.parametrize(
    ('name', 'message'),
    [
        ('config.json', r'config\.json is missing'),
        ('preprocessor_config.json', r'preprocessor_config\.json is missing'),
        (WEIGHTS, r'no \*\.safetensors file'),
    ],
)
def test_missing_files_are_named(folder, name, message):
    (folder / name).unlink()
    with pytest.raises(CheckpointError, match=message):
        load_openvla(folder, device='cpu')


def test_missing_shard_is_named(folder):
    shard(folder, with_index=True)
    (folder / 'model-1.safetensors').unlink()
    with pytest.raises(CheckpointError, match=r'model-1\.safetensors'):
        load_openvla(folder, device='cpu')


def test_index_that_promises_too_much(folder):
    shard(folder, with_index=True)
    index = folder / 'model.safetensors.index.json'
    content = json.loads(index.read_text())
    content['weight_map']['phantom'] = 'model-0.safetensors'
    index.write_text(json.dumps(content))
    with pytest.raises(CheckpointError, match='phantom'):
        load_openvla(folder, device='cpu')


def test_stray_file_with_the_same_keys(folder):
    (folder / 'copy.safetensors').write_bytes((folder / WEIGHTS).read_bytes())
    with pytest.raises(CheckpointError, match='both in'):
        load_openvla(folder, device='cpu')


@pytest.mark.parametrize('kept', [0, 100, 0.5])
def test_truncated_weights(folder, kept):
    content = (folder / WEIGHTS).read_bytes()
    length = int(kept * len(content)) if isinstance(kept, float) else kept
    (folder / WEIGHTS).write_bytes(content[:length])
    with pytest.raises(CheckpointError, match='truncated or not a safetensors'):
        load_openvla(folder, device='cpu')


@pytest.mark.parametrize(
    ('name', 'message'),
    [
        ('pytorch_model.bin', 'pickled weights.*convert'),
        ('adapter_config.json', 'LoRA'),
        ('notes.txt', 'no .*safetensors'),
    ],
)
def test_other_weights_are_explained(folder, name, message):
    (folder / WEIGHTS).unlink()
    (folder / name).touch()
    with pytest.raises(CheckpointError, match=message):
        load_openvla(folder, device='cpu')


def test_malformed_json_is_named(folder):
    (folder / 'config.json').write_text('{')
    with pytest.raises(CheckpointError, match=r'config\.json is not valid JSON'):
        load_openvla(folder, device='cpu')


def test_no_such_folder(tmp_path):
    with pytest.raises(CheckpointError, match='not a folder'):
        load_openvla(tmp_path / 'nowhere')


def test_folder_without_config_shows_what_is_there(tmp_path):
    (tmp_path / 'README.md').touch()
    with pytest.raises(CheckpointError, match=r'config\.json is missing.*README\.md'):
        load_openvla(tmp_path)


def test_blind_model_fails_the_vision_self_test(folder):
    """The published remote code on current releases never runs the towers, and nobody notices."""
    edit_weights(folder, lambda t: t['projector.fc1.weight'].zero_())
    with pytest.raises(CheckpointError, match='vision self-test'):
        load_openvla(folder, device='cpu')


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'device': 'gpu'}, "unknown device 'gpu'"),
        ({'device': 'mps'}, "'mps' is none that is computed on here: use 'auto', 'cpu' or 'cuda'"),
        ({'device': 'meta'}, "'meta' is none"),
        ({'device': 'cpu:3'}, "'cpu:3' is none"),
        ({'device': 'cpu', 'dtype': 'fp8'}, "dtype 'fp8' is none of auto, .*bfloat16"),
    ],
)
def test_unknown_device_or_dtype(folder, options, message):
    with pytest.raises(ValueError, match=message):
        load_openvla(folder, **options)


@pytest.mark.parametrize('key', ['language_model.lm_head.weight', 'projector.fc1.weight', NORM])
@pytest.mark.parametrize('value', [float('nan'), float('inf')])
def test_weights_that_are_no_numbers_are_told(folder, key, value):
    edit_weights(folder, lambda t: t[key][-1:].fill_(value))
    with pytest.raises(CheckpointError, match=rf'{key} in .*{WEIGHTS} holds NaN or infinity'):
        load_openvla(folder, device='cpu')


def test_weights_that_are_too_large_for_the_dtype_are_told(folder):
    edit_weights(folder, lambda t: t[NORM].fill_(1e5))
    assert load_openvla(folder, device='cpu')
    with pytest.raises(CheckpointError, match='choose another dtype'):
        load_openvla(folder, device='cpu', dtype='float16')


def test_a_matrix_of_zeros_is_told(folder):
    """What a download leaves that was cut off, where the file had its whole size before."""
    key = 'language_model.model.layers.1.mlp.down_proj.weight'
    edit_weights(folder, lambda t: t[key].zero_())
    with pytest.raises(CheckpointError, match=rf'zeros .* of {key}: .*download'):
        load_openvla(folder, device='cpu')


@pytest.mark.parametrize(
    ('key', 'part'),
    [
        ('language_model.model.layers.1.mlp.down_proj.weight', slice(-3, None)),
        ('vision_backbone.featurizer.blocks.0.mlp.fc1.weight', slice(0, 2)),
        ('vision_backbone.featurizer.patch_embed.proj.weight', slice(None)),
        ('vision_backbone.fused_featurizer.pos_embed', (0, slice(-3, None))),
        ('vision_backbone.fused_featurizer.blocks.1.norm2.weight', slice(None)),
        (NORM, slice(None)),
    ],
)
def test_weights_that_end_or_begin_in_zeros_are_told(folder, key, part):
    """The end of a download that was cut off is within a weight."""
    edit_weights(folder, lambda t: t[key][part].zero_())
    with pytest.raises(CheckpointError, match=rf'zeros .*{key}: |vision self-test'):
        load_openvla(folder, device='cpu')


def test_tokens_that_nobody_says_and_scales_may_be_zeros(folder):
    def change(tensors):
        tensors['language_model.model.embed_tokens.weight'][-64:] = 0
        tensors['language_model.lm_head.weight'][-64:] = 0
        tensors['vision_backbone.featurizer.blocks.1.norm1.bias'].zero_()

    edit_weights(folder, change)
    assert load_openvla(folder, device='cpu')
    gamma = 'vision_backbone.featurizer.blocks.0.ls1.scale_factor'
    refuse_zeros(folder, [(gamma, torch.zeros(4)), ('layers.0.norm.bias', torch.zeros(4))])


@pytest.mark.parametrize('tower', ['featurizer', 'fused_featurizer'])
def test_one_blind_tower_of_two_is_told(folder, tower):
    key = f'vision_backbone.{tower}.patch_embed.proj.weight'
    edit_weights(folder, lambda t: t[key].mul_(1e-9))
    with pytest.raises(CheckpointError, match=f'vision self-test .* the tower {tower} give'):
        load_openvla(folder, device='cpu')


def test_a_bias_of_zeros_and_numbers_that_add_up_to_zero_are_taken(folder):
    edit_weights(folder, lambda t: t['projector.fc1.bias'].zero_())
    assert load_openvla(folder, device='cpu')
    for some in (torch.eye(4) - torch.eye(4).flip(0), torch.eye(4).roll(1, 1)):
        check_finite('x', some, Path('file'))
        refuse_zeros(Path('folder'), [('x', some)])


def test_large_numbers_are_no_infinity():
    check_finite('x', torch.full((3,), 3e38), Path('file'))


def test_cuda_devices_that_are_not_there_are_told(monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: 2)
    assert resolve_device('cuda:1') == torch.device('cuda:1')
    with pytest.raises(ValueError, match="'cuda:9': torch finds 2 CUDA devices"):
        resolve_device('cuda:9')


def test_auto_leaves_a_card_alone_that_this_torch_has_no_kernels_for(monkeypatch, caplog):
    def fail(*size, **options):
        raise RuntimeError('CUDA error: no kernel image is available\nCompile with ...')

    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr(torch, 'ones', fail)
    assert resolve_device('auto') == torch.device('cpu')
    assert 'not used: CUDA error: no kernel image is available' in caplog.text
    monkeypatch.setattr(torch, 'ones', lambda *size, **options: torch.zeros(1))
    assert resolve_device('auto') == torch.device('cuda')


@pytest.mark.parametrize(
    ('dtype', 'knows', 'warnings'),
    [
        ('bfloat16', {'avx512_bf16': False}, 1),
        ('bfloat16', {'avx512_bf16': True}, 0),
        ('bfloat16', {'bf16': True}, 0),
        ('float32', {}, 0),
    ],
)
def test_bfloat16_on_a_cpu_without_it_is_warned_of(monkeypatch, caplog, dtype, knows, warnings):
    monkeypatch.setattr(torch.cpu, 'get_capabilities', lambda: knows, raising=False)
    load_openvla(toy_folder('base'), device='cpu', dtype=dtype)
    assert caplog.text.count('no instructions for bfloat16') == warnings


@pytest.mark.slow
def test_peak_memory_is_at_most_a_fifth_above_the_weights():
    program = """
import sys
from spec_vla_ros.models import vision_towers  # whose imports are no weights
from spec_vla_ros.models.checkpoint import load_openvla
before = kilobytes('VmRSS')
seen = []
load_openvla(sys.argv[1], device='cpu', progress=lambda done, total: seen.append(total))
print((kilobytes('VmHWM') - before) * 1024 / seen[-1])
"""
    folder = toy_folder('base')
    assert float(run_python('-c', KILOBYTES + program, folder).stdout) <= 1.2


@pytest.mark.parametrize(('capability', 'has'), [((7, 5), False), ((8, 0), True), ((12, 0), True)])
def test_a_gpu_has_instructions_for_bfloat16_or_not(monkeypatch, capability, has):
    """A Turing or Volta card computes it by other means, and torch says that it is supported."""
    monkeypatch.setattr(torch.cuda, 'get_device_capability', lambda device: capability)
    assert multiplies_bfloat16(torch.device('cuda', 1)) is has


def test_bfloat16_on_a_gpu_without_it_is_warned_of(monkeypatch, caplog):
    monkeypatch.setattr(torch.cuda, 'get_device_capability', lambda device: (7, 5))
    warn_of_slow_bfloat16(torch.bfloat16, torch.device('cuda'))
    assert "with dtype 'float16' a policy is faster" in caplog.text
    caplog.clear()
    warn_of_slow_bfloat16(torch.float16, torch.device('cuda'))
    assert not caplog.text
