# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Records which drafts of the shipped policy are accepted, with the draft trees of every case.

The benchmark's cases have other costs than the shipped policy, so they draft other trees.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date

import numpy as np
import torch

from spec_vla_ros.benchmark.random_case import CUDA_ONLY, RANDOM_CASES, RandomModel
from spec_vla_ros.benchmark.report import machine
from spec_vla_ros.benchmark.trace import (
    RECORDED,
    WAYS,
    ActionTrace,
    Trace,
    WayTrace,
    decoding_of,
    kept_cases,
    load_trace,
    save_trace,
)
from spec_vla_ros.checkpoints import TABLETOP
from spec_vla_ros.decoding.acceptance import within_bins
from spec_vla_ros.decoding.cuda.graph_runner import runner_for
from spec_vla_ros.decoding.draft_tree import DraftTree, spaced
from spec_vla_ros.decoding.drafting import TreeDrafter
from spec_vla_ros.decoding.generate import FixedCount
from spec_vla_ros.decoding.speculative import speculative_generate
from spec_vla_ros.decoding.temporal import TemporalDraft
from spec_vla_ros.evaluation.closed_loop import episodes
from spec_vla_ros.models.checkpoint import OpenVLACheckpoint, load_openvla
from spec_vla_ros.models.drafter import Drafter
from spec_vla_ros.models.drafter_files import load_drafter_beside
from spec_vla_ros.models.layouts.packed import PackedDrafter, PackedLlama
from spec_vla_ros.models.observation_encoder import ObservationEncoder
from spec_vla_ros.planning.costs import Costs, measure_costs
from spec_vla_ros.planning.plan import plan_trees
from spec_vla_ros.planning.rates import WIDTHS, AcceptanceRates, RateTable
from spec_vla_ros.sim.env import TabletopEnv
from spec_vla_ros.sim.environment import Environment
from spec_vla_ros.types import Observation, thresholds_by_dimension

TRACE_SEEDS = range(9_040_000, 9_040_020)
"""Episodes that neither training nor evaluation uses."""

FLAT_COSTS = Costs(
    verify={1: 1.0, 50: 1.1},
    draft=dict.fromkeys(WIDTHS, (0.06, 0.06)),
    draft_prefill=0.1,
)
"""Assumed costs, in units of a pass over one token, if only reading the weights takes time. They
serve to record the trace of the CUDA case without a CUDA device."""


def record_trace(
    names: Sequence[str], *, device: torch.device, acceptance_threshold: int, threads: int
) -> None:
    """Record the traces of some cases into the package's trace.json.

    The draft trees of a case are planned by the costs of its model. The traces of other cases are
    kept, see `kept_cases`.

    Args:
        names: cases of `RANDOM_CASES`.
        device: where costs are measured; the policy runs on the CPU.
        acceptance_threshold: of relaxed decoding, in bins.
        threads: of the CPU; noted in the trace.

    Raises:
        ValueError: the shipped policy has no drafter, or other cases cannot be kept.
    """
    checkpoint = load_openvla(TABLETOP, device='cpu')
    drafter = load_drafter_beside(checkpoint)
    if drafter is None:
        raise ValueError(f'{TABLETOP} has no drafter to record')
    before = load_trace() if RECORDED.exists() else Trace({}, {}, drafter.window)
    ways = kept_cases(
        before, names, acceptance_threshold=acceptance_threshold, draft_window=drafter.window
    )
    machines = {name: before.machines[name] for name in ways}
    today = date.today().isoformat()
    env = TabletopEnv(image_size=192)
    recorder = TraceRecorder(checkpoint, drafter, acceptance_threshold=acceptance_threshold)
    dtype = torch.float32 if device.type == 'cpu' else torch.bfloat16
    try:
        for name in names:
            machines[name] = f'{machine(device, threads)}, {today}'
            if name == CUDA_ONLY and device.type == 'cpu':
                costs, machines[name] = FLAT_COSTS, f'nowhere: assumed costs, {today}'
            else:
                model = RandomModel(
                    RANDOM_CASES[name], device=device, dtype=dtype, draft_window=drafter.window
                )
                runner = runner_for(device)
                costs = measure_costs(
                    model.target,
                    model.drafter,
                    model.prompt,
                    run=runner.run,
                    generate=runner.speculative,
                )
            ways[name] = {way: recorder.record(way, costs, env, TRACE_SEEDS) for way in WAYS}
            for way, recorded in ways[name].items():
                print(
                    f'{name}, {way}: {len(recorded.actions)} actions, '
                    f'{recorded.mean_passes:.2f} passes each',
                    flush=True,
                )
    finally:
        env.close()
    about = {
        'policy': checkpoint.folder.name,
        'command': 'spec-vla bench --record-trace',
        'date': today,
        'seeds': [TRACE_SEEDS[0], TRACE_SEEDS[-1]],
        'acceptance_threshold': acceptance_threshold,
    }
    save_trace(Trace(about, ways, drafter.window, machines), RECORDED)
    print(f'written: {RECORDED}')


class TraceRecorder:
    """Runs a policy in closed loop with draft trees that are planned by given costs.

    Args:
        checkpoint: of the policy.
        drafter: of the policy.
        acceptance_threshold: of relaxed decoding, in bins.
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
            costs: of the model on which the trace will be replayed.
            env: the simulator.
            seeds: one episode for each.
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
