# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""How drafts fared in a recorded run, to be replayed where the weights are random.

A model of random weights has the speed of a trained one and accepts nothing. So what a trained
policy accepted in closed loop is recorded, pass by pass, and replayed on it: every pass is run
in full, only how many draft tokens are accepted is taken from the recording.
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
    """Return what a way of decoding stands for.

    Args:
        way: one of `WAYS`.
        acceptance_threshold: relaxed acceptance's, in bins.

    Raises:
        ValueError: an unknown way; the message lists them.
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
    """One action.

    guesses: parents of the nodes of the tree verified inside the prefill, the root's first; empty
        where there was none.
    commits: tokens committed by each pass of the target, the prefill first.
    """

    guesses: tuple[int, ...]
    commits: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class WayTrace:
    """One way of decoding.

    shapes: the tree that was drafted with 1, 2, ... tokens left, or None.
    actions: in the order in which they were recorded.
    """

    shapes: tuple[TreeShape | None, ...]
    actions: tuple[ActionTrace, ...]

    @property
    def mean_passes(self) -> float:
        """Passes of the target for an action, the prefill included."""
        return sum(len(a.commits) for a in self.actions) / len(self.actions)

    def sample(self, count: int) -> list[ActionTrace]:
        """Choose actions that are spread evenly over all, by passes and then by guesses."""
        order = sorted(self.actions, key=lambda a: (len(a.commits), a.commits, len(a.guesses)))
        places = (np.arange(count) + 0.5) * len(order) / count
        return [order[int(p)] for p in places]


@dataclass(frozen=True, slots=True)
class Trace:
    """A recorded run.

    about: of which policy, on which episodes, how, and when the last case was recorded.
    ways: case of the benchmark -> way of decoding -> what was recorded with the trees that the
        measured costs of that case choose.
    draft_window: of the drafter that was recorded (see `Drafter`).
    machines: case -> where and when its costs were measured, in words.
    """

    about: Mapping[str, object]
    ways: Mapping[str, Mapping[str, WayTrace]]
    draft_window: int | None
    machines: Mapping[str, str] = field(default_factory=dict)


def as_lists(shapes: Sequence[TreeShape | None]) -> list[list[int] | None]:
    """Return trees as JSON has them: top_k, depth and nodes of each, or None."""
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
        ValueError: there is none, or it is malformed.
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
    """Return what was recorded of the cases that are not recorded now.

    Args:
        before: the trace that there is.
        names: of the cases that are recorded now.
        acceptance_threshold: theirs, in bins.
        draft_window: of their drafter.

    Raises:
        ValueError: they were recorded with others, which a trace has one of.
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
    """Accept drafts as far as they were in a recorded action, whatever they are.

    commits: tokens that each pass committed, the prefill first.
    """
    accepted = torch.ones(sum(commits), dtype=torch.bool)
    accepted[np.cumsum(commits) - 1] = False  # each pass's last token is no draft
    known = upload(accepted, device)

    def accept(draft: Tensor, choice: Tensor, dimension: Tensor) -> Tensor:
        return known[dimension.clamp(max=len(known) - 1)]

    return accept


def guessed_tree(action: ActionTrace, *, action_ids: range) -> DraftTree | None:
    """Return a tree of the form that was verified inside the prefill, or None."""
    if len(action.guesses) < 2:
        return None
    return DraftTree.from_lists(action_ids[: len(action.guesses)], action.guesses)
