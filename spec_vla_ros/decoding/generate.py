# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Greedy autoregressive decoding: one pass of the target for each token.

This is the baseline that every other way of decoding is measured against, and it defines what
strict decoding must give. The module also holds what all ways of decoding share: `LanguageModel`,
`Run`, `StopRule`, `Decoded`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor

from spec_vla_ros.decoding.kv_cache import KVCache
from spec_vla_ros.types import AUTOREGRESSIVE, DecodeStats

Result = TypeVar('Result')
StopRule = Callable[[Sequence[int]], int]
"""Tokens so far -> how many more may come, an end token included; 0: it is complete."""


class Run(Protocol):
    """Runs one step of decoding: where a device can do it in its own way, as by a CUDA graph.

    A step is a function whose work depends only on its arguments, and which never reads a tensor
    back to the host. `call_step` just calls it. `PhaseTimer.timed` also measures its time.
    `cuda.graph_runner` records it once and repeats the recording whenever the arguments have the
    same form; arguments that keep state say by their property `key` what a recording depends on.

    Repeating a recording runs no Python, so it does not change the `length` of a cache as the step
    itself does. Therefore whoever runs a step sets the length afterwards.
    """

    def __call__(self, phase: str, step: Callable[..., Result], *args: Any) -> Result:
        """Return what `step(*args)` returns; phase: its name for timings, such as 'verify'."""


def call_step(phase: str, step: Callable[..., Result], *args: Any) -> Result:
    """Run a step plainly, see `Run`."""
    return step(*args)


@dataclass(frozen=True, slots=True)
class FixedCount:
    """The stop rule of actions: always the same number of tokens."""

    count: int

    def __call__(self, tokens: Sequence[int]) -> int:
        """Return how many are still missing."""
        return self.count - len(tokens)


class LanguageModel(Protocol):
    """What decoding needs of a target (see `models.llama.Llama`)."""

    def __call__(
        self,
        embeds: Tensor,
        *,
        positions: Tensor | range,
        mask: Tensor | None,
        cache: KVCache,
        outputs: int | None = None,
    ) -> Tensor:
        """Embeds (1, S, H) -> hidden states after the final norm, of the last `outputs` tokens."""

    def embed(self, ids: Tensor) -> Tensor:
        """Token ids (...) -> embeddings (..., H)."""

    def logits(self, hidden: Tensor, ids: slice | None = None) -> Tensor:
        """Hidden states (..., H) -> scores (..., V), of all ids or of a slice of them."""

    def new_cache(self, max_len: int) -> KVCache:
        """Return an empty cache with room for so many tokens."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """The tokens of one action, and how they were decoded.

    tokens: (N,) int64 on the CPU.
    choices: (N,) int64 on the CPU, what the target itself would choose in each place, given the
        tokens before it; the same as `tokens` unless the acceptance was relaxed.
    commits: how many tokens each pass of the target committed, the prefill first.
    guessed: whether the prefill verified a draft, and so was a verify round, too.
    draft_passes: number of forward passes of the drafter.
    """

    tokens: Tensor
    choices: Tensor
    commits: tuple[int, ...]
    guessed: bool = False
    draft_passes: int = 0

    @property
    def accept_lengths(self) -> tuple[int, ...]:
        """Tokens committed by each verify round, the bonus included."""
        return self.commits if self.guessed else self.commits[1:]

    def stats(self, mode: str, *, phases_ms: Mapping[str, float] | None = None) -> DecodeStats:
        """Return how it was decoded, as a dataclass that needs no torch."""
        return DecodeStats(
            mode=mode,
            target_passes=len(self.commits),
            draft_passes=self.draft_passes,
            accept_lengths=() if mode == AUTOREGRESSIVE else self.accept_lengths,
            phases_ms=phases_ms or {},
        )


def greedy(scores: Tensor) -> Tensor:
    """Scores (..., V) -> the id with the highest, (...) int64."""
    if scores.device.type == 'cpu' and scores.dtype == torch.float32:
        return torch.from_numpy(scores.numpy().argmax(-1))  # several times faster than torch's
    return scores.argmax(-1)


def prefill(
    target: LanguageModel,
    prompt: Tensor,
    cache: KVCache | None = None,
    outputs: int | None = None,
) -> tuple[Tensor, KVCache]:
    """Run the target over the prompt.

    Args:
        target: the language model.
        prompt: (1, S, H) embeddings.
        cache: a cache to use, which is emptied first; None for a new one.
        outputs: for how many of the last tokens to return hidden states; None for all S.

    Returns:
        Hidden states after the final norm (1, outputs or S, H), and the cache that holds the
        prompt.
    """
    length = prompt.shape[1]
    cache = target.new_cache(length) if cache is None else cache
    cache.rewind(0)
    hidden = target(prompt, positions=range(length), mask=None, cache=cache, outputs=outputs)
    return hidden, cache


@torch.inference_mode()
def autoregressive_generate(
    target: LanguageModel,
    prompt: Tensor,
    *,
    num_tokens: int,
    cache: KVCache | None = None,
    run: Run = call_step,
) -> Decoded:
    """Decode greedily: the first token comes from the prefill, each other from one more pass.

    Args:
        target: the language model.
        prompt: (1, S, H) embeddings of image and text.
        num_tokens: length of the action.
        cache: a cache to use; its contents are overwritten.
        run: runs each step, see `Run`.
    """
    length = prompt.shape[1]
    cache = target.new_cache(length + num_tokens) if cache is None else cache
    cache.rewind(0)
    token = run('prefill', _first_token, target, prompt, cache)
    cache.rewind(length)  # see Run
    chosen = run('decode', _further_tokens, target, token, cache, num_tokens - 1).cpu()
    return Decoded(chosen, chosen, commits=(1,) * num_tokens)


def _first_token(target: LanguageModel, prompt: Tensor, cache: KVCache) -> Tensor:
    """Run the prefill, and return the first token, (1, 1) int64."""
    hidden, _ = prefill(target, prompt, cache=cache, outputs=1)
    return greedy(target.logits(hidden))


def _further_tokens(target: LanguageModel, token: Tensor, cache: KVCache, count: int) -> Tensor:
    """Decode `count` tokens after the given one (1, 1), and return all, (1 + count,) int64."""
    tokens = [token]
    for position in range(cache.length, cache.length + count):
        here = range(position, position + 1)
        hidden = target(target.embed(token), positions=here, mask=None, cache=cache)
        token = greedy(target.logits(hidden))
        tokens.append(token)
    return torch.cat(tokens, 1)[0]
