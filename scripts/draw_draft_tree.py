# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Draws docs/figures/draft_tree.png: a draft tree of the shipped policy and its verification.

python scripts/draw_draft_tree.py docs/figures/draft_tree.png
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

from spec_vla_ros import Observation, load_openvla
from spec_vla_ros.checkpoints import TABLETOP
from spec_vla_ros.decoding.acceptance import accepted_path, within_bins
from spec_vla_ros.decoding.draft_tree import DraftTree, TreeShape
from spec_vla_ros.decoding.drafting import TreeDrafter
from spec_vla_ros.decoding.speculative import verify
from spec_vla_ros.models.checkpoint import OpenVLACheckpoint
from spec_vla_ros.models.drafter_files import load_drafter_beside
from spec_vla_ros.models.observation_encoder import ObservationEncoder
from spec_vla_ros.policy import SpecVlaPolicy
from spec_vla_ros.sim.env import TabletopEnv
from spec_vla_ros.types import DIMENSION_NAMES, DIMENSIONS

SEED, STEPS, LIMIT = 9_045_005, 3, 3
SHAPE = TreeShape(top_k=3, depth=4, nodes=11)
ACCEPTED, REJECTED, UNREACHED, DECIDED = '#2a9d5c', '#d1495b', '#b8bdc2', '#30343b'
BONUS = '#2f6db5'


@dataclass(frozen=True, slots=True)
class Verification:
    """A verified draft tree; tokens are given as bins, where bin 0 is the lowest value.

    drafts: the draft token of each node; the root's is the token decided before.
    choices: the target's choice after each node.
    parents, depths: of each node.
    path: the accepted nodes, the root first.
    limit: how many bins a draft token may be off.
    """

    drafts: list[int]
    choices: list[int]
    parents: list[int]
    depths: list[int]
    path: list[int]
    limit: int

    def reached(self, node: int) -> bool:
        """Return whether all ancestors of a node were accepted."""
        parent = self.parents[node]
        return node == 0 or (self.accepted(parent) and self.reached(parent))

    def accepted(self, node: int) -> bool:
        """Return whether a node's token is near enough to the target's choice."""
        return node == 0 or abs(self.drafts[node] - self.choices[self.parents[node]]) <= self.limit


def simulated_prompt(checkpoint: OpenVLACheckpoint, *, seed: int, steps: int) -> Tensor:
    """Return the prompt's embeddings (1, S, H) after some steps of a simulated episode."""
    policy = SpecVlaPolicy(checkpoint)
    dimensions = policy.codec.stats.dimensions
    encode, env = ObservationEncoder(checkpoint, num_tokens=dimensions), TabletopEnv()
    try:
        instruction = env.reset(seed=seed)
        for _ in range(steps):
            env.step(policy.infer(Observation(env.render(), instruction)).values)
        return encode(Observation(env.render(), instruction))
    finally:
        env.close()


@torch.inference_mode()
def verify_first_draft(*, seed: int, steps: int, limit: int) -> Verification:
    """Draft the tokens after the first one of an action in the simulator, and verify them.

    Args:
        seed: of the scene.
        steps: number of actions before this one, which are decoded autoregressively.
        limit: how many bins a draft token may be off.
    """
    checkpoint = load_openvla(TABLETOP, device='cpu', dtype='float32')
    target, codec = checkpoint.model.language_model, checkpoint.config.codec()
    prompt = simulated_prompt(checkpoint, seed=seed, steps=steps)
    ids = codec.action_ids
    drafter = TreeDrafter(load_drafter_beside(checkpoint), target, ids=ids)

    cache = target.new_cache(prompt.shape[1] + 64)
    nothing = DraftTree.empty()
    verified = verify(target, prompt, nothing, cache)
    root = verified.choices  # the first token of the action
    embedded = target.embed(root[None])
    drafter.begin(prompt, num_tokens=DIMENSIONS, drafts=True)
    drafter.observe(embedded, verified.hidden, verified.hidden[:, :0], end=prompt.shape[1])
    shape = replace(SHAPE, spacing=(limit,) * SHAPE.depth)
    tree = drafter.propose(root, shape, prompt.shape[1])
    choices = verify(target, embedded, tree, cache).choices
    accept = within_bins([limit] * DIMENSIONS, action_ids=ids)
    path, count = accepted_path(tree, choices, accept, first_dimension=1)

    def bins(tokens: Tensor) -> list[int]:
        return (ids.stop - 1 - tokens).tolist()  # a higher id is a lower value

    return Verification(
        drafts=bins(tree.tokens),
        choices=bins(choices),
        parents=tree.parents.tolist(),
        depths=tree.depths.tolist(),
        path=path[: int(count)].tolist(),
        limit=limit,
    )


def draw(found: Verification, path: Path) -> None:
    """Draw the tree, its accepted path, and the target's choices along it, into a file."""
    place = _rows(found.parents)
    figure = Figure(figsize=(11, 0.62 * (max(place) + 3)), layout='constrained')
    axes = figure.subplots()
    for node, parent in enumerate(found.parents[1:], start=1):
        on_path = node in found.path
        axes.plot(
            (found.depths[parent], found.depths[node]),
            (place[parent], place[node]),
            color=ACCEPTED if on_path else UNREACHED,
            linewidth=3 if on_path else 1,
            zorder=1,
        )
    for node in range(len(found.drafts)):
        _box(axes, found.depths[node], place[node], str(found.drafts[node]), _colour(found, node))
    for node in found.path[:-1]:
        below = found.depths[node] + 1
        axes.text(below, -0.85, f'target: {found.choices[node]}', ha='center', weight='bold')
    last = found.path[-1]
    bonus, row = found.depths[last] + 1, place[last]
    axes.annotate(
        '',
        (bonus - 0.2, row),
        (found.depths[last] + 0.2, row),
        arrowprops={'arrowstyle': '->', 'color': BONUS, 'linewidth': 3},
    )
    _box(axes, bonus, row, str(found.choices[last]), BONUS)
    columns = range(bonus + 1 if bonus > max(found.depths) else max(found.depths) + 1)
    axes.set_xticks(columns, [DIMENSION_NAMES[c] for c in columns])
    axes.xaxis.tick_top()
    axes.tick_params(length=0, labelsize=12)
    axes.set(xlim=(-0.4, max(columns) + 0.4), ylim=(max(place) + 0.7, -1.2), yticks=[])
    axes.spines[:].set_visible(False)
    words = {
        'decided before: the root': DECIDED,
        f'accepted: at most {found.limit} bins from the target': ACCEPTED,
        'bonus token: the choice of the target itself': BONUS,
        'rejected': REJECTED,
        'behind a rejected one': UNREACHED,
    }
    handles = [Rectangle((0, 0), 1, 1, color=colour) for colour in words.values()]
    figure.legend(handles, words, loc='outside lower center', ncols=3, frameon=False)
    figure.savefig(path, dpi=110)


def _rows(parents: list[int]) -> list[float]:
    """Return the row of each node: leaves one below the other, parents in the middle of theirs."""
    children = [
        [n for n, p in enumerate(parents) if p == node and n] for node in range(len(parents))
    ]
    place, leaves = [0.0] * len(parents), 0

    def put(node: int) -> float:
        nonlocal leaves
        if children[node]:
            rows = [put(child) for child in children[node]]
            place[node] = (rows[0] + rows[-1]) / 2
        else:
            place[node], leaves = leaves, leaves + 1
        return place[node]

    put(0)
    return place


def _colour(found: Verification, node: int) -> str:
    if node == 0:
        return DECIDED
    if not found.reached(node):
        return UNREACHED
    return ACCEPTED if found.accepted(node) else REJECTED


def _box(axes: Axes, x: float, y: float, text: str, colour: str) -> None:
    axes.text(
        x,
        y,
        text,
        ha='center',
        va='center',
        color='white',
        weight='bold',
        bbox={'boxstyle': 'round,pad=0.5', 'facecolor': colour, 'edgecolor': 'none'},
        zorder=2,
    )


def main() -> None:
    """Draft, verify, draw."""
    parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    parser.add_argument('picture', type=Path)
    parser.add_argument('--seed', type=int, default=SEED)
    parser.add_argument('--steps', type=int, default=STEPS, help='actions before the one drawn')
    parser.add_argument('--limit', type=int, default=LIMIT, help='acceptance threshold, bins')
    args = parser.parse_args()
    draw(verify_first_draft(seed=args.seed, steps=args.steps, limit=args.limit), args.picture)


if __name__ == '__main__':
    main()
