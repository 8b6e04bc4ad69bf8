# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""`spec-vla inspect`: what a checkpoint folder holds, without loading the weights."""

from __future__ import annotations

import argparse
from pathlib import Path

from spec_vla_ros.models.checkpoint_files import read_config
from spec_vla_ros.models.safetensors_files import find_tensors


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument('folder', type=Path, metavar='DIR')


def run(args: argparse.Namespace) -> int:
    """Print towers, language model, weight files and norm stats."""
    config = read_config(args.folder)
    tensors = find_tensors(args.folder)
    text = config.text
    for name, size in zip(config.timm_model_ids, config.image_sizes, strict=True):
        print(f'tower       {name} at {size} px')
    print(
        f'language    Llama, {text.num_hidden_layers} layers, hidden {text.hidden_size}, '
        f'{text.num_attention_heads} heads, vocabulary {text.vocab_size}'
    )
    print(f'actions     ids {config.vocab_size - config.num_bins} to {config.vocab_size - 1}')
    mebibytes = sum(t.nbytes for t in tensors.values()) / 2**20
    files = len({t.file for t in tensors.values()})
    print(f'weights     {len(tensors)} tensors, {mebibytes:.1f} MiB in {files} file(s)')
    for key in sorted(config.norm_stats):
        print(f'norm stats  {key}: {config.codec(key).stats.dimensions} dimensions')
    return 0
