# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Decoding as CUDA graphs: a step's hundreds of kernels are recorded once and launched as one.

The steps of `generate` and `speculative` are recorded as they are, see `generate.Run`. Each is
recorded when it first occurs, after a rehearsal that warms up the libraries it uses. Whatever
varies from run to run is copied into tensors that always stay at the same place in memory. If
recording fails, decoding goes on without graphs, and the log says so.
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
    copy_tensors,
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
_NODE_MULTIPLE, _PLACE_MULTIPLE = 32, 16
"""Drafts are filled up to a multiple of so many nodes, and prompts padded to a multiple of so many
places, so that a few recordings serve for all."""

Result = TypeVar('Result')


class GraphRunner(Runner):
    """Decodes by repeating recordings; see `runner.Runner`.

    Args:
        recorder: makes the recordings, see `CudaRecorder`.
        limit: how many recordings to keep; the least recently used one is dropped first.
    """

    def __init__(self, recorder: Recorder, *, limit: int = 256) -> None:
        self._recorder, self._limit = recorder, limit
        self._records = True  # until a recording fails
        self._recordings: dict[Hashable, Recording] = {}  # the most recently used last
        self._buffers: dict[Hashable, Tensor] = {}

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
        cache.pad(self._number_on_device('padding', padding, prompt.device))
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
        """Run a step as a recording; see `generate.Run`.

        The result is valid until the step runs again.
        """
        if not self._records:
            return step(*args)
        key = _key(step, args)
        in_place = [self._in_place((step, i), arg) for i, arg in enumerate(args)]
        try:
            recording = self._recordings.pop(key, None)
            if recording is None:
                recording = self._record(step, in_place)
                key = _key(step, args)  # caches may have grown
        except Exception as error:  # whatever torch or the driver raises
            _LOG.warning('CUDA graphs are off, passes run one kernel at a time: %r', error)
            self._records = False
            self._recordings.clear()  # none is used again, and memory may be what was lacking
            return step(*args)
        self._recordings[key] = recording
        while len(self._recordings) > self._limit:
            del self._recordings[next(iter(self._recordings))]
        return recording.launch()

    def _record(self, step: Callable[..., Result], args: list[Any]) -> Recording:
        """Rehearse a step by running it once, and record it."""
        caches = _caches(args)
        lengths = [cache.length for cache in caches]

        def once() -> Result:
            for cache, length in zip(caches, lengths, strict=True):
                cache.rewind(length)
            return step(*args)

        try:
            rehearsed = once()
            result = with_tensors(rehearsed, [torch.empty_like(t) for t in tensors_of(rehearsed)])
            repeat = self._recorder.record(lambda: copy_tensors(once(), into=result))
            return Recording(repeat, result, once)
        finally:
            for cache, length in zip(caches, lengths, strict=True):
                cache.rewind(length)

    def _pad(
        self, drafter: TreeDrafter, cache: KVCache, prompt: Tensor, padding: int | None
    ) -> None:
        """Keep target and drafter from attending to the padding in front of the prompt."""
        cache.pad(self._number_on_device('padding', padding, prompt.device))
        if padding is not None:  # the drafter may read only a part of the padding, or nothing
            padding = max(0, padding - drafter.first_place(prompt.shape[1]))
        drafter.cache.pad(self._number_on_device('padding read', padding, prompt.device))

    def _number_on_device(
        self, name: str, value: int | None, device: torch.device
    ) -> Tensor | None:
        """Write a number into the buffer of this name, (1,) int64; None stays None."""
        if value is None:
            return None
        like = torch.empty(1, dtype=torch.int64, device=device)
        return self._buffer(name, like).fill_(value)

    def _in_place(self, name: Hashable, arg: Any) -> Any:
        """Copy the tensors in an argument into the buffers that recordings read."""
        if not isinstance(arg, DraftTree | Tensor):
            return arg
        buffers = [self._buffer((name, i), t) for i, t in enumerate(tensors_of(arg))]
        return copy_tensors(arg, into=with_tensors(arg, buffers))

    def _buffer(self, name: Hashable, like: Tensor) -> Tensor:
        """Return the tensor of this name, shape and type; always the same one."""
        key = (name, tuple(like.shape), like.dtype)
        if key not in self._buffers:
            self._buffers[key] = torch.zeros_like(like)
        return self._buffers[key]


def runner_for(device: torch.device, *, cuda_graphs: bool = True) -> Runner:
    """Return the runner for a device; the log says if it uses CUDA graphs.

    Args:
        device: where the models are.
        cuda_graphs: whether to record passes on CUDA; on other devices nothing is recorded.
    """
    if device.type != 'cuda' or not cuda_graphs:
        return Runner()
    _LOG.info('CUDA graphs on %s', torch.cuda.get_device_name(device))
    return GraphRunner(CudaRecorder(device))


def _key(step: Callable[..., object], args: tuple[Any, ...]) -> Hashable:
    """Return what a recording depends on: everything but the contents of tensors."""

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
    """Pad a prompt (1, S, H) in front; return it, and how many places were added."""
    padding = -prompt.shape[1] % _PLACE_MULTIPLE
    zeros = prompt.new_zeros(1, padding, prompt.shape[2])
    return torch.cat((zeros, prompt), dim=1), padding


def _filled(draft: DraftTree, *, depth: int) -> DraftTree:
    """Fill a draft up to a multiple of `_NODE_MULTIPLE` nodes, and set the bound of its depth.

    The nodes added are leaves below the root, with id 0. That is no action, so they are accepted
    only if the target itself chooses it.
    """
    if len(draft) == 1:
        return draft
    zeros = draft.tokens.new_zeros(-len(draft) % _NODE_MULTIPLE)
    # The leaves come last, although their depth is 1: only parents must precede their children.
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
