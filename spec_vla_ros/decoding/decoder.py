# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Decodes one action after the other: chooses the way, keeps the buffers and the recent past."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from spec_vla_ros.action_codec import ActionCodec
from spec_vla_ros.decoding.acceptance import per_dimension
from spec_vla_ros.decoding.draft_tree import DraftTree, TreeShape
from spec_vla_ros.decoding.drafting import DraftModel
from spec_vla_ros.decoding.generate import (
    Decoded,
    LanguageModel,
    autoregressive_generate,
    padded_length,
)
from spec_vla_ros.decoding.kv_cache import KVCache
from spec_vla_ros.decoding.speculative import speculative_generate
from spec_vla_ros.decoding.speculative_settings import SpeculativeSettings, room_needed
from spec_vla_ros.decoding.steps import Eager, Steps
from spec_vla_ros.decoding.temporal import MAX_NODES, TemporalDraft
from spec_vla_ros.decoding.tree_costs import measure_costs
from spec_vla_ros.decoding.tree_plan import (
    GUESS_RATES,
    HIT_RATES,
    TreePlan,
    plan_trees,
)
from spec_vla_ros.types import Decoding

_LOG = logging.getLogger(__name__)


class ActionDecoder:
    """The target, its drafter if there is one, and what is kept from action to action.

    Args:
        target: the language model.
        codec: its action tokens and norm stats.
        drafter: needed by the speculative modes.
        draft_temperature: of the drafter, see `Drafter`.
        steps: how the passes run; plainly by default.
        tree: how large a draft tree may grow; None lets `measure` choose, and until then is
            the published drafters' tree.
    """

    def __init__(
        self,
        target: LanguageModel,
        codec: ActionCodec,
        *,
        drafter: DraftModel | None = None,
        draft_temperature: float = 1.0,
        tree: TreeShape | TreePlan | None = None,
        steps: Steps | None = None,
    ) -> None:
        self._steps = steps or Eager()
        self._target, self._codec, self._drafter = target, codec, drafter
        self._draft_temperature = draft_temperature
        self._measures = tree is None
        self._trees: dict[str, TreeShape | TreePlan] = dict.fromkeys(
            HIT_RATES, tree or TreeShape()
        )
        still = codec.encode(np.zeros(codec.stats.dimensions))
        self._temporal = TemporalDraft(action_ids=codec.action_ids, resting_ids=still)
        self._cache: KVCache | None = None
        self._draft_cache: KVCache | None = None

    @torch.inference_mode()
    def decode(
        self, prompt: Tensor, decoding: Decoding, *, instruction: str, stamp_ns: int
    ) -> Decoded:
        """Decode the action for a prompt.

        Args:
            prompt: (1, S, H) embeddings of image and text.
            decoding: how.
            instruction: which task this is; temporal drafts are made within one only.
            stamp_ns: when the image was taken.

        Raises:
            ValueError: a speculative mode without a drafter, or distances that do not fit.
        """
        if decoding.mode == 'autoregressive' or not self._speculates(decoding):
            decoded = self._autoregressive(prompt)
        else:
            distance = decoding.max_distance if decoding.mode == 'relaxed' else 0
            max_distance = per_dimension(distance, self._codec.stats.dimensions)
            draft = None
            if decoding.temporal:
                draft = self._temporal.draft(
                    instruction=instruction,
                    stamp_ns=stamp_ns,
                    max_distance=max_distance,
                    nodes=self._guesses(decoding.mode),
                )
            decoded = self._speculative(prompt, decoding.mode, max_distance, draft)
        self._temporal.record(decoded.choices.numpy(), instruction=instruction, stamp_ns=stamp_ns)
        return replace(decoded, stats=replace(decoded.stats, mode=decoding.mode))

    def measure(self, prompt: Tensor) -> None:
        """Choose the draft tree by what it costs on this device, unless it was given.

        prompt: (1, S, H) of typical length; its content does not matter.
        """
        if self._drafter is None or not self._measures:
            return
        costs = measure_costs(self._target, self._drafter, prompt, steps=self._steps.fresh())
        for mode, hit_rates in HIT_RATES.items():
            self._trees[mode] = plan_trees(
                costs,
                num_tokens=self._codec.stats.dimensions,
                hit_rates=hit_rates,
                guess_rates=GUESS_RATES[mode],
            )
            _LOG.info('%s decoding, by measured costs: %s', mode, self._trees[mode])

    def tree(self, mode: str) -> TreeShape | TreePlan:
        """Return how large draft trees grow in a mode now, 'strict' or 'relaxed'."""
        return self._trees[mode]

    def reset(self) -> None:
        """Forget the motion so far."""
        self._temporal.reset()

    def _speculates(self, decoding: Decoding) -> bool:
        """Whether anything is guessed at; a plan may say that no draft pays on this device."""
        tree = self._trees[decoding.mode]
        guesses = decoding.temporal and self._guesses(decoding.mode)
        return bool(guesses) or isinstance(tree, TreeShape) or any(tree.shapes)

    def _guesses(self, mode: str) -> int:
        """How many guesses are verified inside the prefill at most."""
        tree = self._trees[mode]
        return tree.guesses if isinstance(tree, TreePlan) else MAX_NODES

    def _autoregressive(self, prompt: Tensor) -> Decoded:
        dimensions = self._codec.stats.dimensions
        length = padded_length(prompt.shape[1], self._steps)
        self._cache = _at_least(self._cache, self._target, length + dimensions)
        return autoregressive_generate(
            self._target,
            prompt,
            num_tokens=dimensions,
            cache=self._cache,
            steps=self._steps,
        )

    def _speculative(
        self, prompt: Tensor, mode: str, max_distance: tuple[int, ...], draft: DraftTree | None
    ) -> Decoded:
        if self._drafter is None:
            raise ValueError(
                f'decoding mode {mode!r} needs a drafter: load one beside the checkpoint, or '
                "choose 'autoregressive'"
            )
        settings = SpeculativeSettings(
            max_distance=max_distance,
            action_ids=self._codec.action_ids,
            shape=self._trees[mode],
            draft_temperature=self._draft_temperature,
        )
        guessed = self._steps.rounded(1 + MAX_NODES)
        length = padded_length(prompt.shape[1], self._steps)
        room = room_needed(length, settings, guessed=guessed)
        self._cache = _at_least(self._cache, self._target, room)
        self._draft_cache = _at_least(self._draft_cache, self._drafter, room)
        return speculative_generate(
            self._target,
            self._drafter,
            prompt,
            settings=settings,
            draft=draft,
            cache=self._cache,
            draft_cache=self._draft_cache,
            steps=self._steps,
        )


def _at_least(cache: KVCache | None, model: LanguageModel | DraftModel, room: int) -> KVCache:
    return model.new_cache(room) if cache is None or cache.max_len < room else cache
