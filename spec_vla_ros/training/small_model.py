# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Makes the configuration files and the tokenizer of small policies.

They are the files of an OpenVLA checkpoint, with smaller numbers.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tokenizers import AddedToken, Regex, Tokenizer, models, pre_tokenizers, processors

from spec_vla_ros.sim.scene import COLOURS, instruction_for

TEXT_TOKENS = 64
PADDING = 64
VOCABULARY = TEXT_TOKENS + 256
"""Text tokens, then the 256 action tokens. The language model has `PADDING` more."""

_SPECIAL = ('<unk>', '<s>', '</s>', '\u2581', '<PAD>')
_PROMPT_PARTS = ('In: What action should the robot take to', '?\nOut:')


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """What a small policy is for, and what it sees.

    name: key of its norm stats.
    instructions: all that it learns; their prompts must have the same number of tokens.
    phrases: parts of instructions that are one token each; each other word is a token.
    image_size: side of the towers' image, pixels.
    towers: timm's names of the two vision towers.
    """

    name: str
    instructions: tuple[str, ...]
    phrases: tuple[str, ...] = ()
    image_size: int
    towers: tuple[str, str]


TABLETOP = Design(
    name='tabletop',
    instructions=tuple(map(instruction_for, COLOURS)),
    image_size=64,
    towers=('spec_vla_conv_vit_patch16_64', 'spec_vla_vit_patch16_64'),
)


def small_tokenizer(design: Design) -> Tokenizer:
    """Return a tokenizer for the fixed parts of the prompt and the words of the instructions.

    Like Llama's it begins a text with `<s>`, and has the "empty" piece that ends OpenVLA's
    prompts.

    Raises:
        ValueError: the instructions have too many words.
    """
    single = (_without(text, design.phrases).split() for text in design.instructions)
    words = sorted({word for text in single for word in text})
    parts = (*_PROMPT_PARTS, *design.phrases)
    vocabulary = {token: i for i, token in enumerate((*_SPECIAL, *parts, *words))}
    if len(vocabulary) > TEXT_TOKENS:
        raise ValueError(f'{len(vocabulary)} text tokens do not fit into {TEXT_TOKENS}')
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token='<unk>'))
    split = pre_tokenizers.Split(Regex(r'\s+'), behavior='removed')
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, pre_tokenizers.Punctuation()])
    tokenizer.add_tokens([AddedToken(part, normalized=False) for part in parts])
    tokenizer.add_special_tokens(list(_SPECIAL))
    tokenizer.post_processor = processors.TemplateProcessing(
        single='<s> $A', special_tokens=[('<s>', 1)]
    )
    return tokenizer


def _without(text: str, phrases: tuple[str, ...]) -> str:
    for phrase in phrases:
        text = text.replace(phrase, ' ')
    return text


def norm_stats(actions: np.ndarray, *, name: str, trajectories: int) -> dict:
    """Return OpenVLA's norm stats for actions (N, 7); the gripper is masked out.

    name: key of the norm stats.
    trajectories: number of episodes.
    """
    action = {
        'mean': actions.mean(0),
        'std': actions.std(0),
        'max': actions.max(0),
        'min': actions.min(0),
        'q01': np.quantile(actions, 0.01, axis=0),
        'q99': np.quantile(actions, 0.99, axis=0),
    }
    rounded = {key: [round(float(v), 6) for v in values] for key, values in action.items()}
    return {
        name: {
            'action': {**rounded, 'mask': [True] * 6 + [False]},
            'num_transitions': len(actions),
            'num_trajectories': trajectories,
        }
    }


def small_config(design: Design, stats: dict) -> dict:
    """Return the content of config.json, with OpenVLA's keys."""
    return {
        'architectures': ['OpenVLAForActionPrediction'],
        'model_type': 'openvla',
        'arch_specifier': 'no-align+fused-gelu-mlp',
        'vision_backbone_id': f'spec-vla-tiny-{design.image_size}px',
        'llm_backbone_id': 'spec-vla-tiny-llama',
        'use_fused_vision_backbone': True,
        'timm_model_ids': list(design.towers),
        'timm_override_act_layers': [None, None],
        'image_sizes': [design.image_size] * 2,
        'image_resize_strategy': 'resize-naive',
        'n_action_bins': 256,
        'norm_stats': stats,
        'pad_to_multiple_of': PADDING,
        'pad_token_id': 4,
        'text_config': {
            'model_type': 'llama',
            'vocab_size': VOCABULARY + PADDING,
            'hidden_size': 128,
            'intermediate_size': 384,
            'num_hidden_layers': 32,
            'num_attention_heads': 4,
            'num_key_value_heads': 4,
            'rms_norm_eps': 1e-6,
            'rope_theta': 10000.0,
            'max_position_embeddings': 256,
            'bos_token_id': 1,
            'eos_token_id': 2,
            'pad_token_id': 4,
        },
        'torch_dtype': 'bfloat16',
    }


def small_preprocessor_config(design: Design) -> dict:
    """Return the content of preprocessor_config.json: resizing as in OpenVLA, mean and std 0.5."""
    half = [0.5, 0.5, 0.5]
    size = [design.image_size] * 2
    resize = {'antialias': True, 'interpolation': 3, 'max_size': None, 'size': size}
    return {
        'image_processor_type': 'PrismaticImageProcessor',
        'processor_class': 'PrismaticProcessor',
        'image_resize_strategy': 'resize-naive',
        'input_sizes': [[3, *size]] * 2,
        'interpolations': ['bicubic', 'bicubic'],
        'means': [half, half],
        'stds': [half, half],
        'tvf_crop_params': [{'output_size': size}] * 2,
        'tvf_do_letterbox': False,
        'tvf_letterbox_fill': None,
        'tvf_normalize_params': [{'inplace': False, 'mean': half, 'std': half}] * 2,
        'tvf_resize_params': [resize] * 2,
        'use_fused_vision_backbone': True,
    }


def write_small_files(folder: Path, design: Design, stats: dict) -> None:
    """Write all files of a checkpoint but the weights.

    stats: of `norm_stats`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer_config = {
        'tokenizer_class': 'PreTrainedTokenizerFast',
        'bos_token': '<s>',
        'eos_token': '</s>',
        'unk_token': '<unk>',
        'pad_token': '<PAD>',
        'padding_side': 'right',
        'clean_up_tokenization_spaces': False,
        'model_max_length': 256,
    }
    generation = {'bos_token_id': 1, 'eos_token_id': 2, 'pad_token_id': 4}
    files = {
        'config.json': small_config(design, stats),
        'preprocessor_config.json': small_preprocessor_config(design),
        'generation_config.json': generation,
        'dataset_statistics.json': stats,
        'tokenizer_config.json': tokenizer_config,
    }
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content, indent=2) + '\n')
    small_tokenizer(design).save(str(folder / 'tokenizer.json'))
