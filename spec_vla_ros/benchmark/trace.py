# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Recorded accept lengths of a trained policy, which are replayed on models of random weights.

A model of random weights is as fast as a trained one, but accepts no drafts. So it is recorded
how many draft tokens a trained policy accepts in each pass of a closed loop. In the replay every
pass is run in full; only the number of accepted tokens is taken from the recording.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from spec_vla_ros.decoding.acceptance import AcceptanceRule
from spec_vla_ros.decoding.draft_tree import DraftTree, TreeShape
from spec_vla_ros.device import upload
from spec_vla_ros.types import RELAXED, STRICT, Decoding, check_choice

WAYS = ('strict', 'relaxed', 'relaxed + temporal')
RECORDED = Path(__file__).with_name('trace.json')


def decoding_of(way: str, acceptance_threshold: int) -> Decoding:
    """Return the decoding that a name stands for.

    Args:
        way: one of `WAYS`.
        acceptance_threshold: of relaxed decoding, in bins.

    Raises:
        ValueError: the name is unknown; the message lists them all.
    """
    check_choice('way of decoding', way, WAYS)
    strict, relaxed, temporal = WAYS
    return {
        strict: Decoding(STRICT, temporal=False),
        relaxed: Decoding(RELAXED, acceptance_threshold, temporal=False),
        temporal: Decoding(RELAXED, acceptance_threshold, temporal=True),
    }[way]


@dataclass(frozen=True, slots=True)
class ActionTrace:
    """One recorded action.

    guesses: the parent of each node of the temporal draft, the root's first; empty without one.
    commits: tokens committed by each pass of the target, the prefill first.
    """

    guesses: tuple[int, ...]
    commits: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class WayTrace:
    """The recording of one way of decoding.

    shapes: the tree that is drafted with 1, 2, ... tokens left; None for none.
    actions: in the order in which they were recorded.
    """

    shapes: tuple[TreeShape | None, ...]
    actions: tuple[ActionTrace, ...]

    @property
    def mean_passes(self) -> float:
        """Mean number of the target's passes for an action, the prefill included."""
        return sum(len(a.commits) for a in self.actions) / len(self.actions)

    def sample(self, count: int) -> list[ActionTrace]:
        """Return `count` actions, spread evenly over all when sorted by passes and guesses."""
        order = sorted(self.actions, key=lambda a: (len(a.commits), a.commits, len(a.guesses)))
        places = (np.arange(count) + 0.5) * len(order) / count
        return [order[int(p)] for p in places]


@dataclass(frozen=True, slots=True)
class Trace:
    """The recordings for all cases of the benchmark.

    about: policy, episodes, command and acceptance threshold, and the date of the last recording.
    ways: case -> way of decoding -> its recording, with the trees that suit the case's costs.
    draft_window: window of the policy's drafter, see `Drafter`.
    machines: case -> where and when its costs were measured, in words.
    """

    about: Mapping[str, object]
    ways: Mapping[str, Mapping[str, WayTrace]]
    draft_window: int | None
    machines: Mapping[str, str] = field(default_factory=dict)


def as_lists(shapes: Sequence[TreeShape | None]) -> list[list[int] | None]:
    """Return tree shapes for JSON: [top_k, depth, nodes] for each, or None."""
    return [None if s is None else [s.top_k, s.depth, s.nodes] for s in shapes]


def save_trace(trace: Trace, path: Path) -> None:
    """Write a trace as JSON."""
    cases = {
        case: {
            way: {
                'shapes': as_lists(recorded.shapes),
                'actions': [[list(a.guesses), list(a.commits)] for a in recorded.actions],
            }
            for way, recorded in ways.items()
        }
        for case, ways in trace.ways.items()
    }
    own = {'draft_window': trace.draft_window, 'machines': dict(trace.machines), 'cases': cases}
    text = json.dumps({**trace.about, **own}, separators=(',', ':'))
    path.write_text(
        text.replace('"shapes"', '\n"shapes"').replace('"actions"', '\n"actions"') + '\n'
    )


def load_trace(path: Path = RECORDED) -> Trace:
    """Read what `save_trace` wrote.

    Raises:
        ValueError: the file is missing or malformed.
    """
    try:
        content = json.loads(path.read_text())
        ways = {
            case: {way: _way(recorded) for way, recorded in found.items()}
            for case, found in content.pop('cases').items()
        }
        window, machines = content.pop('draft_window'), content.pop('machines')
    except FileNotFoundError:
        raise ValueError(
            f'{path} is missing: record it with `spec-vla bench --record-trace`'
        ) from None
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f'{path} is no trace of accept lengths: {error!r}') from error
    return Trace(content, ways, window, machines)


def kept_cases(
    before: Trace, names: Sequence[str], *, acceptance_threshold: int, draft_window: int | None
) -> dict[str, Mapping[str, WayTrace]]:
    """Return the recordings of the cases that are not recorded anew.

    Args:
        before: the present trace.
        names: the cases that are recorded anew.
        acceptance_threshold: of the new recordings, in bins.
        draft_window: of the new recordings.

    Raises:
        ValueError: the others have another threshold or window; a trace has one of each.
    """
    kept = {name: ways for name, ways in before.ways.items() if name not in names}
    recorded = (before.about.get('acceptance_threshold'), before.draft_window)
    if kept and recorded != (acceptance_threshold, draft_window):
        raise ValueError(
            f'the other cases were recorded at an acceptance threshold of {recorded[0]} with a '
            f'drafter of window {recorded[1]}, not {acceptance_threshold} and {draft_window}: '
            f'record {", ".join(map(repr, kept))} along with them'
        )
    return kept


def _way(recorded: Mapping) -> WayTrace:
    return WayTrace(
        tuple(None if s is None else TreeShape(*s) for s in recorded['shapes']),
        tuple(ActionTrace(tuple(g), tuple(c)) for g, c in recorded['actions']),
    )


def replayed(commits: Sequence[int], *, device: torch.device) -> AcceptanceRule:
    """Return a rule that accepts as many draft tokens as in a recording, whatever they are.

    commits: tokens that each pass committed in the recorded action, the prefill first.
    """
    accepted = torch.ones(sum(commits), dtype=torch.bool)
    accepted[np.cumsum(commits) - 1] = False  # each pass's last token is no draft
    known = upload(accepted, device)

    def accept(draft: Tensor, choice: Tensor, dimension: Tensor) -> Tensor:
        return known[dimension.clamp(max=len(known) - 1)]

    return accept


def guessed_tree(action: ActionTrace, *, action_ids: range) -> DraftTree | None:
    """Return a draft tree shaped like the recorded temporal draft; None if there was none."""
    if len(action.guesses) < 2:
        return None
    return DraftTree.from_lists(action_ids[: len(action.guesses)], action.guesses)
