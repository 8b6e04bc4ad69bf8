# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Decodes one action after the other: chooses how, and keeps buffers and the recent past."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from spec_vla_ros.action_codec import ActionCodec
from spec_vla_ros.decoding.acceptance import AcceptanceRule, exact_match, within_bins
from spec_vla_ros.decoding.draft_tree import DraftTree, TreeRule, TreeShape, spaced
from spec_vla_ros.decoding.drafting import DraftModel, TreeDrafter
from spec_vla_ros.decoding.generate import (
    Decoded,
    FixedCount,
    LanguageModel,
    Run,
)
from spec_vla_ros.decoding.runner import Runner
from spec_vla_ros.decoding.temporal import MAX_NODES, TemporalDraft
from spec_vla_ros.device import PhaseTimer
from spec_vla_ros.planning.costs import measure_costs
from spec_vla_ros.planning.plan import TreePlan
from spec_vla_ros.planning.planner import Planner
from spec_vla_ros.planning.rates import AcceptanceRates, RateTable
from spec_vla_ros.types import (
    AUTOREGRESSIVE,
    RELAXED,
    DecodeStats,
    Decoding,
    thresholds_by_dimension,
)


@dataclass(frozen=True, slots=True)
class DecodedAction:
    """One decoded action, and what was in force when it was decoded.

    tokens, choices: (D,) int64 on the CPU, see `Decoded`.
    stats: as `Decoded.stats` gives them, plus acceptance thresholds, draft plan and guesses.
    """

    tokens: Tensor
    choices: Tensor
    stats: DecodeStats


class ActionDecoder:
    """Decodes actions with a target and, if there is one, its drafter.

    From action to action it keeps the KV cache, the temporal drafts and the draft plan.

    Args:
        target: the language model.
        codec: its action tokens and norm stats.
        drafter: needed by the speculative modes.
        rates: how often its drafts were accepted when it was trained; None if not measured.
        runner: how passes run; plainly by default.
        tree: how large a draft tree may grow; with None, measured costs (see `measure`) and
            observed acceptance decide, see `Planner`.
        action_scale: what 1.0 of the codec's displacements is in metres, and 1.0 of its rotations
            in radians.

    Raises:
        ValueError: the rates are for actions of another length; or see `Planner`.
    """

    def __init__(
        self,
        target: LanguageModel,
        codec: ActionCodec,
        *,
        drafter: DraftModel | None = None,
        rates: RateTable | None = None,
        tree: TreeShape | TreePlan | None = None,
        runner: Runner | None = None,
        action_scale: tuple[float, float] = (1.0, 1.0),
    ) -> None:
        self._runner, self._action_scale = runner or Runner(), action_scale
        self._target, self._codec = target, codec
        self._drafter: TreeDrafter | None = None
        if drafter is not None:
            self._drafter = TreeDrafter(drafter, target, ids=codec.action_ids)
        self._rules: dict[Hashable, AcceptanceRule] = {}
        self._spaced: dict[Hashable, tuple[TreeShape | TreePlan, TreeRule]] = {}
        self._stop = FixedCount(codec.stats.dimensions)
        rates = rates or RateTable.neutral(self._stop.count)
        if rates.dimensions != self._stop.count:
            raise ValueError(
                f'the drafter was measured on actions of {rates.dimensions} tokens, these have '
                f'{self._stop.count}'
            )
        still = codec.encode(np.zeros(codec.stats.dimensions))
        self._temporal = TemporalDraft(action_ids=codec.action_ids, resting_ids=still)
        self._planner = Planner(
            AcceptanceRates(rates),
            self._temporal.held,
            num_tokens=self._stop.count,
            given=tree,
        )
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
    ) -> DecodedAction:
        """Decode the action for a prompt.

        Args:
            prompt: (1, S, H) embeddings of image and text.
            decoding: mode, thresholds, and whether to use temporal drafts.
            instruction: the task; temporal drafts continue only within one task.
            stamp_ns: when the image was taken.
            timer: measures the milliseconds of each phase.

        Raises:
            ValueError: a speculative mode without a drafter, or acceptance thresholds that do not
                fit the actions.
        """
        run = self._runner.run if timer is None else timer.timed(self._runner.run)
        thresholds = self._thresholds_in_force(decoding)
        tree = None if decoding.mode == AUTOREGRESSIVE else self._planner.plan(thresholds)
        off = tree is not None and not _drafts_anything(tree, temporal=decoding.temporal)
        draft: DraftTree | None = None
        if tree is not None and decoding.temporal:
            draft = self._guess(
                tree, thresholds=thresholds, instruction=instruction, stamp_ns=stamp_ns
            )
        if tree is None or off:
            decoded = self._runner.autoregressive(
                self._target, prompt, num_tokens=self._stop.count, cache=self._cache, run=run
            )
        else:
            decoded = self._speculative(
                prompt, decoding.mode, tree=tree, thresholds=thresholds, draft=draft, run=run
            )
        if tree is not None:
            self._planner.observe(thresholds, decoded)
        self._temporal.record(decoded.choices.numpy(), instruction=instruction, stamp_ns=stamp_ns)
        stats = replace(
            decoded.stats(
                decoding.mode, phases_ms=None if timer is None else timer.milliseconds()
            ),
            acceptance_thresholds=thresholds if decoding.mode == RELAXED else (),
            guesses=0 if draft is None else len(draft) - 1,
            draft_plan=tree.text if isinstance(tree, TreePlan) else '',
            drafting_off=off,
        )
        return DecodedAction(decoded.tokens, decoded.choices, stats)

    def measure(self, prompt: Tensor) -> None:
        """Measure what drafts cost on this device, to plan the draft trees by it.

        Does nothing if the tree was given. prompt: (1, S, H) of typical length; its content does
        not matter.
        """
        if self._drafter is None or not self._planner.wants_costs:
            return
        runner = self._runner.fresh()
        costs = measure_costs(
            self._target, self._drafter, prompt, run=runner.run, generate=runner.speculative
        )
        self._planner.use_costs(costs)

    def tree(self, decoding: Decoding) -> TreeShape | TreePlan:
        """Return the shape or plan of draft trees that is now in force for a speculative mode."""
        return self._planner.plan(self._thresholds_in_force(decoding))

    @property
    def finite(self) -> bool:
        """Whether the target computed no NaN or infinity in the last action."""
        return self._cache.finite

    def reset(self, *, situations: bool = False) -> None:
        """Forget the motion so far, see `TemporalDraft.reset`."""
        self._temporal.reset(situations=situations)

    def _thresholds_in_force(self, decoding: Decoding) -> tuple[int, ...]:
        """Return how many bins drafts may be off in each dimension; all 0 unless relaxed."""
        count = self._stop.count
        if decoding.mode != RELAXED:
            return (0,) * count
        said = decoding.acceptance_threshold
        metres, radians = self._action_scale
        along = decoding.acceptance_tolerance_translation
        about = decoding.acceptance_tolerance_rotation
        tolerated = self._codec.bins_within(
            translation=None if along is None else along / metres,
            rotation=None if about is None else about / radians,
        )
        return tuple(
            r if bins is None else bins if isinstance(said, int) else min(r, bins)
            for r, bins in zip(thresholds_by_dimension(said, count), tolerated, strict=True)
        )

    def _guess(
        self,
        tree: TreeShape | TreePlan,
        *,
        thresholds: tuple[int, ...],
        instruction: str,
        stamp_ns: int,
    ) -> DraftTree | None:
        """Return the temporal draft, or None if there are no guesses.

        It is called even while nothing is drafted, so that it is noticed when guesses would be
        worth their time again.
        """
        most = tree.guesses if isinstance(tree, TreePlan) else MAX_NODES
        return self._temporal.draft(
            instruction=instruction, stamp_ns=stamp_ns, thresholds=thresholds, nodes=most
        )

    def _speculative(
        self,
        prompt: Tensor,
        mode: str,
        *,
        tree: TreeShape | TreePlan,
        thresholds: tuple[int, ...],
        draft: DraftTree | None,
        run: Run,
    ) -> Decoded:
        if self._drafter is None:
            raise ValueError(
                f'decoding mode {mode!r} needs a drafter: load one beside the checkpoint, or '
                "choose 'autoregressive'"
            )
        return self._runner.speculative(
            self._target,
            self._drafter,
            prompt,
            accept=self._accept(thresholds, prompt.device),
            tree=self._spaced_tree(tree, thresholds),
            stop=self._stop,
            draft=draft,
            cache=self._cache,
            run=run,
        )

    def _accept(self, thresholds: tuple[int, ...], device: torch.device) -> AcceptanceRule:
        """Return the rule for these thresholds.

        It is always the same object, since recordings of passes are looked up by it.
        """
        if thresholds not in self._rules:
            ids = self._codec.action_ids
            self._rules[thresholds] = (
                within_bins(thresholds, action_ids=ids, device=device)
                if any(thresholds)
                else exact_match()
            )
        return self._rules[thresholds]

    def _spaced_tree(self, tree: TreeShape | TreePlan, thresholds: tuple[int, ...]) -> TreeRule:
        """Return the rule of trees with spaced siblings; built anew only if the tree changed."""
        known, rule = self._spaced.get(thresholds, (None, None))
        if rule is None or known != tree:
            rule = spaced(tree, thresholds)
            self._spaced[thresholds] = tree, rule
        return rule


def _drafts_anything(tree: TreeShape | TreePlan, *, temporal: bool) -> bool:
    """Whether anything is drafted; a plan may say that no draft pays on this device."""
    return isinstance(tree, TreeShape) or any(tree.shapes) or (temporal and tree.guesses > 0)
