# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The drafter computes what it says, and its folders load strictly and without running code."""

import json
import pickle

import pytest
import torch
from safetensors.torch import save_file
from small_models import CONFIG, random_drafter, random_target
from toy_checkpoint import write_tiny

from spec_vla_ros.models.checkpoint import load_openvla
from spec_vla_ros.models.drafter import Drafter
from spec_vla_ros.models.drafter_files import load_drafter, load_drafter_beside, save_drafter
from spec_vla_ros.models.files.folders import CheckpointError
from spec_vla_ros.models.files.weight_files import fingerprint_of_weights

JSON = {
    'vocab_size': 384,
    'hidden_size': 32,
    'intermediate_size': 48,
    'num_attention_heads': 4,
    'num_key_value_heads': 2,
    'max_position_embeddings': 128,
}


@pytest.fixture(scope='module')
def target():
    return random_target(0)


def write(folder, weights, *, pickled=False, **config):
    folder.mkdir(exist_ok=True)
    (folder / 'config.json').write_text(json.dumps({**JSON, **config}))
    if pickled:
        torch.save(weights, folder / 'pytorch_model.bin')
    else:
        save_file(weights, folder / 'model.safetensors')
    return folder


@pytest.fixture
def weights():
    return {name: p.clone() for name, p in random_drafter(0).named_parameters()}


@pytest.mark.parametrize(
    'wrong',
    [
        {'num_attention_heads': 0},
        {'hidden_size': -32},
        {'rms_norm_eps': [1e-6]},
        {'draft_temperature': 0},
        {'draft_temperature': float('inf')},
        {'draft_temperature': [1]},
        {'draft_window': 0},
        {'draft_window': 2.5},
        {'draft_window': True},
        {'draft_window': 4, 'draft_position_mode': 'reference'},
        {'rope_scaling': 'dynamic'},
        {'max_position_embeddings': 4},
    ],
)
def test_numbers_that_no_drafter_has_are_refused(tmp_path, weights, target, wrong):
    with pytest.raises(CheckpointError, match=r'\w'):
        load_drafter(write(tmp_path / 'd', weights, **wrong), target, num_patches=4)


@pytest.mark.parametrize('pickled', [False, True])
@pytest.mark.parametrize('dtype', [torch.float32, torch.float16])
def test_both_formats_load(tmp_path, weights, target, pickled, dtype):
    stored = {k: v.to(dtype) for k, v in weights.items()}
    stored['embed_tokens.weight'] = target.model.embed_tokens.weight.to(dtype)
    folder = write(tmp_path / 'd', stored, pickled=pickled)
    (folder / '._model.safetensors').write_bytes(b'of macOS')
    loaded = load_drafter(folder, target, num_patches=4)
    for name, parameter in loaded.named_parameters():
        assert parameter.dtype == torch.float32
        assert torch.equal(parameter, stored[name].float())
        assert not parameter.requires_grad


def test_position_mode_comes_from_argument_then_file_then_default(tmp_path, weights, target):
    plain = write(tmp_path / 'plain', weights)
    marked = write(tmp_path / 'marked', weights, draft_position_mode='reference')
    assert load_drafter(plain, target, num_patches=4).position_mode == 'correct'
    assert load_drafter(marked, target, num_patches=4).position_mode == 'reference'
    given = load_drafter(marked, target, num_patches=4, position_mode='correct')
    assert given.position_mode == 'correct'
    with pytest.raises(CheckpointError, match="'Reference' is none of correct, reference"):
        load_drafter(plain, target, num_patches=4, position_mode='Reference')


def test_the_window_comes_from_the_file(tmp_path, weights, target):
    plain = write(tmp_path / 'plain', weights)
    narrow = write(tmp_path / 'narrow', weights, draft_window=6)
    assert load_drafter(plain, target, num_patches=4).window is None
    assert load_drafter(narrow, target, num_patches=4).window == 6
    with pytest.raises(CheckpointError, match='needs correct draft positions'):
        load_drafter(narrow, target, num_patches=4, position_mode='reference')


def test_tree_positions():
    correct, reference = (
        random_drafter(0, position_mode=mode, num_patches=16) for mode in ('correct', 'reference')
    )
    assert correct.tree_position(30, first_round=True) == 30
    assert reference.tree_position(30, first_round=True) == 0
    assert reference.tree_position(33, first_round=False) == 17


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda w: w.pop('fc.weight'), r'missing: fc\.weight'),
        (lambda w: w.update({'norm.weight': torch.ones(32)}), r'unexpected: norm\.weight'),
        (lambda w: w.update({'fc.bias': torch.ones(3)}), r'fc\.bias is \(3,\).*\(32,\)'),
        (lambda w: w.update({'embed_tokens.weight': torch.ones(384, 32)}), 'another target'),
        (lambda w: w['fc.weight'].fill_(float('nan')), r'fc\.weight in .* holds NaN'),
        (lambda w: w['fc.weight'].zero_(), r'zeros .* of fc\.weight'),
    ],
    ids=['missing', 'unexpected', 'mis-shaped', 'other target', 'no numbers', 'zeros'],
)
def test_weights_that_do_not_fit_are_named(tmp_path, weights, target, change, message):
    change(weights)
    with pytest.raises(CheckpointError, match=message):
        load_drafter(write(tmp_path / 'd', weights), target, num_patches=4)


def test_another_targets_shape_is_named(tmp_path, weights, target):
    folder = write(tmp_path / 'd', weights, hidden_size=64)
    with pytest.raises(CheckpointError, match='hidden_size is 64, the target has 32'):
        load_drafter(folder, target, num_patches=4)


@pytest.mark.parametrize(
    'config',
    [{'model_type': 'medusa', 'medusa_num_heads': 4}, {'medusa_num_heads': 4}],
)
def test_medusa_is_named_with_the_way_on(tmp_path, target, config):
    (tmp_path / 'config.json').write_text(json.dumps(config))
    (tmp_path / 'medusa_lm_head.pt').touch()
    with pytest.raises(CheckpointError, match=r'Medusa heads.*train-drafter'):
        load_drafter(tmp_path, target, num_patches=4)


@pytest.mark.parametrize('given', ['link', 'file'])
def test_a_drafter_that_is_no_folder_is_told_and_not_passed_over(tmp_path, given):
    folder = write_tiny(tmp_path / 'checkpoint')
    checkpoint, drafter = load_openvla(folder, device='cpu'), folder / 'drafter'
    assert load_drafter_beside(checkpoint) is None
    if given == 'link':
        drafter.symlink_to(tmp_path / 'not mounted')
    else:
        drafter.write_text('../drafter')  # what git makes of a link on Windows
    words = {
        'link': 'not mounted, which is not there',
        'file': 'is not a folder: a drafter',
    }
    with pytest.raises(CheckpointError, match=words[given]):
        load_drafter_beside(checkpoint)


def test_an_adapter_is_no_drafter(tmp_path, target):
    config = {'peft_type': 'LORA', 'base_model_name_or_path': 'somebody/base-7b'}
    (tmp_path / 'adapter_config.json').write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match="is a LoRA adapter of 'somebody/base-7b'"):
        load_drafter(tmp_path, target, num_patches=4)


def test_a_checkpoint_is_no_drafter(tmp_path, target):
    (tmp_path / 'config.json').write_text(json.dumps({'model_type': 'openvla'}))
    with pytest.raises(CheckpointError, match=r'is an OpenVLA checkpoint, and no drafter\. Train'):
        load_drafter(tmp_path, target, num_patches=4)


@pytest.mark.parametrize(
    ('config', 'names'),
    [
        ({'architectures': ['LlamaForCausalLMEagle3']}, ()),
        ({'draft_vocab_size': 100}, ()),
        ({}, ('d2t', 't2d')),
        ({}, ('midlayer.self_attn.q_proj.weight',)),
    ],
)
def test_eagle_3_is_named_with_the_way_on(tmp_path, weights, target, config, names):
    folder = write(tmp_path / 'd', {**weights, **{n: torch.ones(2) for n in names}}, **config)
    with pytest.raises(CheckpointError, match=r'EAGLE-3 drafter.*train-drafter.*EAGLE-1'):
        load_drafter(folder, target, num_patches=4)


def test_missing_weights(tmp_path, target):
    (tmp_path / 'config.json').write_text(json.dumps(JSON))
    with pytest.raises(CheckpointError, match=r'model\.safetensors nor pytorch_model\.bin'):
        load_drafter(tmp_path, target, num_patches=4)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda w: {f'module.{k}': v for k, v in w.items()}, r"d hold 'module\.'"),
        (lambda w: {f'_orig_mod.{k}': v for k, v in w.items()}, r'save `model\._orig_mod`'),
        (lambda w: {k: v.to(torch.int8) for k, v in w.items()}, r'in .* is stored as \S*(I|int)8'),
    ],
    ids=['parallel', 'compiled', 'quantised'],
)
def test_a_drafter_is_asked_what_its_target_is_asked(tmp_path, weights, target, change, message):
    for i, pickled in enumerate((False, True)):
        folder = write(tmp_path / f'{i}d', change(weights), pickled=pickled)
        with pytest.raises(CheckpointError, match=message):
            load_drafter(folder, target, num_patches=4)


def test_a_drafter_that_says_that_it_was_quantised_is_refused(tmp_path, weights, target):
    folder = write(tmp_path / 'd', weights, quantization_config={'quant_method': 'awq'})
    with pytest.raises(CheckpointError, match=r'd/config\.json has a quantization_config \(awq\)'):
        load_drafter(folder, target, num_patches=4)


@pytest.mark.parametrize('pickled', [False, True])
def test_what_older_releases_of_transformers_saved_too_is_not_read(
    tmp_path, weights, target, pickled
):
    saved = {**weights, 'layers.0.self_attn.rotary_emb.inv_freq': torch.ones(4)}
    loaded = load_drafter(write(tmp_path / 'd', saved, pickled=pickled), target, num_patches=4)
    assert torch.equal(loaded.fc.weight, weights['fc.weight'])


def test_its_weights_may_be_in_several_files_of_any_name(tmp_path, weights, target):
    folder = write(tmp_path / 'd', {'fc.bias': weights.pop('fc.bias')})
    save_file(weights, folder / 'more.safetensors')
    loaded = load_drafter(folder, target, num_patches=4)
    assert torch.equal(loaded.fc.weight, weights['fc.weight'])


def test_what_a_trainer_saves_is_told_as_such(tmp_path, weights, target):
    (tmp_path / 'config.json').write_text(json.dumps(JSON))
    torch.save({'state_dict': weights, 'epoch': 3}, tmp_path / 'pytorch_model.bin')
    with pytest.raises(
        CheckpointError, match=r"'state_dict', which is no weight.*state_dict\(\) a"
    ):
        load_drafter(tmp_path, target, num_patches=4)


def test_pickles_run_no_code(tmp_path, target):
    class Trap:
        def __reduce__(self):
            return (tmp_path.joinpath('sprung').touch, ())

    (tmp_path / 'config.json').write_text(json.dumps(JSON))
    (tmp_path / 'pytorch_model.bin').write_bytes(pickle.dumps({'fc.bias': Trap()}, protocol=2))
    with pytest.raises(CheckpointError, match='cannot be read as weights'):
        load_drafter(tmp_path, target, num_patches=4)
    assert not (tmp_path / 'sprung').exists()


def test_cached_steps_equal_one_pass():
    drafter = random_drafter(1)
    embeds, features = torch.randn(2, 1, 9, 32)
    whole = drafter(embeds, features, positions=torch.arange(9))
    cache = drafter.new_cache(9)
    parts = [
        drafter(embeds[:, a:b], features[:, a:b], positions=torch.arange(a, b), cache=cache)
        for a, b in [(0, 4), (4, 8), (8, 9)]
    ]
    torch.testing.assert_close(torch.cat(parts, 1), whole, atol=1e-5, rtol=0)


def test_it_can_be_trained():
    drafter = Drafter(CONFIG)
    out = drafter(*torch.randn(2, 3, 5, 32), positions=torch.arange(5))
    out.square().mean().backward()
    assert all(p.grad is not None for p in drafter.parameters())


def test_a_drafter_without_a_bias_has_one_of_zeros(tmp_path, weights, target):
    del weights['fc.bias']
    loaded = load_drafter(write(tmp_path / 'd', weights), target, num_patches=4)
    assert torch.equal(loaded.fc.bias, torch.zeros(32))
    assert torch.equal(loaded.fc.weight, weights['fc.weight'])


def test_a_drafter_of_another_fine_tune_is_told(tmp_path, caplog):
    """Fine-tunes of one base have one embedding, so that the weights do not tell."""
    checkpoint = load_openvla(write_tiny(tmp_path / 'target', fused=False), device='cpu')
    drafter = Drafter(checkpoint.config.text)
    own = fingerprint_of_weights(checkpoint.folder)
    for target, told in ((None, False), (own, False), ('0123456789ab', True)):
        caplog.clear()
        save_drafter(drafter, tmp_path / 'drafter', target=target)
        assert load_drafter_beside(checkpoint, tmp_path / 'drafter')
        assert ('was trained for other weights than those in' in caplog.text) == told


def touched(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b'of a training')
    return folder


@pytest.mark.parametrize(
    ('names', 'words'),
    [
        # accelerate, with which EAGLE trains, and DeepSpeed, with which Spec-VLA does
        (
            ('pytorch_model.bin', 'optimizer.bin'),
            'save pytorch_model.bin alone: copy there',
        ),
        (
            ('model.safetensors', 'optimizer.bin'),
            'save model.safetensors alone: copy there',
        ),
        (('zero_to_fp32.py', 'step/mp_rank_00_model_states.pt'), 'writes pytorch_model.bin; put'),
        (('config.json', 'zero_to_fp32.py', 'step/mp_rank_00_model_states.pt'), 'with DeepSpeed'),
    ],
    ids=str,
)
def test_what_a_training_saves_to_go_on_is_told_with_the_step_that_lacks(
    tmp_path, target, names, words
):
    with pytest.raises(CheckpointError, match=words):
        load_drafter(touched(tmp_path / 'd', *names), target, num_patches=4)


def test_weights_of_another_name_beside_the_script_of_deepspeed_are_read(
    tmp_path, weights, target
):
    folder = write(tmp_path / 'd', weights)
    (folder / 'model.safetensors').rename(folder / 'drafter.safetensors')
    load_drafter(touched(folder, 'zero_to_fp32.py'), target, num_patches=4)


def test_a_folder_in_place_of_the_weights_is_told(tmp_path, weights, target):
    """Newer releases of DeepSpeed make one of the name that older ones gave the file."""
    folder = write(tmp_path / 'd', weights)
    (folder / 'model.safetensors').unlink()
    touched(folder, 'pytorch_model.bin/pytorch_model.bin')
    with pytest.raises(CheckpointError, match=r'a folder \(pytorch_model.bin\): put the file it'):
        load_drafter(folder, target, num_patches=4)


@pytest.mark.parametrize(
    ('config', 'message'),
    [
        ({'model_type': 'eagle', 'model': JSON}, 'converted for vLLM'),
        ({'speculators_model_type': 'eagle'}, 'converted for vLLM'),
        ({'model_type': 'qwen2'}, "/d: model_type is 'qwen2': only 'llama'"),
    ],
    ids=str,
)
def test_a_drafter_of_other_programs_is_told_by_its_config(
    tmp_path, weights, target, config, message
):
    with pytest.raises(CheckpointError, match=message):
        load_drafter(write(tmp_path / 'd', weights, **config), target, num_patches=4)
