# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The passes that decode one action: each is a step (see `Steps`), in whatever order they run."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

from torch import Tensor

from spec_vla_ros.decoding.acceptance import AcceptanceRule
from spec_vla_ros.decoding.draft_tree import DraftTree, TreeShape
from spec_vla_ros.decoding.drafting import Drafting
from spec_vla_ros.decoding.generate import LanguageModel, decode_plainly
from spec_vla_ros.decoding.kv_cache import KVCache
from spec_vla_ros.decoding.speculative_settings import SpeculativeSettings
from spec_vla_ros.decoding.verifying import DraftInput, Judged, judge_draft


@dataclass(frozen=True, slots=True)
class Passes:
    """Target and drafter at work on one action.

    target: the language model.
    drafting: the drafter.
    settings: acceptance and trees.
    accept: the acceptance rule of the settings, on the device.
    cache: the target's.
    draft_cache: the drafter's.
    told: what the target tells the drafter; None where nothing will be drafted.
    length: places of the prompt, padding included.
    """

    target: LanguageModel
    drafting: Drafting
    settings: SpeculativeSettings
    accept: AcceptanceRule
    cache: KVCache
    draft_cache: KVCache
    told: DraftInput | None
    length: int

    @property
    def num_tokens(self) -> int:
        """Tokens of the whole action."""
        return len(self.settings.max_distance)

    @property
    def key(self) -> tuple[Hashable, ...]:
        """What recordings of these passes depend on, tensors that stay where they are aside."""
        return self.settings, self.length, id(self.cache), id(self.draft_cache)

    def judge(self, context: Tensor, tree: DraftTree, *, decided: int) -> Judged:
        """Verify a draft behind `decided` tokens, accept its longest path, and commit it.

        Args:
            context: (1, C, H) embeddings not yet in the cache; the last is the tree's root.
            tree: the draft.
            decided: tokens of the action before this pass.
        """
        return judge_draft(
            self.target,
            context,
            tree,
            self.cache,
            accept=self.accept,
            decided=decided,
            num_tokens=self.num_tokens,
            told=self.told,
        )

    def propose(
        self, root: Tensor, shape: TreeShape, *, decided: int, known: int
    ) -> tuple[DraftTree, int]:
        """Draft a tree behind `decided` tokens; returns it and the entries the drafter then holds.

        Args:
            root: (1,) the last decided token.
            shape: how large the tree may grow.
            decided: tokens of the action so far.
            known: the place of the sequence up to which the drafter has read.
        """
        rows = slice(known, self.length + decided - 1)
        tree = self.drafting.propose(
            self.told.embeds[:, rows],
            self.told.features[:, rows],
            root,
            shape=shape,
            spacing=self.settings.max_distance[decided:],
        )
        return tree, self.draft_cache.length

    def finish(self, root: Tensor, *, decided: int) -> Tensor:
        """Decode what is left behind `decided` tokens plainly: (num_tokens - decided,)."""
        left = self.num_tokens - decided
        return decode_plainly(self.target, root[None], self.cache, count=left)[1:]

    def read_prompt(self) -> None:
        """Let the drafter read the prompt up to the place that the first token follows."""
        self.draft_cache.hold(0)
        rows = slice(self.told.first, self.length - 1)
        if rows.stop > rows.start:
            self.drafting.read(self.told.embeds[:, rows], self.told.features[:, rows])

    def propose_anew(self, root: Tensor, shape: TreeShape, *, decided: int) -> DraftTree:
        """As `propose`, with all tokens read again: it is the same work whatever came before."""
        self.draft_cache.hold(self.length - 1 - self.told.first)
        return self.propose(root, shape, decided=decided, known=self.length - 1)[0]
