# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Compares the times that draft plans expect with measured ones, for drafters and thresholds.

Run as `python scripts/draft_plans.py DRAFTER [DRAFTER ...]`, with folders of drafters for the
shipped policy. Every drafter with every threshold decodes every observation of some episodes, in
which the policy decodes autoregressively.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

from spec_vla_ros.checkpoints import TABLETOP
from spec_vla_ros.evaluation.closed_loop import drive
from spec_vla_ros.planning.plan import TreePlan
from spec_vla_ros.policy import SpecVlaPolicy, load_policy
from spec_vla_ros.sim.env import TabletopEnv
from spec_vla_ros.sim.scene import HELD_OUT_SEEDS
from spec_vla_ros.types import Decoding, Observation

THRESHOLDS = (1, 9, 30)
_LEARNING = 0.5  # share of the actions that are not counted, since plans may still change


def drives(policy: SpecVlaPolicy, episodes: int) -> Iterator[list[Observation]]:
    """Yield the observations of each held-out episode, driven by autoregressive decoding."""
    env = TabletopEnv()
    try:
        for seed in HELD_OUT_SEEDS[-episodes:]:
            instruction = env.reset(seed=seed)
            yield list(drive(env, instruction, lambda seen: policy.infer(seen).values))
    finally:
        env.close()


class Way:
    """A policy with one drafter and one threshold, and the measurements of its actions.

    Attributes:
        whole: time of each action, milliseconds.
        after_prefill: the part of it after the prefill.
        passes: of the target for each action.
    """

    def __init__(self, name: str, policy: SpecVlaPolicy, decoding: Decoding) -> None:
        self.name, self.policy, self.decoding = name, policy, decoding
        policy.warm_up(decoding)
        self.whole: list[float] = []
        self.after_prefill: list[float] = []
        self.passes: list[int] = []

    def act(self, observation: Observation) -> None:
        """Decode one action and measure it."""
        start = time.perf_counter()
        stats = self.policy.infer(observation, self.decoding).stats
        self.whole.append(1e3 * (time.perf_counter() - start))
        phases = stats.phases_ms
        self.after_prefill.append(
            sum(v for k, v in phases.items() if k not in ('vision', 'prefill'))
        )
        self.passes.append(stats.target_passes)

    def row(self, autoregressive: Sequence[float]) -> str:
        """Return the line of the table.

        autoregressive: milliseconds of the same actions with autoregressive decoding.
        """
        late = slice(int(_LEARNING * len(self.whole)), None)
        tree = self.policy.tree(self.decoding)
        expected = '-'
        if isinstance(tree, TreePlan):
            expected = f'{tree.expected_ms[-2]:.2f}'
        gain = np.median(autoregressive[late]) / np.median(self.whole[late])
        return (
            f'| {self.name} | {tree} | {expected} | {np.mean(self.after_prefill[late]):.2f} '
            f'| {np.mean(self.passes[late]):.2f} | {gain:.2f} |'
        )


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('drafters', type=Path, nargs='+')
    parser.add_argument('--episodes', type=int, default=20)
    args = parser.parse_args()
    torch.set_num_threads(1)
    plain = Way('autoregressive', load_policy(TABLETOP, device='cpu'), Decoding())
    ways = [
        Way(f'{folder.name}, r = {r}', policy, Decoding('relaxed', r, temporal=False))
        for folder in args.drafters
        for r in THRESHOLDS
        for policy in [load_policy(TABLETOP, device='cpu', drafter=folder)]
    ]
    for turn, episode in enumerate(drives(load_policy(TABLETOP, device='cpu'), args.episodes)):
        for way in [plain, *ways]:
            way.policy.reset()
        for observation in episode:
            for way in ([plain, *ways], [*reversed(ways), plain])[turn % 2]:
                way.act(observation)
    print('| drafter | plan | expected behind the prefill, ms | measured, ms | passes | x AR |')
    print('|---|---|---|---|---|---|')
    print('\n'.join(way.row(plain.whole) for way in ways))


if __name__ == '__main__':
    main()
