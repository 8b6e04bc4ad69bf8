# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""An action whose rounds are all launched at once; the device decides which of them run.

How many tokens a round commits, and so which comes next, is known on the device first. Asking it
after each round would leave it idle until the host has heard and launched the next one. Here every
round that the action could need stands ready behind a condition, one for each number of decided
tokens, and the host reads once, when the action is complete.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from spec_vla_ros.decoding.draft_tree import DraftTree, TreeShape
from spec_vla_ros.decoding.drafting import TreeDrafter
from spec_vla_ros.decoding.generate import Decoded
from spec_vla_ros.decoding.speculative import (
    Committed,
    Speculation,
    speculative_round,
    verify_and_commit,
)

Branch = Callable[[Tensor, Callable[[], None]], None]
"""Runs something where one bool on the device is true."""


def whole_action(
    pair: Speculation,
    prompt: Tensor,
    draft: DraftTree,
    shapes: Sequence[TreeShape | None],
    branch: Branch,
) -> Tensor:
    """Run the prefill, and behind it round after round until the action is complete: a step.

    Args:
        pair: target and drafter, which has begun with the prompt.
        prompt: (1, S, H) embeddings.
        draft: guesses at the first tokens, or the root alone.
        shapes: the trees to draft with 1, 2, ... tokens to go; as many as an action has tokens.
        branch: how to run what the device may not need.

    Returns:
        What is decided, see `DecidedTokens`.
    """
    length, num_tokens, drafter = prompt.shape[1], len(shapes), pair.drafter
    numbers = torch.zeros(1 + 3 * num_tokens, dtype=torch.int64, device=prompt.device)
    so_far = DecidedTokens(numbers)

    def rounds() -> None:
        if drafter.has_unread(length - 1):
            drafter.rewind(0)
            drafter.read(length - 1)
        for decided in range(1, num_tokens):
            branch(so_far.is_at(decided), partial(one_round, decided))

    def one_round(decided: int) -> None:
        pair.cache.rewind(length + decided - 1)
        # The drafter reads all decided tokens again: the same work whatever came before.
        drafter.rewind(length - 1)
        root, shape = so_far.root(decided), shapes[num_tokens - decided - 1]
        so_far.add(speculative_round(pair, root, shape, decided), decided)

    pair.cache.rewind(0)
    so_far.add(verify_and_commit(pair, prompt, draft, 0), 0)
    branch(so_far.is_at(num_tokens).logical_not(), rounds)
    return numbers


class DecidedTokens:
    """How far an action is: numbers on the device, all in one tensor (1 + 3 L,) int64.

    The number of decided tokens; the tokens; the target's choices; and at d, how many tokens the
    pass behind d decided ones committed.
    """

    def __init__(self, numbers: Tensor) -> None:
        self._numbers = numbers
        self._tokens, self._choices, self._commits = numbers[1:].view(3, -1)

    def is_at(self, decided: int) -> Tensor:
        """Whether exactly so many tokens are decided: one bool on the device."""
        return self._numbers[0] == decided

    def root(self, decided: int) -> Tensor:
        """Return the last of so many decided tokens, (1,)."""
        return self._tokens[decided - 1 : decided]

    def add(self, committed: Committed, decided: int) -> None:
        """Count what a pass behind `decided` tokens committed."""
        count, tokens, choices = committed.parts()
        reached = slice(decided, decided + len(tokens))
        self._tokens[reached], self._choices[reached] = tokens, choices
        self._commits[decided : decided + 1] = count
        self._numbers[:1] = count + decided


def read_action(numbers: Tensor, shapes: Sequence[TreeShape | None], *, guessed: bool) -> Decoded:
    """Wait for the device, and return what `whole_action` came to.

    Args:
        numbers: what it returned.
        shapes: what it was given.
        guessed: whether there was a draft.

    Raises:
        RuntimeError: the action is not complete: the device did not run what it should have.
    """
    decided, *values = numbers.tolist()  # the only wait for the device
    size = len(shapes)
    if decided != size:
        raise RuntimeError(
            f'the device decided {decided} of {size} tokens of an action: its driver may not run '
            "recorded branches; record pass by pass instead, cuda_graphs='pass' (a parameter of "
            'the node)'
        )
    commits = [values[2 * size]]
    drafted: list[int] = []
    while (done := sum(commits)) < size:
        shape = shapes[size - done - 1]
        drafted += [] if shape is None else [TreeDrafter.passes(shape)]
        commits.append(values[2 * size + done])
    return Decoded(
        torch.tensor(values[:size]),
        torch.tensor(values[size : 2 * size]),
        tuple(commits),
        guessed,
        sum(drafted),
    )
