# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Decoding as CUDA graphs: a step's hundreds of kernels are recorded once and launched at once.

What is recorded are the very steps of `generate` and `speculative`, see `generate.Run`: each when
it first comes, after a rehearsal that warms up the libraries it uses. What varies from run to run
lies in tensors that stay where they are. Wherever recording fails, decoding goes on plainly, and
the log says so.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

import torch
from torch import Tensor

from spec_vla_ros.decoding.acceptance import AcceptanceRule
from spec_vla_ros.decoding.cuda.recording import (
    CudaRecorder,
    Recorder,
    Recording,
    copied,
    tensors_of,
    with_tensors,
)
from spec_vla_ros.decoding.draft_tree import DraftTree, TreeRule
from spec_vla_ros.decoding.drafting import TreeDrafter
from spec_vla_ros.decoding.generate import (
    Decoded,
    LanguageModel,
    Run,
    StopRule,
    autoregressive_generate,
)
from spec_vla_ros.decoding.kv_cache import KVCache
from spec_vla_ros.decoding.runner import Runner
from spec_vla_ros.decoding.speculative import (
    Speculation,
    check_depth,
    speculative_generate,
)

_LOG = logging.getLogger(__name__)
_NODES, _PLACES = 32, 16
"""Drafts are filled up to a multiple of so many nodes, prompts of so many places, so that few
recordings serve all."""

Result = TypeVar('Result')


class GraphRunner(Runner):
    """Decodes with recordings; see `runner.Runner`.

    Args:
        recorder: CUDA's, see `CudaRecorder`.
        limit: steps to remember; the one that was not used for longest is forgotten first.
    """

    def __init__(self, recorder: Recorder, *, limit: int = 256) -> None:
        self._recorder, self._limit = recorder, limit
        self._records = True  # until something is refused
        self._recordings: dict[Hashable, Recording] = {}  # the latest last
        self._tensors: dict[Hashable, Tensor] = {}

    @property
    def recorded(self) -> int:
        """Number of recordings."""
        return len(self._recordings)

    def fresh(self) -> GraphRunner:
        """See `runner.Runner`."""
        return GraphRunner(self._recorder, limit=self._limit)

    @torch.inference_mode()
    def autoregressive(
        self,
        target: LanguageModel,
        prompt: Tensor,
        *,
        num_tokens: int,
        cache: KVCache,
        run: Run | None = None,
    ) -> Decoded:
        """See `autoregressive_generate`."""
        prompt, padding = _padded(prompt)
        cache.pad(self._number('padding', padding, prompt))
        return autoregressive_generate(
            target, prompt, num_tokens=num_tokens, cache=cache, run=run or self.run
        )

    @torch.inference_mode()
    def speculative(
        self,
        target: LanguageModel,
        drafter: TreeDrafter,
        prompt: Tensor,
        *,
        accept: AcceptanceRule,
        tree: TreeRule,
        stop: StopRule,
        draft: DraftTree | None = None,
        cache: KVCache,
        run: Run | None = None,
    ) -> Decoded:
        """See `speculative_generate`."""
        most, padding = stop(()), None
        first = draft or DraftTree.empty()
        check_depth(first, most)
        first = _filled(first, depth=most - 1)
        if drafter.counts_from_prompt:
            prompt, padding = _padded(prompt)
        self._pad(drafter, cache, prompt, padding)
        return speculative_generate(
            target,
            drafter,
            prompt,
            accept=accept,
            tree=tree,
            stop=stop,
            draft=first,
            cache=cache,
            run=run or self.run,
        )

    def run(self, phase: str, step: Callable[..., Result], *args: Any) -> Result:
        """Run a step as a recording; see `generate.Run`. The result lasts until it runs again."""
        if not self._records:
            return step(*args)
        key = _key(step, args)
        held = [self._held((step, i), arg) for i, arg in enumerate(args)]
        try:
            recording = self._recordings.pop(key, None)
            if recording is None:
                recording = self._record(step, held)
                key = _key(step, args)  # caches may have grown
        except Exception as error:  # whatever torch or the driver has against it
            _LOG.warning('CUDA graphs are off, passes run one kernel at a time: %r', error)
            self._records = False
            self._recordings.clear()  # none runs again; memory may be what was lacking
            return step(*args)
        self._recordings[key] = recording
        while len(self._recordings) > self._limit:
            del self._recordings[next(iter(self._recordings))]
        return recording.launch()

    def _record(self, step: Callable[..., Result], args: list[Any]) -> Recording:
        """Run a step once on whatever there is, and record it."""
        caches = _caches(args)
        lengths = [cache.length for cache in caches]

        def once() -> Result:
            for cache, length in zip(caches, lengths, strict=True):
                cache.rewind(length)
            return step(*args)

        try:
            result = once()
            room = with_tensors(result, [torch.empty_like(t) for t in tensors_of(result)])
            repeat = self._recorder.record(lambda: copied(once(), into=room))
            return Recording(repeat, room, once)
        finally:
            for cache, length in zip(caches, lengths, strict=True):
                cache.rewind(length)

    def _pad(
        self, drafter: TreeDrafter, cache: KVCache, prompt: Tensor, padding: int | None
    ) -> None:
        """Keep target and drafter from attending to the padding in front of the prompt."""
        cache.pad(self._number('padding', padding, prompt))
        if padding is not None:  # of which the drafter may read less, or nothing
            padding = max(0, padding - drafter.first_place(prompt.shape[1]))
        drafter.cache.pad(self._number('padding read', padding, prompt))

    def _number(self, name: str, value: int | None, prompt: Tensor) -> Tensor | None:
        if value is None:
            return None
        like = torch.empty(1, dtype=torch.int64, device=prompt.device)
        return self._room(name, like).fill_(value)

    def _held(self, name: Hashable, arg: Any) -> Any:
        """Copy the tensors of an argument to where recordings find them."""
        if not isinstance(arg, DraftTree | Tensor):
            return arg
        rooms = [self._room((name, i), t) for i, t in enumerate(tensors_of(arg))]
        return copied(arg, into=with_tensors(arg, rooms))

    def _room(self, name: Hashable, like: Tensor) -> Tensor:
        """Return a tensor of the same form, always the same one for a name."""
        key = (name, tuple(like.shape), like.dtype)
        if key not in self._tensors:
            self._tensors[key] = torch.zeros_like(like)
        return self._tensors[key]


def runner_for(device: torch.device, *, cuda_graphs: bool = True) -> Runner:
    """Return how a device decodes, and say so in the log.

    Args:
        device: where.
        cuda_graphs: on CUDA, whether passes are recorded. Nothing is recorded elsewhere.
    """
    if device.type != 'cuda' or not cuda_graphs:
        return Runner()
    _LOG.info('CUDA graphs on %s', torch.cuda.get_device_name(device))
    return GraphRunner(CudaRecorder(device))


def _key(step: Callable[..., object], args: tuple[Any, ...]) -> Hashable:
    """Return what a recording depends on: all but the contents of tensors."""

    def key(arg: Any) -> Hashable:
        if isinstance(arg, DraftTree):
            return len(arg), arg.depth, arg.is_chain
        if isinstance(arg, Tensor):
            return tuple(arg.shape), arg.dtype
        return getattr(arg, 'key', arg)

    return step, *map(key, args)


def _caches(args: list[Any]) -> list[KVCache]:
    """Return the caches whose lengths a step may change."""
    works = [arg for arg in args if isinstance(arg, Speculation)]
    drafters = [arg for arg in args if isinstance(arg, TreeDrafter)]
    caches = [arg for arg in args if isinstance(arg, KVCache)]
    return [
        *caches,
        *(work.cache for work in works),
        *(drafter.cache for drafter in (*drafters, *(work.drafter for work in works))),
    ]


def _padded(prompt: Tensor) -> tuple[Tensor, int]:
    """Pad a prompt (1, S, H) in front to a multiple of `_PLACES`; return it and the padding."""
    padding = -prompt.shape[1] % _PLACES
    zeros = prompt.new_zeros(1, padding, prompt.shape[2])
    return torch.cat((zeros, prompt), dim=1), padding


def _filled(draft: DraftTree, *, depth: int) -> DraftTree:
    """Add leaves below the root of a draft up to a multiple of `_NODES`; say it may be so deep.

    The new tokens are id 0, which is no action: it passes only where the target chooses it.
    """
    if len(draft) == 1:
        return draft
    zeros = draft.tokens.new_zeros(-len(draft) % _NODES)
    # Behind all others, though they are of depth 1: nobody looks for an order among leaves.
    ancestors = torch.eye(len(draft) + len(zeros), dtype=torch.bool, device=zeros.device)
    ancestors[:, 0] = True
    ancestors[: len(draft), : len(draft)] = draft.ancestors
    return DraftTree(
        torch.cat((draft.tokens, zeros)),
        torch.cat((draft.parents, zeros)),
        torch.cat((draft.depths, zeros + 1)),
        ancestors,
        depth,
    )
