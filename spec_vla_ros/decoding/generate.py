# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Greedy autoregressive decoding: one pass of the target for each token.

The baseline that every other way of decoding is measured against, and the definition of what
exact decoding must give.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Protocol

import torch
from torch import Tensor

from spec_vla_ros.decoding.kv_cache import KVCache
from spec_vla_ros.decoding.steps import Eager, Steps
from spec_vla_ros.decoding.timing import PhaseTimer
from spec_vla_ros.types import DecodeStats


class LanguageModel(Protocol):
    """What decoding needs of a target (see `models.llama.Llama`)."""

    def __call__(
        self,
        embeds: Tensor,
        *,
        positions: Tensor | range,
        mask: Tensor | None,
        cache: KVCache | None,
        outputs: int | None = None,
    ) -> Tensor:
        """Embeds (1, S, H) -> hidden states after the final norm, of the last `outputs` tokens."""

    def embed(self, ids: Tensor) -> Tensor:
        """Token ids (...) -> embeddings (..., H)."""

    def logits(self, hidden: Tensor, ids: slice | None = None) -> Tensor:
        """Hidden states (..., H) -> scores (..., V), of all ids or of a slice of them."""

    def new_cache(self, max_len: int) -> KVCache:
        """Return an empty cache with room for `max_len` tokens."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """The tokens of one action and how they came about.

    tokens: (num_tokens,) int64 on the CPU.
    choices: (num_tokens,) int64 on the CPU, the target's own choice after the tokens before; the
        same as `tokens` unless the acceptance was relaxed.
    """

    tokens: Tensor
    choices: Tensor
    stats: DecodeStats


def greedy(scores: Tensor) -> Tensor:
    """Scores (..., V) -> the id with the highest, (...) int64."""
    if scores.device.type == 'cpu' and scores.dtype == torch.float32:
        return torch.from_numpy(scores.numpy().argmax(-1))  # several times faster than torch's
    return scores.argmax(-1)


def prefill(
    target: LanguageModel,
    prompt: Tensor,
    *,
    room: int,
    cache: KVCache | None = None,
    outputs: int | None = None,
) -> tuple[Tensor, KVCache]:
    """Run the target over the prompt.

    Args:
        target: the language model.
        prompt: (1, S, H) embeddings.
        room: how many more tokens the cache must have room for.
        cache: emptied and used again if it is large enough.
        outputs: of how many of the last tokens hidden states are wanted; None for all S.

    Returns:
        Hidden states after the final norm (1, S, H), and the cache that holds the prompt.
    """
    length = prompt.shape[1]
    if cache is None or cache.max_len < length + room:
        cache = target.new_cache(length + room)
    cache.truncate(0)
    hidden = target(prompt, positions=range(length), mask=None, cache=cache, outputs=outputs)
    return hidden, cache


def padded_length(length: int, steps: Steps) -> int:
    """Return how many places a prompt of some length takes, padding included."""
    return steps.padded(length) or length


def pad_prompt(prompt: Tensor, steps: Steps) -> tuple[Tensor, Tensor | None]:
    """Pad a prompt (1, S, H) in front, as far as `steps` says, so that recorded steps repeat.

    Returns the padded prompt, and how many tokens of it are padding, (1,) int64; what caches
    hold of them must be hidden. The prompt as it is and None where steps are not recorded.
    """
    length = prompt.shape[1]
    size = steps.padded(length)
    if size is None:
        return prompt, None
    padded = torch.cat((prompt.new_zeros(1, size - length, prompt.shape[2]), prompt), dim=1)
    padding = torch.full((1,), size - length, device=prompt.device)
    return padded, steps.hold('padding', padding)


@torch.inference_mode()
def autoregressive_generate(
    target: LanguageModel,
    prompt: Tensor,
    *,
    num_tokens: int,
    cache: KVCache | None = None,
    steps: Steps | None = None,
) -> Decoded:
    """Decode greedily: the first token comes from the prefill, each other from one more pass.

    Args:
        target: the language model.
        prompt: (1, S, H) embeddings of image and text.
        num_tokens: length of the action.
        cache: used again if it is large enough; its contents are lost.
        steps: how the passes run; plainly by default.
    """
    timer, steps = PhaseTimer(prompt.device), steps or Eager()
    prompt, padding = pad_prompt(prompt, steps)
    length = prompt.shape[1]
    if cache is None or cache.max_len < length + num_tokens - 1:
        cache = target.new_cache(length + num_tokens - 1)
    cache.hide(padding)
    key = (length, num_tokens, id(cache))
    with timer.phase('prefill'):
        prompt = steps.hold('prompt', prompt)
        token = steps.run(('first', *key), partial(_first_token, target, prompt, cache))
        cache.hold(length)
    with timer.phase('decode'):
        token = steps.hold('token', token)
        others = partial(decode_plainly, target, token, cache, count=num_tokens - 1)
        chosen = steps.run(('others', *key), others).cpu()  # the only wait for the device
    return Decoded(
        chosen,
        chosen,
        DecodeStats(
            mode='autoregressive', target_passes=num_tokens, phases_ms=timer.milliseconds()
        ),
    )


def _first_token(target: LanguageModel, prompt: Tensor, cache: KVCache) -> Tensor:
    """Run the prefill: a step, see `Steps`."""
    hidden, _ = prefill(target, prompt, room=0, cache=cache, outputs=1)
    return greedy(target.logits(hidden))  # (1, 1)


def decode_plainly(target: LanguageModel, token: Tensor, cache: KVCache, *, count: int) -> Tensor:
    """Decode `count` tokens behind one (1, 1), and return all (1 + count,): a step, see `Steps`.

    The cache holds everything before the token.
    """
    tokens = [token]
    for position in range(cache.length, cache.length + count):
        here = range(position, position + 1)
        hidden = target(target.embed(token), positions=here, mask=None, cache=cache)
        token = greedy(target.logits(hidden))
        tokens.append(token)
    return torch.cat(tokens, 1)[0]
