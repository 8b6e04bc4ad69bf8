# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The library in 20 lines: the shipped policy says an action, speculatively and token by token."""

import argparse
from pathlib import Path

import numpy as np
import torch

from spec_vla_ros import load_openvla
from spec_vla_ros.checkpoints import TABLETOP
from spec_vla_ros.decoding.acceptance import within_bins
from spec_vla_ros.decoding.draft_tree import TreeShape, spaced
from spec_vla_ros.decoding.drafting import TreeDrafter
from spec_vla_ros.decoding.generate import FixedCount, autoregressive_generate
from spec_vla_ros.decoding.speculative import speculative_generate
from spec_vla_ros.models.drafter_files import load_drafter_beside
from spec_vla_ros.models.openvla import multimodal_embeds
from spec_vla_ros.pixels import file_to_rgb
from spec_vla_ros.types import thresholds_by_dimension

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument('--image', type=Path, help='a picture; default: a black one')
parser.add_argument('--instruction', default='pick up the red block')
parser.add_argument('--threshold', type=int, default=15, help='bins; 0 is exact')
args = parser.parse_args()

checkpoint = load_openvla(TABLETOP, device='cpu', dtype='float32')
drafter = load_drafter_beside(checkpoint)
model, codec = checkpoint.model, checkpoint.config.codec()
picture = file_to_rgb(args.image) if args.image else np.zeros((192, 192, 3), np.uint8)
with torch.inference_mode():
    patches = model.image_embeds(checkpoint.image_processor(picture))  # (1, P, H)
    words = model.prompt_embeds(checkpoint.prompt_processor(args.instruction))  # (1, L, H)
    prompt = multimodal_embeds(words, patches)  # (1, P + L, H)

thresholds = thresholds_by_dimension(args.threshold, codec.stats.dimensions)
speculative = speculative_generate(
    model.language_model,
    TreeDrafter(drafter, model.language_model, ids=codec.action_ids),
    prompt,
    accept=within_bins(thresholds, action_ids=codec.action_ids),
    tree=spaced(TreeShape(top_k=4, depth=5, nodes=20), thresholds),
    stop=FixedCount(codec.stats.dimensions),
)
plain = autoregressive_generate(model.language_model, prompt, num_tokens=codec.stats.dimensions)
for name, decoded in (('speculative', speculative), ('autoregressive', plain)):
    print(f'{name}: {len(decoded.commits)} passes, {codec.decode(decoded.tokens).round(4)}')
