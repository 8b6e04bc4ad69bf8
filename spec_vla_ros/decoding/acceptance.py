# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Which draft tokens the target lets pass, and the longest path of them.

Strict acceptance takes a draft token when it is the target's own choice, so the output is what
greedy decoding gives: token for token in float32, and otherwise as far as a pass of several rows
rounds as a pass of one does. Relaxed acceptance (Spec-VLA, arXiv 2507.22424) also takes an action
token at most r bins away from the target's choice: r is the acceptance threshold.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from spec_vla_ros.decoding.draft_tree import DraftTree
from spec_vla_ros.device import upload

AcceptanceRule = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
"""Says of each draft token whether it passes, if all those above it do.

Draft ids (N,), the target's choices (N,), places behind the prompt from 0 (N,), and which tokens
lie on the path to each, itself included (N, N) bool -> (N,) bool. The first token is one of those
right below the root.
"""


def exact_match() -> AcceptanceRule:
    """Accept only what the target chooses itself."""

    def accept(draft: Tensor, choice: Tensor, place: Tensor, path: Tensor) -> Tensor:
        return draft == choice

    return accept


def within_bins(
    thresholds: Sequence[int], *, action_ids: range, device: torch.device | str = 'cpu'
) -> AcceptanceRule:
    """Accept action tokens near the target's choice.

    Tokens that are no actions, and tokens behind the action, are accepted only when they are the
    target's choice.

    Args:
        thresholds: for each action dimension, how many bins a draft may be off; 0 is exact.
        action_ids: the token ids that are actions.
        device: where the rule is applied.

    Raises:
        ValueError: a threshold is negative or larger than there are bins.
    """
    wrong = [r for r in thresholds if not 0 <= r < len(action_ids)]
    if wrong:
        raise ValueError(f'acceptance thresholds must be 0 to {len(action_ids) - 1}, not {wrong}')
    limits = upload(torch.tensor([*thresholds, 0]), torch.device(device))

    def is_action(ids: Tensor) -> Tensor:
        return (ids >= action_ids.start) & (ids < action_ids.stop)

    def accept(draft: Tensor, choice: Tensor, place: Tensor, path: Tensor) -> Tensor:
        near = (draft - choice).abs() <= limits[place.clamp(max=len(limits) - 1)]
        return (draft == choice) | (near & is_action(draft) & is_action(choice))

    return accept


def within_budgets(
    thresholds: Sequence[int],
    *,
    budgets: Mapping[range, int],
    action_ids: range,
    device: torch.device | str = 'cpu',
) -> AcceptanceRule:
    """Accept action tokens near the target's choice while a group's distances add up to little.

    Each token keeps to `within_bins`; besides, the distances of a group of dimensions may come to
    no more than its budget. (HeiSD, arXiv 2603.17573, takes 30 bins for x, y and z together, 30
    for the rotations, and 15 for each dimension.)

    What earlier rounds spent is not asked for, but taken as the most it can be. A round begins
    behind the target's own choice, which spent nothing, so only what lies before that counts: in
    a group of three the last one alone, by its first one's threshold.

    Args:
        thresholds: for each action dimension, how many bins a draft may be off.
        budgets: group of dimensions -> bins that it may be off in all; the groups do not overlap.
        action_ids: the token ids that are actions.
        device: where the rule is applied.

    Raises:
        ValueError: a threshold or a budget is negative, or there are not so many bins.
    """
    wrong = [budget for budget in budgets.values() if budget < 0]
    if wrong:
        raise ValueError(f'acceptance budgets must not be negative, unlike {wrong}')
    near = within_bins(thresholds, action_ids=action_ids, device=device)
    places = range(len(thresholds) + 1)  # the last one stands for all behind the action
    members = [[place in group for place in places] for group in budgets]

    def left(group: range, begin: int) -> int:
        """Return what a round that begins at a place may spend."""
        spent = sum(thresholds[d] for d in group if d < begin - 1)
        return max(0, budgets[group] - spent)

    limits = [[left(group, begin) for begin in places] for group in budgets]
    tables = upload(torch.tensor([members, limits]), torch.device(device))  # (2, groups, places)

    def accept(draft: Tensor, choice: Tensor, place: Tensor, path: Tensor) -> Tensor:
        member, limit = tables[:, :, place.clamp(max=places[-1])]
        off = member * (draft - choice).abs()
        spent = (path * off[:, None]).sum(-1)  # (groups, N)
        return (spent <= limit[:, :1]).all(0) & near(draft, choice, place, path)

    return accept


def following_motion(
    thresholds: Sequence[int],
    motion: Sequence[np.ndarray],
    *,
    resting_ids: np.ndarray,
    share: float,
) -> tuple[int, ...]:
    """Lower acceptance thresholds to a share of the motion: exact where it is slow.

    As the tolerances of WA-SpecDec (arXiv 2608.08725) they are small near contact and large in
    free space, which here the motion alone tells: the slower of the target's last two choices, in
    the arm's fastest dimension. Without two there is no motion yet, or the gripper has just
    changed: exact. The share is rounded down to a power of two, so that the rules are few.

    Args:
        thresholds: for each action dimension, how many bins a draft may be off at most; the
            gripper's, the last, stays as it is.
        motion: ids (D,) that the target chose last, see `TemporalDraft.motion`.
        resting_ids: the tokens of "no motion" (D,).
        share: of the distance between them, which a draft may be off.
    """
    *arm, gripper = thresholds
    speeds = [np.abs(ids - resting_ids)[:-1].max() for ids in motion]
    most = int(share * min(speeds)) if len(speeds) > 1 else 0
    most = 1 << (most.bit_length() - 1) if most else 0
    return (*(min(r, most) for r in arm), gripper)


def accepted_path(
    tree: DraftTree, choices: Tensor, accept: AcceptanceRule, *, first_place: int
) -> tuple[Tensor, Tensor]:
    """Find the longest path from the root that is accepted throughout.

    Among equally long paths it takes the one nearest to the target's choices, and so the exact
    one if there is one. Nothing is read back from a device.

    Args:
        tree: the draft.
        choices: (N,) ids the target would choose after each node, the root first.
        accept: the acceptance rule.
        first_place: of the nodes below the root, counted behind the prompt.

    Returns:
        Indices of the path's nodes in ascending depth, the root first, the last one repeated,
        (1 + tree.depth,) int64; and how many they are, (1,) int64.
    """
    level = torch.arange(1 + tree.depth, device=choices.device)
    if tree.depth == 0:
        return level, level + 1
    below = tree.ancestors[:, 1:]  # without the root, which is no draft
    if tree.is_chain:
        passes = accept(tree.tokens[1:], choices[:-1], first_place + level[:-1], below[1:])
        last = (passes * 1).cumprod(0).sum(0, keepdim=True)
        return torch.minimum(level, last), last + 1
    expected = choices[tree.parents[1:]]
    passes = accept(tree.tokens[1:], expected, first_place + tree.depths[1:] - 1, below[1:])
    reached = ~(below & ~passes).any(-1)
    off = (below * (tree.tokens[1:] - expected).abs()).sum(-1)
    # Lexicographic: the deepest first, then the nearest, then the first in the tree. What is not
    # reached scores 0, as the root does, which stands before all.
    # With one dimension: a number without would be read back to the host to index with it.
    best = ((tree.depths * (off.max() + 1) - off) * reached).argmax()[None]
    here = tree.ancestors[best] & (tree.depths == level[:, None])  # (levels, N): one of a level
    path = (here * 1).argmax(-1) + (level > tree.depths[best]) * best  # 0 where there is none
    return path, tree.depths[best] + 1
