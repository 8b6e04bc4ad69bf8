# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Vision towers small enough to train from scratch on a CPU, registered with timm.

A checkpoint names its towers in `timm_model_ids`. OpenVLA names DINOv2 and SigLIP; the small
policy names the two below, so that both come in the same way. 64 px images give 16 patches.
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


class ConvStem(nn.Module):
    """Convolutions before the patches: a patchify stem alone learns to localise far too slowly.

    (B, 3, S, S) -> (B, num_features, S/8, S/8).
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


def spec_vla_conv_vit_patch16_64(
    *,
    pretrained: bool = False,
    num_classes: int = 0,
    img_size: int = 64,
    weight_init: Literal['', 'skip'] = '',
    **_: object,
) -> nn.Module:
    """Build the tower that localises: convolutions, then three transformer blocks and a spare.

    The spare is there because OpenVLA reads the second-to-last block. Whatever else timm passes
    concerns weights to download, of which there are none.
    """
    side = to_2tuple(img_size)[0]
    return VisionTransformer(
        img_size=side,
        patch_size=2,
        embed_dim=192,
        depth=4,
        num_heads=6,
        num_classes=num_classes,
        class_token=False,
        global_pool='avg',
        weight_init=weight_init,
        embed_layer=partial(HybridEmbed, ConvStem(), feature_size=side // 8, feature_ratio=8),
    )


def spec_vla_vit_patch16_64(
    *,
    pretrained: bool = False,
    num_classes: int = 0,
    img_size: int = 64,
    weight_init: Literal['', 'skip'] = '',
    **_: object,
) -> nn.Module:
    """Build the plain tower: patches straight into one transformer block and a spare."""
    return VisionTransformer(
        img_size=img_size,
        patch_size=16,
        embed_dim=64,
        depth=2,
        num_heads=2,
        num_classes=num_classes,
        class_token=False,
        global_pool='avg',
        weight_init=weight_init,
    )


TINY_TOWERS = (spec_vla_conv_vit_patch16_64, spec_vla_vit_patch16_64)


def register_tiny_towers() -> None:
    """Make timm's `create_model` know the towers; calling it again changes nothing."""
    for entry_point in TINY_TOWERS:
        if not timm.is_model(entry_point.__name__):
            register_model(entry_point)
