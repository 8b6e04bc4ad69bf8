# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Runs of the shipped policy in the simulator: camera frames, and how its drafts fared."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import torch

from spec_vla_ros.benchmark.trace import ActionTrace, WayTrace, decoding_of
from spec_vla_ros.decoding.acceptance import within_bins
from spec_vla_ros.decoding.draft_tree import DraftTree, spaced
from spec_vla_ros.decoding.drafting import TreeDrafter
from spec_vla_ros.decoding.generate import FixedCount
from spec_vla_ros.decoding.speculative import speculative_generate
from spec_vla_ros.decoding.temporal import TemporalDraft
from spec_vla_ros.evaluation.closed_loop import drive
from spec_vla_ros.models.checkpoint import OpenVLACheckpoint
from spec_vla_ros.models.drafter import Drafter
from spec_vla_ros.models.observation_encoder import ObservationEncoder
from spec_vla_ros.models.packed import PackedDrafter, PackedLlama
from spec_vla_ros.planning.costs import Costs
from spec_vla_ros.planning.plan import plan_trees
from spec_vla_ros.planning.rates import AcceptanceRates, RateTable
from spec_vla_ros.sim.environment import Environment
from spec_vla_ros.types import Observation, thresholds_by_dimension


def episodes(
    env: Environment, seeds: Iterable[int], act: Callable[[Observation], np.ndarray]
) -> Iterator[Observation]:
    """Drive the simulated arm and hand out each observation after it was acted on.

    Args:
        env: the simulator.
        seeds: one episode each; its first observation is the one with stamp 0.
        act: observation -> values of the action.
    """
    for seed in seeds:
        yield from drive(env, env.reset(seed=seed), act)


class Recorder:
    """Runs the policy in closed loop with the trees that given costs choose.

    Args:
        checkpoint: the policy.
        drafter: its drafter.
        acceptance_threshold: relaxed acceptance's, in bins.
    """

    def __init__(
        self, checkpoint: OpenVLACheckpoint, drafter: Drafter, *, acceptance_threshold: int
    ) -> None:
        self._codec = checkpoint.config.codec()
        self._encoder = ObservationEncoder(checkpoint, num_tokens=self._codec.stats.dimensions)
        self._target = PackedLlama(checkpoint.model.language_model)
        self._drafter = TreeDrafter(
            PackedDrafter(drafter), self._target, ids=self._codec.action_ids
        )
        self._acceptance_threshold, self._rates = acceptance_threshold, drafter.rates

    @torch.inference_mode()
    def record(self, way: str, costs: Costs, env: Environment, seeds: Iterable[int]) -> WayTrace:
        """Record every action of some episodes.

        Args:
            way: one of `trace.WAYS`.
            costs: what passes cost where the trace will be replayed; they choose the trees.
            env: the simulator.
            seeds: one episode each.
        """
        dimensions = self._codec.stats.dimensions
        decoding = decoding_of(way, self._acceptance_threshold)
        thresholds = thresholds_by_dimension(decoding.acceptance_threshold, dimensions)
        rates = AcceptanceRates(self._rates or RateTable.neutral(dimensions))
        still = self._codec.encode(np.zeros(dimensions))
        temporal = TemporalDraft(action_ids=self._codec.action_ids, resting_ids=still)
        plan = plan_trees(
            costs,
            num_tokens=dimensions,
            rate=rates.of_levels(thresholds),
            held=temporal.held(),
        )
        accept = within_bins(thresholds, action_ids=self._codec.action_ids)
        tree, stop = spaced(plan, thresholds), FixedCount(dimensions)
        actions: list[ActionTrace] = []

        def act(observation: Observation) -> np.ndarray:
            instruction, stamp_ns = observation.instruction, observation.stamp_ns
            if not stamp_ns:
                temporal.reset()
            draft: DraftTree | None = None
            if decoding.temporal:
                draft = temporal.draft(
                    instruction=instruction,
                    stamp_ns=stamp_ns,
                    thresholds=thresholds,
                    nodes=plan.guesses,
                )
            decoded = speculative_generate(
                self._target,
                self._drafter,
                self._encoder(observation),
                accept=accept,
                tree=tree,
                stop=stop,
                draft=draft,
            )
            temporal.record(decoded.choices.numpy(), instruction=instruction, stamp_ns=stamp_ns)
            guesses = () if draft is None else tuple(draft.parents.tolist())
            actions.append(ActionTrace(guesses, decoded.commits))
            return self._codec.decode(decoded.tokens)

        for _ in episodes(env, seeds, act):
            pass
        return WayTrace(plan.shapes, tuple(actions))
