# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Measures whether the small policy needs its depth: its success with some layers skipped.

Run as `python scripts/ablate_depth.py --episodes 50`.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path

import torch

from spec_vla_ros.checkpoints import TABLETOP
from spec_vla_ros.evaluation.closed_loop import drive
from spec_vla_ros.models.checkpoint import load_openvla
from spec_vla_ros.policy import SpecVlaPolicy
from spec_vla_ros.sim.env import TabletopEnv
from spec_vla_ros.sim.scene import HELD_OUT_SEEDS
from spec_vla_ros.types import NotAnActionError


def successes(folder: Path, skipped: Iterable[int], *, episodes: int) -> int:
    """Return how many held-out episodes succeed with these layers skipped.

    folder: of the checkpoint.
    skipped: numbers of the layers, from 0.
    """
    checkpoint = load_openvla(folder, device='cpu')
    layers = checkpoint.model.language_model.model.layers
    with torch.no_grad():
        for index in skipped:
            layers[index].self_attn.o_proj.weight.zero_()
            layers[index].mlp.down_proj.weight.zero_()
    policy, env = SpecVlaPolicy(checkpoint), TabletopEnv()
    count = 0
    try:
        for seed in HELD_OUT_SEEDS[:episodes]:
            instruction = env.reset(seed=seed)
            policy.reset()
            try:
                for _ in drive(env, instruction, lambda seen: policy.infer(seen).values):
                    pass
            except NotAnActionError:  # it answers in words
                continue
            count += env.outcome().success
    finally:
        env.close()
    return count


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--checkpoint', type=Path, default=TABLETOP)
    parser.add_argument('--episodes', type=int, default=50)
    args = parser.parse_args()
    torch.set_num_threads(1)
    depth = load_openvla(args.checkpoint, device='cpu').config.text.num_hidden_layers
    quarter = depth // 4
    ways = {
        'none': (),
        f'upper half ({depth // 2} to {depth - 1})': range(depth // 2, depth),
        'last quarter': range(depth - quarter, depth),
        'every second': range(1, depth, 2),
        'every eighth': range(7, depth, 8),
    }
    print('| layers skipped | success |\n|---|---|')
    for name, skipped in ways.items():
        found = successes(args.checkpoint, skipped, episodes=args.episodes)
        print(f'| {name} | {found} of {args.episodes} |', flush=True)


if __name__ == '__main__':
    main()
