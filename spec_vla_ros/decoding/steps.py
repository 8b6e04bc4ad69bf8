# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The passes of an action as steps that a device can record once and repeat.

A step is a function whose work depends on numbers known before it runs (lengths, sizes, limits)
and on what lies in tensors, never on reading a tensor on the host. Everything it depends on but
tensors is in its key, so that one recording stands for all later runs with the same key.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Protocol, TypeVar

import torch
from torch import Tensor

Result = TypeVar('Result')


class Steps(Protocol):
    """Runs steps; see `Eager` and `cuda_graphs.GraphSteps`."""

    def run(self, key: Hashable, step: Callable[[], Result]) -> Result:
        """Return what the step returns; with a key seen before it may be a recording that runs."""

    def hold(self, name: str, tensor: Tensor) -> Tensor:
        """Return the tensor where steps of later actions will find it again."""

    def room(self, name: str, shape: tuple[int, ...], like: Tensor) -> Tensor:
        """Return room for numbers, the same one for the same name and shape."""

    def rounded(self, nodes: int) -> int:
        """Return to how many nodes a tree of varying size is filled up, so that keys repeat."""

    def padded(self, length: int) -> int | None:
        """Return to how many tokens a prompt is padded, so that keys repeat; None: it is not."""

    @property
    def warm_runs(self) -> int:
        """How often a step runs until all later runs are as fast as they will be."""

    def fresh(self) -> Steps:
        """Return steps that run in the same way and remember nothing of these."""

    @property
    def branches(self) -> bool:
        """Whether recordings may hold branches, so that no host need know what is decided."""

    def branch(self, condition: Tensor, body: Callable[[], None]) -> None:
        """Inside a step, run something where one bool on the device is true."""

    def rehearse(self, key: Hashable, step: Callable[[], object]) -> None:
        """Record a step before what it reads is there: all its branches run, on anything."""


class Eager:
    """Runs every step as it is."""

    def run(self, key: Hashable, step: Callable[[], Result]) -> Result:
        """See `Steps`."""
        return step()

    def hold(self, name: str, tensor: Tensor) -> Tensor:
        """See `Steps`."""
        return tensor

    def room(self, name: str, shape: tuple[int, ...], like: Tensor) -> Tensor:
        """See `Steps`."""
        return torch.empty(shape, dtype=like.dtype, device=like.device)

    def rounded(self, nodes: int) -> int:
        """See `Steps`."""
        return nodes

    def padded(self, length: int) -> int | None:
        """See `Steps`."""
        return None

    @property
    def warm_runs(self) -> int:
        """See `Steps`."""
        return 1

    def fresh(self) -> Eager:
        """See `Steps`."""
        return Eager()

    @property
    def branches(self) -> bool:
        """See `Steps`."""
        return False

    def branch(self, condition: Tensor, body: Callable[[], None]) -> None:
        """See `Steps`; the host reads the condition."""
        if condition:
            body()

    def rehearse(self, key: Hashable, step: Callable[[], object]) -> None:
        """See `Steps`; nothing is recorded."""
