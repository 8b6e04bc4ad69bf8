# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Checkpoints for the tests, written anew in each run.

`toy_folder('base' | 'fast')` regenerates the checkpoints that the golden numbers in `data/` were
made with, by running the published OpenVLA and Spec-VLA code: every weight follows from its key.
`write_tiny` makes a much smaller random one, with a tokenizer, for everything else.
"""

import atexit
import json
import math
import tempfile
import zlib
from functools import cache
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from spec_vla_ros.models.checkpoint import load_openvla, save_weights
from spec_vla_ros.models.drafter import Drafter
from spec_vla_ros.models.drafter_files import DRAFTER_FOLDER, save_drafter
from spec_vla_ros.models.openvla import OpenVLA, OpenVLAConfig, checkpoint_key

DATA = Path(__file__).parents[1] / 'data'
SIDE = 64
ACTION_IDS = slice(31744, 32000)
_DINOV2 = 'vit_small_patch14_reg4_dinov2.lvd142m'
_SECOND_TOWER = {'base': 'vit_base_patch16_siglip_224', 'fast': 'vit_tiny_patch16_224'}
_IMAGE_SIZES = [(256, 256), (240, 320), (224, 224), (64, 64), (480, 640), (128, 96), (200, 200)]


def make_image(seed, index):
    """A grid of random colours, enlarged, with noise: (H, W, 3) uint8."""
    rng = np.random.default_rng([seed, index])
    height, width = _IMAGE_SIZES[index % 7]
    grid = rng.integers(0, 256, (4, 5, 3), dtype=np.uint8)
    cell = np.ones((-(-height // 4), -(-width // 5), 1), np.uint8)
    noise = rng.integers(-24, 25, (height, width, 3))
    enlarged = np.kron(grid, cell)[:height, :width].astype(np.int64)
    return np.clip(enlarged + noise, 0, 255).astype(np.uint8)


@cache
def toy_folder(variant):
    """The folder of a golden checkpoint; `base` comes in two shards with an index."""
    folder = _temporary_folder()
    config = _toy_config(variant)
    _write_json(folder / 'config.json', config)
    _write_json(folder / 'preprocessor_config.json', _preprocessor_config())
    _write_json(
        folder / 'dataset_statistics.json', {'toy_suite': config['norm_stats']['toy_suite']}
    )
    with torch.device('meta'):
        model = OpenVLA(OpenVLAConfig.from_dict(config))
    shapes = {checkpoint_key(n): tuple(p.shape) for n, p in model.named_parameters()}
    vision = [k for k in shapes if k.startswith('vision_backbone.')]
    rest = [k for k in shapes if k not in vision]
    groups = [vision, rest] if variant == 'base' else [vision + rest]
    names = [f'model-{i + 1:05d}-of-{len(groups):05d}.safetensors' for i in range(len(groups))]
    for name, keys in zip(names, groups, strict=True):
        save_file({k: toy_tensor(k, shapes[k]) for k in keys}, folder / name)
    if len(groups) > 1:
        weight_map = {k: n for n, keys in zip(names, groups, strict=True) for k in keys}
        _write_json(folder / 'model.safetensors.index.json', {'weight_map': weight_map})
    return folder


@cache
def toy_checkpoint(variant):
    """A golden checkpoint, loaded in float32 on the CPU."""
    return load_openvla(toy_folder(variant), device='cpu')


def toy_tensor(key, shape):
    """The weight that a key stands for."""
    rng = np.random.default_rng(zlib.crc32(key.encode()))
    values = rng.standard_normal(shape, dtype=np.float32)
    if key == 'language_model.lm_head.weight':
        scale = np.full((shape[0], 1), 0.02, np.float32)
        scale[ACTION_IDS] = 1.0
        return torch.from_numpy(values * scale)
    mean, std = _mean_and_std(key, shape)
    values *= np.float32(std)
    if mean:
        values += np.float32(mean)
    return torch.from_numpy(values)


def _mean_and_std(key, shape):
    unit = 1.0 / math.sqrt(math.prod(shape[1:]))
    if key.endswith('scale_factor'):
        return 0.6, 0.1
    if key.endswith('bias'):
        return 0.0, 0.05
    if key.endswith(('norm.weight', 'norm1.weight', 'norm2.weight')) or 'layernorm' in key:
        return 1.0, 0.1
    if key.endswith(('pos_embed', 'cls_token', 'reg_token', 'latent')):
        return 0.0, 0.3
    if key.endswith('embed_tokens.weight'):
        return 0.0, 1.0
    if key.endswith(('q_proj.weight', 'k_proj.weight')):
        return 0.0, 2.0 * unit
    if key.endswith('attn.qkv.weight'):
        return 0.0, 1.2 * unit
    if key == 'projector.fc3.weight':
        return 0.0, 0.5 * unit
    return 0.0, unit


def _toy_config(variant):
    suite = {
        'q01': [-0.75, -0.6, -0.9, -0.11, -0.17, -0.15, 0.0],
        'q99': [0.93, 0.85, 0.94, 0.13, 0.18, 0.16, 1.0],
        'mask': [True] * 6 + [False],
    }
    other = {
        'q01': [-1.5, -0.25, -0.125, -2.0, -0.3, -0.7, -0.4],
        'q99': [1.25, 0.5, 0.375, 2.5, 0.1, 0.9, 0.8],
    }
    return {
        'model_type': 'openvla',
        'arch_specifier': 'no-align+fused-gelu-mlp',
        'use_fused_vision_backbone': True,
        'timm_model_ids': [_DINOV2, _SECOND_TOWER[variant]],
        'timm_override_act_layers': [None, None],
        'image_sizes': [SIDE, SIDE],
        'image_resize_strategy': 'resize-naive',
        'n_action_bins': 256,
        'norm_stats': {'toy_suite': {'action': suite}, 'toy_other': {'action': other}},
        'pad_to_multiple_of': 64,
        'text_config': {
            'model_type': 'llama',
            'vocab_size': 32064,
            'hidden_size': 128,
            'intermediate_size': 344,
            'num_hidden_layers': 4,
            'num_attention_heads': 4,
            'rms_norm_eps': 1e-6,
            'max_position_embeddings': 2048,
        },
        'torch_dtype': 'float32',
    }


def _preprocessor_config():
    dinov2 = {'mean': [0.484375, 0.455078125, 0.40625]}
    dinov2['std'] = [0.228515625, 0.2236328125, 0.224609375]
    siglip = {'mean': [0.5] * 3, 'std': [0.5] * 3}
    size = [SIDE, SIDE]
    return {
        'image_resize_strategy': 'resize-naive',
        'input_sizes': [[3, *size]] * 2,
        'interpolations': ['bicubic', 'bicubic'],
        'means': [[0.485, 0.456, 0.406], [0.5] * 3],
        'stds': [[0.229, 0.224, 0.225], [0.5] * 3],
        'tvf_crop_params': [{'output_size': size}] * 2,
        'tvf_do_letterbox': False,
        'tvf_letterbox_fill': None,
        'tvf_normalize_params': [dinov2, siglip],
        'tvf_resize_params': [{'interpolation': 3, 'size': size}] * 2,
    }


TINY_WORDS = ('pick', 'up', 'the', 'red', 'green', 'block')


def tiny_config(*, layers=2, hidden=32, dimensions=7, fused=True):
    """config.json of the random checkpoint: 64 text tokens, 256 actions, 64 of padding."""
    stats = {'q01': [-0.05] * dimensions, 'q99': [0.05] * dimensions}
    return {
        'model_type': 'openvla',
        'arch_specifier': 'no-align+fused-gelu-mlp' if fused else 'no-align+gelu-mlp',
        'use_fused_vision_backbone': fused,
        'timm_model_ids': ['spec_vla_vit_patch16_64'] * (2 if fused else 1),
        'timm_override_act_layers': [None] * (2 if fused else 1),
        'image_sizes': [SIDE] * (2 if fused else 1),
        'norm_stats': {'tiny': {'action': stats}},
        'pad_to_multiple_of': 64,
        'text_config': {
            'model_type': 'llama',
            'vocab_size': 384,
            'hidden_size': hidden,
            'intermediate_size': 2 * hidden,
            'num_hidden_layers': layers,
            'num_attention_heads': 4,
            'num_key_value_heads': 2,
            'max_position_embeddings': 128,
        },
        'torch_dtype': 'bfloat16',
    }


def write_tiny(
    folder, *, seed=0, dtype=torch.float32, answers='actions', words=TINY_WORDS, **shape
):
    """Write the random checkpoint into a folder, and return the folder.

    answers: 'actions', or 'words', which it says as if it had never been taught an action.
    words: of its instructions.
    """
    folder.mkdir(parents=True, exist_ok=True)
    config = tiny_config(**shape)
    towers = 2 if config['use_fused_vision_backbone'] else 1
    preprocessor = {k: v for k, v in _preprocessor_config().items() if not k.startswith('tvf')}
    for name in ('input_sizes', 'interpolations', 'means', 'stds'):
        preprocessor[name] = preprocessor[name][:towers]
    _write_json(folder / 'config.json', config)
    _write_json(folder / 'preprocessor_config.json', preprocessor)
    tiny_tokenizer(words).save(str(folder / 'tokenizer.json'))
    torch.manual_seed(seed)
    model = OpenVLA(OpenVLAConfig.from_dict(config))
    _quieten(model, range(64) if answers == 'actions' else range(64, 320))
    save_weights(model, folder / 'model.safetensors', dtype=dtype)
    return folder


def write_tiny_drafter(folder):
    """Add a random drafter to a checkpoint in a folder, and return the folder."""
    target = load_openvla(folder, device='cpu').model.language_model
    save_drafter(Drafter(target.config), folder / DRAFTER_FOLDER)
    return folder


def _quieten(model, ids):
    """Let the head give these ids scores near zero, and those of padding too: others win."""
    weight = model.language_model.lm_head.weight.data
    weight[list(ids)] *= 0.02
    weight[model.config.vocab_size :] *= 0.02


def tiny_tokenizer(words=TINY_WORDS):
    """A tokenizer of words that starts with `<s>`, and knows the "empty" piece as Llama's does."""
    fixed = ['<unk>', '<s>', '</s>', '\u2581', 'In', ':', 'What', 'action', 'should', 'robot']
    known = dict.fromkeys([*fixed, 'take', 'to', '?', 'Out', *words])
    tokenizer = Tokenizer(models.WordLevel({w: i for i, w in enumerate(known)}, unk_token='<unk>'))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single='<s> $A', special_tokens=[('<s>', 1)]
    )
    return tokenizer


def _temporary_folder():
    folder = tempfile.TemporaryDirectory(prefix='spec_vla_toy_')
    atexit.register(folder.cleanup)
    return Path(folder.name)


def _write_json(path, content):
    path.write_text(json.dumps(content))
