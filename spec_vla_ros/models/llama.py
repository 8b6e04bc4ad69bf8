# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""A small Llama language model: embeddings in, hidden states out, with any mask and positions.

State-dict keys and the order of floating-point operations are those of Hugging Face's
`LlamaForCausalLM`, so that its checkpoints load as they are and give the same numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spec_vla_ros.decoding.kv_cache import KVCache
from spec_vla_ros.device import attention
from spec_vla_ros.models.llama_config import LlamaConfig


class RMSNorm(nn.Module):
    """Root-mean-square norm, computed in float32."""

    def __init__(self, size: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """Normalise the last dimension."""
        x32 = x.float()
        x32 = x32 * torch.rsqrt(x32.pow(2).mean(-1, keepdim=True) + self.eps)
        return self.weight * x32.to(x.dtype)


class RotaryTable(nn.Module):
    """Cosines and sines of every position, computed once."""

    cos: Tensor
    sin: Tensor

    def __init__(self, config: LlamaConfig) -> None:
        super().__init__()
        # The device is explicit, so that there are values even if the model is built on meta.
        exponent = torch.arange(0, config.head_dim, 2, device='cpu').float() / config.head_dim
        position = torch.arange(config.max_position_embeddings, device='cpu').float()
        angle = torch.outer(position, 1.0 / config.rope_theta**exponent)
        angle = torch.cat((angle, angle), dim=-1)  # (max_position, Dh)
        self.register_buffer('cos', angle.cos(), persistent=False)
        self.register_buffer('sin', angle.sin(), persistent=False)

    def forward(self, positions: Tensor | range, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Positions (S,) or (B, S) -> cosines and sines, each (1 or B, 1, S, Dh)."""
        if isinstance(positions, range):
            positions = torch.arange(positions.start, positions.stop, device=self.cos.device)
        positions = positions if positions.dim() == 2 else positions[None]
        cos, sin = self.cos[positions], self.sin[positions]
        return cos[:, None].to(dtype), sin[:, None].to(dtype)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Apply rotary positions to x (B, heads, S, Dh)."""
    first, second = x.chunk(2, dim=-1)
    return x * cos + torch.cat((-second, first), dim=-1) * sin


class Attention(nn.Module):
    """Grouped-query self-attention."""

    def __init__(self, config: LlamaConfig, layer: int) -> None:
        super().__init__()
        heads, kv_heads, dim = (
            config.num_attention_heads,
            config.num_key_value_heads,
            config.head_dim,
        )
        self.layer, self.head_dim, self.grouped = layer, dim, heads != kv_heads
        self.q_proj = nn.Linear(config.hidden_size, heads * dim, bias=False)
        self.k_proj = nn.Linear(config.hidden_size, kv_heads * dim, bias=False)
        self.v_proj = nn.Linear(config.hidden_size, kv_heads * dim, bias=False)
        self.o_proj = nn.Linear(heads * dim, config.hidden_size, bias=False)

    def forward(
        self,
        x: Tensor,
        rotary: tuple[Tensor, Tensor],
        mask: Tensor | None,
        cache: KVCache | None,
    ) -> Tensor:
        """x (B, S, H) -> (B, S, H); without a mask, causal over exactly these S tokens."""
        batch, length, _ = x.shape
        heads = (batch, length, -1, self.head_dim)
        q = rotate(self.q_proj(x).view(heads).transpose(1, 2), *rotary)  # (B, heads, S, Dh)
        k = rotate(self.k_proj(x).view(heads).transpose(1, 2), *rotary)
        v = self.v_proj(x).view(heads).transpose(1, 2)
        if cache is not None:
            k, v = cache.append(self.layer, k, v)
        causal = mask is None and length > 1
        y = attention(q, k, v, mask=mask, causal=causal, grouped=self.grouped)
        return self.o_proj(y.transpose(1, 2).reshape(batch, length, -1))


class MLP(nn.Module):
    """Gated SiLU feed-forward."""

    def __init__(self, config: LlamaConfig) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.up_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.down_proj = nn.Linear(config.intermediate_size, config.hidden_size, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """x (B, S, H) -> (B, S, H)."""
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class DecoderLayer(nn.Module):
    """One Llama layer; EAGLE's drafters have one without the norm of the input."""

    def __init__(self, config: LlamaConfig, layer: int, *, input_norm: bool = True) -> None:
        super().__init__()
        size, eps = config.hidden_size, config.rms_norm_eps
        self.self_attn = Attention(config, layer)
        self.mlp = MLP(config)
        self.input_layernorm = RMSNorm(size, eps) if input_norm else nn.Identity()
        self.post_attention_layernorm = RMSNorm(size, eps)

    def forward(
        self,
        x: Tensor,
        rotary: tuple[Tensor, Tensor],
        mask: Tensor | None,
        cache: KVCache | None,
    ) -> Tensor:
        """x (B, S, H) -> (B, S, H)."""
        x = x + self.self_attn(self.input_layernorm(x), rotary, mask, cache)
        return x + self.mlp(self.post_attention_layernorm(x))


class LlamaBody(nn.Module):
    """Everything except the language-model head."""

    layers: Sequence[DecoderLayer]

    def __init__(self, config: LlamaConfig) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        layers = (DecoderLayer(config, i) for i in range(config.num_hidden_layers))
        self.layers = cast('Sequence[DecoderLayer]', nn.ModuleList(layers))
        self.norm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.rotary = RotaryTable(config)

    def forward(
        self, embeds: Tensor, positions: Tensor, mask: Tensor | None, cache: KVCache | None
    ) -> Tensor:
        """Embeds (B, S, H) -> hidden states after the final norm (B, S, H)."""
        rotary = self.rotary(positions, embeds.dtype)
        x = embeds
        for layer in self.layers:
            x = layer(x, rotary, mask, cache)
        return self.norm(x)


class Llama(nn.Module):
    """The language model: `embed`, `forward` (hidden states) and `logits` of chosen rows."""

    def __init__(self, config: LlamaConfig) -> None:
        super().__init__()
        self.config = config
        self.model = LlamaBody(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)

    def embed(self, ids: Tensor) -> Tensor:
        """Token ids (...) int64 -> embeddings (..., H)."""
        return self.model.embed_tokens(ids)

    def forward(
        self,
        embeds: Tensor,
        *,
        positions: Tensor | range,
        mask: Tensor | None = None,
        cache: KVCache | None = None,
        outputs: int | None = None,
    ) -> Tensor:
        """Run the layers; differentiable without a cache.

        Args:
            embeds: (B, S, H).
            positions: (S,) or (B, S) int64, or a range: the rotary position of each token.
            mask: bool, broadcastable to (B, 1, S, T) with T = cached + S, True where a query may
                attend to a key; None for causal attention, also to all cached tokens.
            cache: past keys and values; the S new ones are appended to it.
            outputs: of how many of the last tokens to return the hidden states; None for all.

        Returns:
            Hidden states after the final norm, (B, outputs or S, H).

        Raises:
            ValueError: the cache holds padding.
        """
        length = embeds.shape[1]
        if cache is not None:
            refuse_padding(cache)
        past = cache.length if cache is not None else 0
        if mask is None and past and length > 1:
            mask = causal_mask(past, length, device=embeds.device)
        hidden = self.model(embeds, positions, mask, cache)
        if cache is not None:
            cache.advance(length)
        return hidden if outputs is None else hidden[:, -outputs:]

    def logits(self, hidden: Tensor, ids: slice | None = None) -> Tensor:
        """Scores of the vocabulary, or of the ids in a slice of it: (..., H) -> (..., V)."""
        weight = self.lm_head.weight
        return F.linear(hidden, weight if ids is None else weight[ids])

    def new_cache(self, max_len: int, *, batch: int = 1) -> KVCache:
        """Return an empty cache that fits this model, on its device and in its dtype."""
        weight = self.lm_head.weight
        return KVCache(
            layers=self.config.num_hidden_layers,
            kv_heads=self.config.num_key_value_heads,
            head_dim=self.config.head_dim,
            max_len=max_len,
            batch=batch,
            dtype=weight.dtype,
            device=weight.device,
        )


def refuse_padding(cache: KVCache) -> None:
    """Raise ValueError if a cache holds padding, since these models would attend to it."""
    if cache.padding is not None:
        raise ValueError('a prompt with padding in front of it needs a packed model')


def causal_mask(past: int, length: int, *, device: torch.device | str = 'cpu') -> Tensor:
    """Return a causal mask, (length, past + length) bool.

    Each new token attends to all past ones, and to the new ones up to itself.
    """
    full = torch.ones(length, past + length, dtype=torch.bool, device=device)
    return full.tril(diagonal=past)
