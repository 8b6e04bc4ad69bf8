# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""OpenVLA (arXiv 2406.09246): vision towers, projector, Llama, and how images enter a prompt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from spec_vla_ros.action_codec import ActionCodec
from spec_vla_ros.device import upload
from spec_vla_ros.models.files.config_checks import check_llama
from spec_vla_ros.models.llama import Llama
from spec_vla_ros.models.llama_config import LlamaConfig
from spec_vla_ros.models.prompts import DEFAULT_BACKBONE, prompt_of
from spec_vla_ros.models.vision import Projector, VisionBackbone
from spec_vla_ros.norm_stats import NormStats, keys_unasked
from spec_vla_ros.types import PRECISIONS, check_choice

_ARCHITECTURES = ('no-align+fused-gelu-mlp', 'no-align+gelu-mlp')
_KINDS: dict[str, tuple[type, str]] = {
    'timm_model_ids': (list, 'a list of names'),
    'image_sizes': (list, 'a list of pixels'),
    'text_config': (dict, 'an object'),
    'pad_to_multiple_of': (int, 'a whole number'),
}
DTYPES: dict[str, torch.dtype] = {name: getattr(torch, name) for name in PRECISIONS}


@dataclass(frozen=True, slots=True)
class OpenVLAConfig:
    """The part of an OpenVLA checkpoint's config.json that is used.

    timm_model_ids, image_sizes, act_layers: of each vision tower, its name in timm, the side of
        its square image in pixels, and its activation (None for its own).
    text: the shape of the language model.
    vocab_size: the text vocabulary without its padding, V of the action codec.
    num_bins: bins of an action dimension.
    dtype: the precision in which it was saved.
    norm_stats: as in the files, see `NormStats.select`.
    norm_stats_files: data set -> the file that its norm stats are from.
    llm_backbone_id: the language model that it was made from, one of `PROMPTS`.
    """

    timm_model_ids: tuple[str, ...]
    image_sizes: tuple[int, ...]
    act_layers: tuple[str | None, ...]
    text: LlamaConfig
    vocab_size: int
    num_bins: int = 256
    dtype: torch.dtype = torch.bfloat16
    norm_stats: Mapping[str, Any] = field(default_factory=dict)
    norm_stats_files: Mapping[str, str] = field(default_factory=dict)
    llm_backbone_id: str = DEFAULT_BACKBONE

    @classmethod
    def from_dict(cls, config: Mapping[str, Any]) -> OpenVLAConfig:
        """Read config.json.

        Raises:
            ValueError: it is not an OpenVLA's, or needs something that is not supported here.
        """
        arch = config.get('arch_specifier', _ARCHITECTURES[0])
        if arch not in _ARCHITECTURES:
            raise ValueError(
                f'arch_specifier {arch!r} is not supported: only {" and ".join(_ARCHITECTURES)}'
            )
        absent = [k for k in ('timm_model_ids', 'image_sizes', 'text_config') if k not in config]
        if absent:
            raise ValueError(f'config.json lacks {", ".join(absent)}')
        for key, (kind, words) in _KINDS.items():
            if not isinstance(config.get(key, kind()), kind):
                raise ValueError(f'{key} in config.json is {config[key]!r:.40}, expected {words}')
        backbone = config.get('llm_backbone_id') or DEFAULT_BACKBONE
        prompt_of(backbone)  # raises before anything is built
        count = 2 if _is_fused(config) else 1
        ids, sizes = config['timm_model_ids'], config['image_sizes']
        act_layers = config.get('timm_override_act_layers') or [None] * count
        if min(len(ids), len(sizes), len(act_layers)) < count:
            raise ValueError(
                f'config.json must name {count} vision tower(s): timm_model_ids {ids}, '
                f'image_sizes {sizes}, timm_override_act_layers {act_layers}'
            )
        dtype = str(config.get('torch_dtype') or config.get('dtype') or 'bfloat16')
        dtype = dtype.removeprefix('torch.').replace('float64', 'float32')  # float64 is not used
        check_choice('torch_dtype', dtype, PRECISIONS)
        text = LlamaConfig.from_dict({'vocab_size': 32064, **config['text_config']})
        check_llama(text)
        return cls(
            timm_model_ids=tuple(ids[:count]),
            image_sizes=tuple(sizes[:count]),
            act_layers=tuple(act_layers[:count]),
            text=text,
            vocab_size=text.vocab_size - config.get('pad_to_multiple_of', 64),
            num_bins=config.get('n_action_bins', 256),
            dtype=DTYPES[dtype],
            norm_stats=config.get('norm_stats') or {},
            llm_backbone_id=backbone,
        )

    @property
    def prompt(self) -> str:
        """The prompt of its language model, with `{instruction}` in place of the instruction."""
        return prompt_of(self.llm_backbone_id)

    @property
    def action_ids(self) -> range:
        """The token ids that are actions; they do not depend on the norm stats."""
        return range(self.vocab_size - self.num_bins, self.vocab_size)

    @property
    def keys_unasked(self) -> list[str]:
        """The data sets that may be chosen by default, see `norm_stats.keys_unasked`."""
        return keys_unasked(self.norm_stats, self.norm_stats_files)

    def codec(self, unnorm_key: str | None = None) -> ActionCodec:
        """Return the action codec with the norm stats of a data set (see `NormStats.select`)."""
        stats = NormStats.select(self.norm_stats, unnorm_key, files=self.norm_stats_files)
        return ActionCodec(stats, vocab_size=self.vocab_size, num_bins=self.num_bins)


class OpenVLA(nn.Module):
    """The target model; its state-dict keys are the checkpoint's, see `checkpoint_key`."""

    def __init__(self, config: OpenVLAConfig) -> None:
        super().__init__()
        self.config = config
        self.vision_backbone = VisionBackbone(
            config.timm_model_ids, image_sizes=config.image_sizes, act_layers=config.act_layers
        )
        self.projector = Projector(
            self.vision_backbone.embed_dim,
            config.text.hidden_size,
            fused=self.vision_backbone.is_fused,
        )
        self.language_model = Llama(config.text)

    @property
    def device(self) -> torch.device:
        """The device of the weights."""
        return self.language_model.lm_head.weight.device

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the weights."""
        return self.language_model.lm_head.weight.dtype

    def image_features(self, pixel_values: Tensor) -> Tensor:
        """Pixel values (B, C, S, S) -> patch features (B, P, vision width)."""
        return self.vision_backbone(pixel_values.to(self.device, self.dtype))

    def image_embeds(self, pixel_values: Tensor) -> Tensor:
        """Pixel values (B, C, S, S) -> embeddings of the patches (B, P, H)."""
        return self.projector(self.image_features(pixel_values))

    def prompt_embeds(self, prompt_ids: Tensor) -> Tensor:
        """Token ids (B, L) int64 -> embeddings (B, L, H)."""
        return self.language_model.embed(upload(prompt_ids, self.device))


def _is_fused(config: Mapping[str, Any]) -> bool:
    """Whether there are two vision towers; if config.json does not say, count their names."""
    said = config.get('use_fused_vision_backbone')
    return len(config['timm_model_ids']) > 1 if said is None else bool(said)


def multimodal_embeds(prompt_embeds: Tensor, image_embeds: Tensor) -> Tensor:
    """Insert the patches after the prompt's first token: [BOS, patches, rest of the text].

    Args:
        prompt_embeds: (B, L, H).
        image_embeds: (B, P, H).

    Returns:
        The embeddings with which the language model is prefilled, (B, L + P, H).
    """
    return torch.cat((prompt_embeds[:, :1], image_embeds, prompt_embeds[:, 1:]), dim=1)


def checkpoint_key(name: str) -> str:
    """Return the key in a checkpoint file of a parameter of `OpenVLA`.

    They differ only for LayerScale's `gamma`, which published checkpoints call `scale_factor`,
    because transformers used to rename every `gamma` while loading.
    """
    if name.startswith('vision_backbone.') and name.endswith('.gamma'):
        return name.removesuffix('gamma') + 'scale_factor'
    return name
