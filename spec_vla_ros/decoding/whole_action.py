# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""An action whose passes are all launched at once; the device decides which of them run.

How many tokens a pass commits, and so which pass comes next, is known on the device first. Asking
it after each pass would leave it idle until the host has heard and launched the next one. Here
every pass that the action could need stands ready behind a condition, one for each number of
decided tokens, and the host reads once, when the action is complete.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from spec_vla_ros.decoding.draft_tree import DraftTree
from spec_vla_ros.decoding.passes import Passes
from spec_vla_ros.decoding.steps import Steps
from spec_vla_ros.decoding.timing import PhaseTimer
from spec_vla_ros.decoding.verifying import Judged


@dataclass(frozen=True, slots=True)
class Finished:
    """An action that is complete.

    tokens: of the action.
    choices: the target's own, see `Decoded`.
    commits: tokens that each pass committed, the prefill first.
    """

    tokens: list[int]
    choices: list[int]
    commits: list[int]


class Progress:
    """How far an action is: numbers on the device, all in one tensor (1 + 3 L,) int64.

    The number of decided tokens; the tokens; the target's choices; and at d, how many tokens the
    pass behind d decided ones committed.
    """

    def __init__(self, numbers: Tensor) -> None:
        self._numbers, self._size = numbers, (len(numbers) - 1) // 3
        self._tokens, self._choices, self._commits = numbers[1:].view(3, -1)

    @classmethod
    def room(cls, num_tokens: int, steps: Steps, device: torch.device) -> Progress:
        """Return the progress of actions of some length, where steps find it again."""
        like = torch.empty(0, dtype=torch.int64, device=device)
        return cls(steps.room('progress', (1 + 3 * num_tokens,), like))

    def begin(self) -> None:
        """Forget the action before."""
        self._numbers.zero_()

    def is_at(self, decided: int) -> Tensor:
        """Whether exactly so many tokens are decided: one bool on the device."""
        return self._numbers[0] == decided

    def root(self, decided: int) -> Tensor:
        """Return the last of so many decided tokens, (1,)."""
        return self._tokens[decided - 1 : decided]

    def add(self, judged: Judged, *, decided: int) -> None:
        """Count what a pass behind `decided` tokens committed."""
        count, tokens, choices = judged.parts()
        reached = slice(decided, decided + len(tokens))
        self._tokens[reached], self._choices[reached] = tokens, choices
        self._commits[decided : decided + 1] = count
        self._numbers[:1] = count + decided

    def read(self) -> Finished:
        """Wait for the device, and return the action.

        Raises:
            RuntimeError: it is not complete: the device did not run what it should have.
        """
        decided, *numbers = self._numbers.tolist()
        size, commits = self._size, []
        if decided != size:
            raise RuntimeError(
                f'the device decided {decided} of {size} tokens of an action: its driver may not '
                "run recorded branches; record pass by pass instead, graphs='pass' (the node's "
                "parameter cuda_graphs: 'pass')"
            )
        while sum(commits) < size:
            commits.append(numbers[2 * size + sum(commits)])
        return Finished(numbers[:size], numbers[size : 2 * size], commits)


class WholeAction:
    """Decodes an action in two steps, see `Steps`: the prefill, and all that may come behind it.

    Args:
        passes: of this action.
        progress: of this action; written to.
        steps: tells which passes run.
    """

    def __init__(self, passes: Passes, progress: Progress, steps: Steps) -> None:
        self._passes, self._progress, self._steps = passes, progress, steps

    def start(self, prompt: Tensor, tree: DraftTree) -> None:
        """Run the prefill over a prompt (1, S, H) and the guesses at its first tokens."""
        self._passes.cache.hold(0)
        self._progress.add(self._passes.judge(prompt, tree, decided=0), decided=0)

    def rest(self) -> None:
        """Run round after round behind the prefill, until the action is complete."""
        incomplete = self._progress.is_at(self._passes.num_tokens).logical_not()
        self._steps.branch(incomplete, self._rounds)

    def _rounds(self) -> None:
        if self._passes.told is not None:
            self._passes.read_prompt()
        for decided in range(1, self._passes.num_tokens):
            reached = self._progress.is_at(decided)
            self._steps.branch(reached, partial(self._round, decided))

    def _round(self, decided: int) -> None:
        """Propose, verify, accept, commit: the round behind `decided` tokens."""
        passes = self._passes
        passes.cache.hold(passes.length + decided - 1)
        root = self._progress.root(decided)
        context = passes.target.embed(root)[None]
        shape = passes.settings.shape.for_remaining(passes.num_tokens - decided)
        if shape is None:
            tree = DraftTree.root_only(root)
        else:
            tree = passes.propose_anew(root, shape, decided=decided)
        self._progress.add(passes.judge(context, tree, decided=decided), decided=decided)


def decode_whole(
    passes: Passes, prompt: Tensor, tree: DraftTree, *, steps: Steps, timer: PhaseTimer
) -> Finished | None:
    """Decode an action with all its passes launched at once, or return None where steps cannot.

    Args:
        passes: of this action.
        prompt: (1, S, H) embeddings.
        tree: guesses at its first tokens, verified inside the prefill.
        steps: how the passes run.
        timer: of the action.

    Raises:
        RuntimeError: see `Progress.read`.
    """
    if not steps.branches:
        return None
    progress = Progress.room(passes.num_tokens, steps, prompt.device)
    action = WholeAction(passes, progress, steps)
    steps.rehearse(('rest', *passes.key), action.rest)
    if not steps.branches:  # it turned out, and what was rehearsed has filled the caches
        passes.cache.hold(0)
        passes.draft_cache.hold(0)
        return None
    progress.begin()
    with timer.phase('prefill'):
        start = partial(action.start, prompt, tree)
        steps.run(('start', len(tree), tree.is_chain, *passes.key), start)
    with timer.phase('decode'):
        steps.run(('rest', *passes.key), action.rest)
    return progress.read()  # the only wait for the device
