# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Builds the vision towers that a checkpoint names in `timm_model_ids`.

OpenVLA's are DINOv2 and SigLIP. Those of the small policies are defined here, small enough to
train from scratch on a CPU, and registered with timm. So all are built in the same way. An image
has 16 patches in the small ones.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn

from spec_vla_ros.models.timm_import import timm

VisionTransformer = timm.models.vision_transformer.VisionTransformer
HybridEmbed = timm.layers.HybridEmbed
register_model = timm.models.register_model
to_2tuple = timm.layers.to_2tuple

_UNSUITABLE = '{!r} (timm_model_ids in config.json) is no plain vision transformer: {}'
_Init = Literal['', 'skip']


def build_tower(timm_model_id: str, image_size: int, act_layer: str | None) -> VisionTransformer:
    """Build one tower, without weights where torch's default device is meta.

    Args:
        timm_model_id: timm's name of it.
        image_size: side length of its square image, in pixels.
        act_layer: name of its activation; None for the tower's own.

    Raises:
        ValueError: timm knows no such tower, or it is no vision transformer.
    """
    if not timm.is_model(timm_model_id):
        family = timm_model_id.partition('_patch')[0]
        close = ', '.join(timm.list_models(f'{family}*')[:5])
        raise ValueError(
            f'timm {timm.__version__} knows no vision tower {timm_model_id!r} (timm_model_ids in '
            f'config.json)' + (f'; similar ones: {close}' if close else '')
        )
    options: dict[str, Any] = {} if act_layer is None else {'act_layer': act_layer}
    if torch.empty(0).is_meta:  # weights will be loaded, so random ones would be a waste of time
        options['weight_init'] = 'skip'
    try:
        tower = timm.create_model(
            timm_model_id, pretrained=False, num_classes=0, img_size=image_size, **options
        )
    except TypeError as error:  # other architectures take other options
        raise ValueError(_UNSUITABLE.format(timm_model_id, error)) from error
    if not isinstance(tower, VisionTransformer):
        raise ValueError(_UNSUITABLE.format(timm_model_id, type(tower).__name__))
    return tower


class ConvStem(nn.Module):
    """Convolutions before the patch embedding: (B, 3, S, S) -> (B, num_features, S/8, S/8).

    Without them, a tower learns to localise far too slowly.
    """

    def __init__(self, widths: tuple[int, ...] = (32, 64, 128)) -> None:
        super().__init__()
        strides = (2,) * len(widths) + (1,)
        outputs = (*widths, widths[-1])
        layers: list[nn.Module] = []
        channels = 3
        for width, stride in zip(outputs, strides, strict=True):
            layers += [
                nn.Conv2d(channels, width, 3, stride=stride, padding=1, bias=False),
                nn.GroupNorm(8, width),
                nn.GELU(),
            ]
            channels = width
        self.layers = nn.Sequential(*layers)
        self.num_features = channels

    def forward(self, pixels: Tensor) -> Tensor:
        """Return the feature map of normalised pixels."""
        return self.layers(pixels)


def _conv_vit(
    *, img_size: int | tuple[int, int], patch_size: int, weight_init: _Init
) -> nn.Module:
    """Build a tower that localises well: convolutions, three transformer blocks, and a spare one.

    The spare block is not used, since OpenVLA takes the output of the second-to-last block.
    """
    side = to_2tuple(img_size)[0]
    stem = partial(HybridEmbed, ConvStem(), feature_size=side // 8, feature_ratio=8)
    return VisionTransformer(
        img_size=side,
        patch_size=patch_size // 8,
        embed_dim=192,
        depth=4,
        num_heads=6,
        num_classes=0,
        class_token=False,
        global_pool='avg',
        weight_init=weight_init,
        embed_layer=stem,
    )


def _plain_vit(
    *, img_size: int | tuple[int, int], patch_size: int, weight_init: _Init
) -> nn.Module:
    """Build a plain tower: patch embedding, one transformer block, and a spare one."""
    return VisionTransformer(
        img_size=img_size,
        patch_size=patch_size,
        embed_dim=64,
        depth=2,
        num_heads=2,
        num_classes=0,
        class_token=False,
        global_pool='avg',
        weight_init=weight_init,
    )


def _register(name: str, build: Callable[..., nn.Module], *, size: int, patch_size: int) -> None:
    """Have timm build a tower by this name; size: the side of its square picture, in pixels."""

    # timm also passes options for heads, which these have not, and for weights to download.
    def entry_point(*, img_size: int = size, weight_init: _Init = '', **_: object) -> nn.Module:
        return build(img_size=img_size, patch_size=patch_size, weight_init=weight_init)

    entry_point.__name__ = name
    register_model(entry_point)


for _name, _build, _size, _patch_size in (
    ('spec_vla_conv_vit_patch16_64', _conv_vit, 64, 16),  # the tabletop's policy: localises
    ('spec_vla_vit_patch16_64', _plain_vit, 64, 16),
    ('spec_vla_conv_vit_patch32_128', _conv_vit, 128, 32),  # LIBERO's policies: localises
    ('spec_vla_vit_patch32_128', _plain_vit, 128, 32),
):
    _register(_name, _build, size=_size, patch_size=_patch_size)
