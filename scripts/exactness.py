# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Counts how often ways of decoding differ that would be the same without rounding.

Run as `python scripts/exactness.py --device cuda --dtype bfloat16`. Every way decodes every
observation of held-out episodes of the tabletop, which autoregressive decoding drives. It is
compared with:

- autoregressive decoding with passes of one row, as usual;
- autoregressive decoding with passes of seven rows, of which only the first is used; the longest
  verification of a chain has as many;
- the target's choices in one pass over prompt and action without a cache. An action is *beyond*
  these if a token differs by more bins than the threshold, or the gripper differs at all.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np
import torch
from draft_plans import drives
from torch import Tensor

from spec_vla_ros.checkpoints import TABLETOP
from spec_vla_ros.decoding.cuda.graph_runner import runner_for
from spec_vla_ros.decoding.draft_tree import TreeShape
from spec_vla_ros.decoding.generate import LanguageModel, greedy
from spec_vla_ros.decoding.kv_cache import KVCache
from spec_vla_ros.models.checkpoint import load_openvla
from spec_vla_ros.models.layouts.packed import PackedLlama
from spec_vla_ros.policy import load_policy
from spec_vla_ros.types import Decoding

ROWS = 7
CHAIN = TreeShape(1, ROWS - 1, ROWS - 1)
WAYS = {
    'strict': Decoding('strict', temporal=False),
    'strict + temporal': Decoding('strict', temporal=True),
    'relaxed r=9': Decoding('relaxed', 9, temporal=False),
    'relaxed r=9 + temporal': Decoding('relaxed', 9, temporal=True),
}


class ManyRows:
    """A target that runs passes of one row with several equal rows, and uses the first."""

    def __init__(self, target: PackedLlama, rows: int) -> None:
        self._target, self._rows = target, rows
        self.embed, self.logits, self.new_cache = target.embed, target.logits, target.new_cache

    def __call__(
        self,
        embeds: Tensor,
        *,
        positions: Tensor | range,
        mask: Tensor | None,
        cache: KVCache,
        outputs: int | None = None,
    ) -> Tensor:
        """See `LanguageModel`."""
        if embeds.shape[1] > 1:
            return self._target(
                embeds, positions=positions, mask=mask, cache=cache, outputs=outputs
            )
        start = cache.length
        here = range(start, start + self._rows)
        hidden = self._target(
            embeds.expand(-1, self._rows, -1), positions=here, mask=None, cache=cache
        )
        cache.rewind(start + 1)
        return hidden[:, :1]


def uncached(target: LanguageModel, prompt: Tensor, tokens: np.ndarray) -> np.ndarray:
    """Return the target's choices (D,) in one pass over prompt and action without a cache.

    tokens: (D,), the action's ids; the last one is not read.
    """
    ids = torch.from_numpy(tokens).to(prompt.device)
    embeds = torch.cat((prompt, target.embed(ids[None, :-1])), dim=1)
    length = embeds.shape[1]
    hidden = target(embeds, positions=range(length), mask=None, cache=target.new_cache(length))
    return greedy(target.logits(hidden[0, -len(tokens) :])).cpu().numpy()


def beyond(found: Sequence[np.ndarray], judged: Sequence[np.ndarray], r: int) -> int:
    """Return how many actions are beyond the uncached choices, see the top of this file.

    found, judged: tokens (D,) of each action, and the uncached choices; the gripper is the last.
    r: acceptance threshold, in bins.
    """
    off = [np.abs(a - b) for a, b in zip(found, judged, strict=True)]
    return sum(bool(d[:-1].max() > r or d[-1] > 0) for d in off)


@torch.inference_mode()
def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--device', default='cpu')
    parser.add_argument('--dtype', default='bfloat16')
    parser.add_argument('--episodes', type=int, default=10)
    args = parser.parse_args()
    torch.set_num_threads(1)
    policies = {
        name: load_policy(TABLETOP, device=args.device, dtype=args.dtype, tree=CHAIN)
        for name in WAYS
    }
    plain = load_policy(TABLETOP, device=args.device, dtype=args.dtype)
    model = load_openvla(TABLETOP, device=args.device, dtype=args.dtype).model
    target = PackedLlama(model.language_model)
    runner = runner_for(model.device)
    names = ['autoregressive', f'autoregressive, {ROWS} rows', *WAYS]
    tokens: dict[str, list[np.ndarray]] = {name: [] for name in names}
    judged: dict[str, list[np.ndarray]] = {name: [] for name in names}
    wide, cache = ManyRows(target, ROWS), target.new_cache(64)
    for episode in drives(plain, args.episodes):
        for policy in policies.values():
            policy.reset(situations=True)
        for seen in episode:
            prompt = plain.prompt(seen).clone()
            found = {
                name: policy.infer(seen, WAYS[name]).tokens for name, policy in policies.items()
            }
            for name, used in zip(names, (target, wide), strict=False):
                decoded = runner.autoregressive(used, prompt, num_tokens=ROWS, cache=cache)
                found[name] = decoded.tokens.numpy().copy()
            for name, ids in found.items():
                tokens[name].append(ids)
                judged[name].append(uncached(target, prompt, ids))
    print(f'{len(tokens["strict"])} actions, {args.dtype} on {model.device}')
    print('| decoding | not AR | not AR of 7 rows | by up to, bins | beyond an uncached pass |')
    print('|---|---|---|---|---|')
    for name in names:
        one, many = (
            [np.abs(a - b).max() for a, b in zip(tokens[name], tokens[other], strict=True)]
            for other in names[:2]
        )
        r = 9 if 'relaxed' in name else 0
        print(
            f'| {name} | {np.count_nonzero(one)} | {np.count_nonzero(many)} | {max(one)} '
            f'| {beyond(tokens[name], judged[name], r)} |'
        )


if __name__ == '__main__':
    main()
