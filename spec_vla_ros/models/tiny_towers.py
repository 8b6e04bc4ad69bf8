# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Vision towers small enough to train from scratch on a CPU, registered with timm.

A checkpoint names its towers in `timm_model_ids`: OpenVLA's are DINOv2 and SigLIP, and the small
policies' are those below. So all are built in the same way. An image has 16 patches.
"""

from __future__ import annotations

from functools import partial
from typing import Literal

from torch import Tensor, nn

from spec_vla_ros.models.timm_import import timm

VisionTransformer = timm.models.vision_transformer.VisionTransformer
HybridEmbed = timm.layers.HybridEmbed
register_model = timm.models.register_model
to_2tuple = timm.layers.to_2tuple


_Init = Literal['', 'skip']


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


# timm also passes options for heads, which these have not, and for weights to download.
def spec_vla_conv_vit_patch16_64(
    *, img_size: int = 64, weight_init: _Init = '', **_: object
) -> nn.Module:
    """Build the tower of the tabletop's policy that localises."""
    return _conv_vit(img_size=img_size, patch_size=16, weight_init=weight_init)


def spec_vla_vit_patch16_64(
    *, img_size: int = 64, weight_init: _Init = '', **_: object
) -> nn.Module:
    """Build the plain tower of the tabletop's policy."""
    return _plain_vit(img_size=img_size, patch_size=16, weight_init=weight_init)


def spec_vla_conv_vit_patch32_128(
    *, img_size: int = 128, weight_init: _Init = '', **_: object
) -> nn.Module:
    """Build the tower of LIBERO's policies that localises."""
    return _conv_vit(img_size=img_size, patch_size=32, weight_init=weight_init)


def spec_vla_vit_patch32_128(
    *, img_size: int = 128, weight_init: _Init = '', **_: object
) -> nn.Module:
    """Build the plain tower of LIBERO's policies."""
    return _plain_vit(img_size=img_size, patch_size=32, weight_init=weight_init)


TINY_TOWERS = (
    spec_vla_conv_vit_patch16_64,
    spec_vla_vit_patch16_64,
    spec_vla_conv_vit_patch32_128,
    spec_vla_vit_patch32_128,
)


def register_tiny_towers() -> None:
    """Register the towers with timm's `create_model`; calling it again changes nothing."""
    for entry_point in TINY_TOWERS:
        if not timm.is_model(entry_point.__name__):
            register_model(entry_point)
