# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Decodes one action after the other: chooses the way, keeps the buffers and the recent past."""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from spec_vla_ros.action_codec import ActionCodec
from spec_vla_ros.decoding.acceptance import (
    AcceptanceRule,
    exact_match,
    following_motion,
    within_bins,
    within_budgets,
)
from spec_vla_ros.decoding.costs import measure_costs
from spec_vla_ros.decoding.draft_tree import DraftTree, TreeRule, TreeShape, spaced
from spec_vla_ros.decoding.drafting import DraftModel, TreeDrafter
from spec_vla_ros.decoding.generate import (
    Decoded,
    FixedCount,
    LanguageModel,
    Run,
    autoregressive_generate,
)
from spec_vla_ros.decoding.plan import GUESS_RATES, HIT_RATES, TreePlan, plan_trees
from spec_vla_ros.decoding.speculative import speculative_generate
from spec_vla_ros.decoding.temporal import MAX_NODES, TemporalDraft
from spec_vla_ros.device import PhaseTimer
from spec_vla_ros.types import Decoding, thresholds_by_dimension

_LOG = logging.getLogger(__name__)

_GROUPS = range(3), range(3, 6)
"""The dimensions of an arm's action that share a budget: x, y and z; the rotations."""


class Runner:
    """How a device decodes: here as the algorithms are written; see `cuda.GraphRunner`, too."""

    def run(self, phase: str, step: Callable[..., Any], *args: Any) -> Any:
        """Run a step, see `generate.Run`."""
        return step(*args)

    def autoregressive(self, *args: Any, **options: Any) -> Decoded:
        """Do what `autoregressive_generate` does."""
        return autoregressive_generate(*args, **options)

    def speculative(self, *args: Any, **options: Any) -> Decoded:
        """Do what `speculative_generate` does."""
        return speculative_generate(*args, **options)

    def fresh(self) -> Runner:
        """Return one that decodes in the same way and remembers nothing of what this one did."""
        return Runner()


class ActionDecoder:
    """The target, its drafter if there is one, and what is kept from action to action.

    Args:
        target: the language model.
        codec: its action tokens and norm stats.
        drafter: needed by the speculative modes.
        runner: how passes run; plainly by default.
        tree: how large a draft tree may grow; None lets `measure` choose, and until then is
            the published drafters' tree.
    """

    def __init__(
        self,
        target: LanguageModel,
        codec: ActionCodec,
        *,
        drafter: DraftModel | None = None,
        tree: TreeShape | TreePlan | None = None,
        runner: Runner | None = None,
    ) -> None:
        self._runner = runner or Runner()
        self._target, self._codec = target, codec
        self._drafter: TreeDrafter | None = None
        if drafter is not None:
            self._drafter = TreeDrafter(drafter, target, ids=codec.action_ids)
        self._measures = tree is None
        self._trees: dict[str, TreeShape | TreePlan] = dict.fromkeys(
            HIT_RATES, tree or TreeShape()
        )
        self._rules: dict[Hashable, tuple[AcceptanceRule, TreeRule]] = {}
        self._stop = FixedCount(codec.stats.dimensions)
        self._still = codec.encode(np.zeros(codec.stats.dimensions))
        self._temporal = TemporalDraft(action_ids=codec.action_ids, resting_ids=self._still)
        self._cache = target.new_cache(0)

    @torch.inference_mode()
    def decode(
        self,
        prompt: Tensor,
        decoding: Decoding,
        *,
        instruction: str,
        stamp_ns: int,
        timer: PhaseTimer | None = None,
    ) -> Decoded:
        """Decode the action for a prompt.

        Args:
            prompt: (1, S, H) embeddings of image and text.
            decoding: how.
            instruction: which task this is; temporal drafts are made within one only.
            stamp_ns: when the image was taken.
            timer: counts the milliseconds of each phase.

        Raises:
            ValueError: a speculative mode without a drafter, or acceptance limits that do not fit
                the actions.
        """
        run = self._runner.run if timer is None else timer.timed(self._runner.run)
        situation: dict[str, Any] = {'instruction': instruction, 'stamp_ns': stamp_ns}
        thresholds = self._thresholds(decoding, **situation)
        if decoding.mode == 'autoregressive' or not self._speculates(decoding):
            decoded = self._runner.autoregressive(
                self._target, prompt, num_tokens=self._stop.count, cache=self._cache, run=run
            )
        else:
            decoded = self._speculative(prompt, decoding, thresholds, situation, run)
        self._temporal.record(decoded.choices.numpy(), **situation)
        return replace(decoded, thresholds=thresholds)

    def measure(self, prompt: Tensor) -> None:
        """Choose the draft tree by what it costs on this device, unless it was given.

        prompt: (1, S, H) of typical length; its content does not matter.
        """
        if self._drafter is None or not self._measures:
            return
        runner = self._runner.fresh()
        costs = measure_costs(
            self._target, self._drafter, prompt, run=runner.run, generate=runner.speculative
        )
        for mode, hit_rates in HIT_RATES.items():
            self._trees[mode] = plan_trees(
                costs,
                num_tokens=self._stop.count,
                hit_rates=hit_rates,
                guess_rates=GUESS_RATES[mode],
            )
            _LOG.info('%s decoding, by measured costs: %s', mode, self._trees[mode])
        self._rules.clear()

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

    def _thresholds(
        self, decoding: Decoding, *, instruction: str, stamp_ns: int
    ) -> tuple[int, ...]:
        """Return how many bins drafts of the next action may be off; none unless relaxed."""
        if decoding.mode != 'relaxed':
            return ()
        said, count = decoding.acceptance_threshold, self._stop.count
        tolerated = self._codec.bins_within(
            translation=decoding.acceptance_tolerance_translation,
            rotation=decoding.acceptance_tolerance_rotation,
        )
        thresholds = tuple(
            r if bins is None else bins if isinstance(said, int) else min(r, bins)
            for r, bins in zip(thresholds_by_dimension(said, count), tolerated, strict=True)
        )
        if decoding.acceptance_motion is None:
            return thresholds
        return following_motion(
            thresholds,
            self._temporal.motion(instruction=instruction, stamp_ns=stamp_ns),
            resting_ids=self._still,
            share=decoding.acceptance_motion,
        )

    def _speculative(
        self,
        prompt: Tensor,
        decoding: Decoding,
        thresholds: tuple[int, ...],
        situation: dict[str, Any],
        run: Run,
    ) -> Decoded:
        if self._drafter is None:
            raise ValueError(
                f'decoding mode {decoding.mode!r} needs a drafter: load one beside the '
                "checkpoint, or choose 'autoregressive'"
            )
        thresholds = thresholds or (0,) * self._stop.count
        draft: DraftTree | None = None
        if decoding.temporal:
            draft = self._temporal.draft(
                **situation, thresholds=thresholds, nodes=self._guesses(decoding.mode)
            )
        accept, tree = self._rules_of(decoding, thresholds, prompt.device)
        return self._runner.speculative(
            self._target,
            self._drafter,
            prompt,
            accept=accept,
            tree=tree,
            stop=self._stop,
            draft=draft,
            cache=self._cache,
            run=run,
        )

    def _rules_of(
        self, decoding: Decoding, thresholds: tuple[int, ...], device: torch.device
    ) -> tuple[AcceptanceRule, TreeRule]:
        """Return what is accepted and drafted; the same objects again, as recordings need."""
        mode, budget = decoding.mode, decoding.acceptance_budget
        key = (mode, thresholds, budget)
        if key not in self._rules:
            ids, accept = self._codec.action_ids, exact_match()
            if any(thresholds):
                accept = within_bins(thresholds, action_ids=ids, device=device)
            if any(thresholds) and budget is not None:
                budgets = dict.fromkeys(_GROUPS, budget)
                accept = within_budgets(thresholds, budgets=budgets, action_ids=ids, device=device)
            self._rules[key] = accept, spaced(self._trees[mode], thresholds)
        return self._rules[key]
