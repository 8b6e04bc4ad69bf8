# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Models for fast inference: fewer and larger products, over weights laid out for them.

`models.llama` computes each operation by itself, so that checkpoints load, training works, and
numbers can be compared. After loading, it is packed here: query, key and value become one product,
gate and up another; residuals are added inside products; rotary tables are sliced. The results are
the same except for the order of summation. Batch size is 1, and there are no gradients.

Linear maps and convolutions of vision towers and projector become products with `HalfPanels`; a
convolution is a product of its weights with windows of the picture. For towers with small pictures
this is up to twice as fast, since torch rearranges the weights for each picture.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spec_vla_ros.decoding.kv_cache import KVCache
from spec_vla_ros.models.drafter import Drafter
from spec_vla_ros.models.layouts.packed_layer import (
    PackedLayer,
    PackedNorm,
    PackedRotary,
    score_bias,
)
from spec_vla_ros.models.layouts.packed_linear import HalfPanels, fits_half, pack_linear
from spec_vla_ros.models.llama import Llama

_TWICE_BYTES = 4 * 2**30
"""Weights of language models up to this size are held twice, see `packed_linear`."""


class PackedLlama:
    """A `Llama` packed for decoding; see `decoding.generate.LanguageModel`.

    The weights of `model` become views of the packed ones. So `model` still works, but its
    parameters must not be replaced.

    Args:
        model: the language model, in evaluation mode.
        twice: whether weights may be held a second time, in half precision or in blocks, which
            makes passes two to four times faster on the CPU; None allows it for up to 4 GiB.
        stored_as: 'int8' or 'int4' to store the layers' weights in so few bits. They are then
            removed from `model`, which no longer works; embedding and head stay as they are.

    Raises:
        ValueError: torchao is missing, see `quantised.quantise`.
    """

    def __init__(
        self, model: Llama, *, twice: bool | None = None, stored_as: str | None = None
    ) -> None:
        config, body = model.config, model.model
        if twice is None:
            twice = sum(p.nbytes for p in model.parameters()) <= _TWICE_BYTES
        self._embedding = body.embed_tokens.weight.detach()
        self._layers: list[PackedLayer] = []
        for layer in body.layers:
            self._layers.append(PackedLayer(layer, config, twice=twice, stored_as=stored_as))
            if self._embedding.device.type == 'cuda':
                torch.cuda.empty_cache()  # the pieces freed are too small for the next layer
        self._norm = PackedNorm(body.norm)
        self._head = pack_linear([model.lm_head], twice=twice)
        self._rotary = PackedRotary(body.rotary.cos, body.rotary.sin, self._embedding.dtype)
        self.new_cache = model.new_cache

    def embed(self, ids: Tensor) -> Tensor:
        """Token ids (...) int64 -> embeddings (..., H)."""
        return F.embedding(ids, self._embedding)

    def __call__(
        self,
        embeds: Tensor,
        *,
        positions: Tensor | range,
        mask: Tensor | None = None,
        cache: KVCache,
        outputs: int | None = None,
    ) -> Tensor:
        """Run the layers.

        Args:
            embeds: (1, S, H).
            positions: (S,) int64 or a range, the rotary position of each token.
            mask: (S, past + S) bool, True where a row may attend to a column; None for causal
                attention, also to all cached tokens.
            cache: past keys and values; the S new ones are appended to it.
            outputs: how many of the last rows to return; None for all. Of the others, only keys
                and values are computed in the last layer.

        Returns:
            Hidden states after the final norm of the last rows, (1, outputs or S, H).
        """
        rows = embeds.shape[1]
        wanted = rows if outputs is None else outputs
        x, rotary = embeds[0], self._rotary.at(positions, cache.padding)
        bias = score_bias(mask, rows, wanted, cache, x)
        for layer in self._layers[:-1]:
            x = layer(x, rotary, bias, cache, rows)
        x = self._layers[-1](x, rotary, bias, cache, wanted)
        cache.advance(rows)
        return self._norm(x)[None]

    def logits(self, hidden: Tensor, ids: slice | None = None) -> Tensor:
        """Scores of the vocabulary, or of the ids in a slice of it: (..., H) -> (..., V)."""
        flat = hidden.reshape(-1, hidden.shape[-1])
        scores = self._head(flat) if ids is None else self._head.part(flat, ids)
        return scores.view(*hidden.shape[:-1], -1)


class PackedDrafter:
    """A `Drafter` packed for decoding; see `decoding.drafting.DraftModel`.

    The weights of `model` become views of the packed ones, as with `PackedLlama`.
    """

    def __init__(self, model: Drafter) -> None:
        self._fc = pack_linear([model.fc])
        self._bias = model.fc.bias.detach()
        self._layer = PackedLayer(model.layers[0], model.config)
        self._rotary = PackedRotary(model.rotary.cos, model.rotary.sin, self._bias.dtype)
        self.window, self.new_cache = model.window, model.new_cache
        self.counts_from_prompt = model.counts_from_prompt
        self.temperature = model.temperature
        self.tree_position = model.tree_position

    def __call__(
        self,
        embeds: Tensor,
        features: Tensor,
        *,
        positions: Tensor | range,
        mask: Tensor | None = None,
        cache: KVCache,
        outputs: int | None = None,
    ) -> Tensor:
        """Predict the features of the next positions.

        Args:
            embeds: (1, S, H), embeddings of the tokens at i+1.
            features: (1, S, H), hidden states at i.
            positions: (S,) int64 or a range.
            mask: as for `PackedLlama`.
            cache: the drafter's own past keys and values.
            outputs: how many of the last rows to return; None for all.

        Returns:
            (1, outputs or S, H), predicted hidden states at i+1.
        """
        rows = embeds.shape[1]
        wanted = rows if outputs is None else outputs
        both = torch.cat((embeds[0], features[0]), dim=-1)
        x = self._fc.plus(both, self._bias)
        bias = score_bias(mask, rows, wanted, cache, x)
        x = self._layer(x, self._rotary.at(positions, cache.padding), bias, cache, wanted)
        cache.advance(rows)
        return x[None]


class PanelLinear(nn.Module):
    """Computes a linear map with `HalfPanels`.

    Weight and bias keep their names, so that the model's parameters are found as before.
    """

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.weight, self.bias = linear.weight, linear.bias
        self._times = HalfPanels(linear.weight.detach(), linear.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(..., K) -> (..., N)."""
        return self._times(x.reshape(-1, x.shape[-1])).view(*x.shape[:-1], -1)


class PanelConv(nn.Module):
    """Computes a `_plain` convolution with `HalfPanels`; weight and bias keep their names.

    In the result, the channels of a pixel are adjacent in memory, as the next convolution needs.
    """

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.weight, self.bias = conv.weight, conv.bias
        self._size, self._stride = conv.kernel_size, conv.stride
        top, left = (int(p) for p in conv.padding)
        self._padding = (0, 0, left, left, top, top)
        rows = conv.weight.detach().permute(0, 2, 3, 1).flatten(1)
        self._times = HalfPanels(rows, conv.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, N, H', W')."""
        pixels = F.pad(x.permute(0, 2, 3, 1), self._padding)
        windows = pixels.unfold(1, self._size[0], self._stride[0])
        windows = windows.unfold(2, self._size[1], self._stride[1])  # (B, H', W', C, h, w)
        rows = windows.permute(0, 1, 2, 4, 5, 3).flatten(3)
        return self._times(rows.flatten(0, 2)).view(*rows.shape[:3], -1).permute(0, 3, 1, 2)


def pack_maps(module: nn.Module) -> None:
    """Replace the linear maps and convolutions in a module whose weights are `fits_half`."""
    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is nn.Linear and _fits(child.weight):
                setattr(parent, name, PanelLinear(child))
            elif type(child) is nn.Conv2d and _plain(child) and _fits(child.weight):
                setattr(parent, name, PanelConv(child))


def _fits(weight: Tensor) -> bool:
    cpu, float32 = weight.device.type == 'cpu', weight.dtype == torch.float32
    return cpu and float32 and fits_half(weight.detach())


def _plain(conv: nn.Conv2d) -> bool:
    """Whether a convolution has one group, no dilation, and a number of zeros as padding."""
    return (
        conv.groups == 1
        and conv.dilation == (1, 1)
        and conv.padding_mode == 'zeros'
        and not isinstance(conv.padding, str)
    )
