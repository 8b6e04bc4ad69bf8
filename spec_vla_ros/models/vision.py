# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Vision towers and projector: pixel values in, embeddings for the language model out.

OpenVLA takes the output of the second-to-last block of one or two timm vision transformers, and
concatenates the features of each patch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

if TYPE_CHECKING:
    from spec_vla_ros.models.vision_towers import VisionTransformer


class VisionBackbone(nn.Module):
    """One tower (`featurizer`), or two fused (`fused_featurizer` too).

    Args:
        timm_model_ids: one or two names of timm vision transformers.
        image_sizes: side length of each tower's square image, in pixels.
        act_layers: name of the activation to build each tower with; None for the tower's own.

    Raises:
        ValueError: timm knows no such tower, it is no vision transformer, or the towers have
            different numbers of patches.
    """

    featurizer: VisionTransformer
    fused_featurizer: VisionTransformer

    def __init__(
        self,
        timm_model_ids: Sequence[str],
        *,
        image_sizes: Sequence[int],
        act_layers: Sequence[str | None],
    ) -> None:
        # timm takes two seconds to import. Whatever is wrong with a folder is told before that.
        from spec_vla_ros.models.vision_towers import build_tower

        super().__init__()
        towers = [
            build_tower(*args)
            for args in zip(timm_model_ids, image_sizes, act_layers, strict=True)
        ]
        self.featurizer = towers[0]
        if len(towers) > 1:
            self.fused_featurizer = towers[1]
        patches = {int(tower.patch_embed.num_patches) for tower in towers}
        if len(patches) > 1:
            raise ValueError(
                f'towers {list(timm_model_ids)} see {sorted(patches)} patches of images of '
                f'{list(image_sizes)} px: they must see the same number'
            )
        self.num_patches: int = patches.pop()
        self.embed_dim = sum(int(tower.embed_dim) for tower in towers)

    @property
    def towers(self) -> list[VisionTransformer]:
        """The towers in the order of their pixel channels."""
        return [self.featurizer, *([self.fused_featurizer] if self.is_fused else [])]

    @property
    def is_fused(self) -> bool:
        """Whether there are two towers."""
        return hasattr(self, 'fused_featurizer')

    def forward(self, pixel_values: Tensor) -> Tensor:
        """Pixel values (B, 3 per tower, S, S) -> patch features (B, P, sum of tower widths)."""
        towers = self.towers
        channels = pixel_values.split(3, dim=1)
        if len(channels) != len(towers):
            raise ValueError(
                f'pixel values have {pixel_values.shape[1]} channels and the {len(towers)} '
                f'towers take {3 * len(towers)}'
            )
        features = [_features(*pair) for pair in zip(towers, channels, strict=True)]
        return torch.cat(features, dim=-1)


def _features(tower: VisionTransformer, pixel_values: Tensor) -> Tensor:
    """(B, 3, S, S) -> (B, P, D): the second-to-last block, no final norm, no prefix tokens."""
    found = tower.forward_intermediates(
        pixel_values,
        indices=[len(tower.blocks) - 2],
        stop_early=True,
        output_fmt='NLC',
        intermediates_only=True,
    )
    (features,) = cast('list[Tensor]', found)  # a list, because of intermediates_only
    return features


class Projector(nn.Module):
    """Patch features to embeddings of the language model: three layers if fused, else two."""

    def __init__(self, vision_dim: int, llm_dim: int, *, fused: bool) -> None:
        super().__init__()
        inner = 4 * vision_dim if fused else llm_dim
        self.fc1 = nn.Linear(vision_dim, inner)
        self.fc2 = nn.Linear(inner, llm_dim)
        self.fc3 = nn.Linear(llm_dim, llm_dim) if fused else None

    def forward(self, features: Tensor) -> Tensor:
        """(B, P, vision width) -> (B, P, H)."""
        x = self.fc2(F.gelu(self.fc1(features)))
        return x if self.fc3 is None else self.fc3(F.gelu(x))
