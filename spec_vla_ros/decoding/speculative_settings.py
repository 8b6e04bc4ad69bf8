# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""How to speculate: what is accepted, and how large draft trees grow."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import torch

from spec_vla_ros.decoding.acceptance import (
    AcceptanceRule,
    exact_match,
    on_host,
    within_bins,
)
from spec_vla_ros.decoding.draft_tree import TreeShape


class TreeSizes(Protocol):
    """How large draft trees are: a `TreeShape`, or a `TreePlan` by the number of tokens left."""

    def for_remaining(self, left: int) -> TreeShape | None:
        """Return the tree to draft with `left` tokens to go, or None for a plain pass."""

    @property
    def largest(self) -> TreeShape:
        """A shape that no tree exceeds in any way."""


@dataclass(frozen=True, slots=True)
class SpeculativeSettings:
    """How to speculate.

    max_distance: for each action dimension, how many bins a draft may be off (0: exact).
    action_ids: the token ids that are actions.
    shape: how large a draft tree may grow: always the same, or by a plan.
    draft_all_ids: draft from the whole vocabulary instead of the actions only.
    draft_temperature: what the drafter's scores are divided by before they are taken as
        probabilities (see `Drafter`).
    """

    max_distance: tuple[int, ...]
    action_ids: range
    shape: TreeSizes = field(default_factory=TreeShape)
    draft_all_ids: bool = False
    draft_temperature: float = 1.0

    def rule(self, device: torch.device) -> AcceptanceRule:
        """Return the acceptance rule."""
        if not any(self.max_distance):
            return exact_match()
        return within_bins(
            self.max_distance,
            action_ids=self.action_ids,
            device=None if on_host(device) else device,
        )

    def drafts(self, left: int) -> bool:
        """Whether anything will be drafted with `left` tokens to go; if not, passes are plain."""
        return any(self.shape.for_remaining(n) for n in range(left, 0, -1))

    @property
    def draft_ids(self) -> slice | None:
        """The ids to draft from."""
        return None if self.draft_all_ids else slice(self.action_ids.start, self.action_ids.stop)


def room_needed(prompt_length: int, settings: SpeculativeSettings, *, guessed: int) -> int:
    """How many entries a cache needs: what is decided, and the largest tree behind it.

    guessed: nodes of the tree verified inside the prefill.
    """
    largest = settings.shape.largest
    drafted = max(largest.nodes, largest.top_k * largest.depth)
    return prompt_length + len(settings.max_distance) + max(drafted, guessed)
