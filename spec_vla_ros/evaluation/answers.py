# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Answers in words, of which one must not end work of hours."""

from __future__ import annotations

from spec_vla_ros.policy import SpecVlaPolicy
from spec_vla_ros.types import Action, Decoding, NotAnActionError, Observation, PolicyInfo

FEWEST = 20
"""Answers, before a policy may be told to answer in words mostly."""


class Answers:
    """A policy that goes on after an answer in words, and counts it.

    It becomes the nearest bins, as in published evaluations; a robot refuses it.

    Args:
        policy: gives the answers.
    """

    def __init__(self, policy: SpecVlaPolicy) -> None:
        self._policy = policy
        self._given = 0
        self._in_words = 0
        self._last: NotAnActionError | None = None

    @property
    def info(self) -> PolicyInfo:
        """The policy's."""
        return self._policy.info

    @property
    def in_words(self) -> int:
        """How many there were."""
        return self._in_words

    def infer(self, observation: Observation, decoding: Decoding) -> Action:
        """Return the action for this observation.

        Raises:
            NotAnActionError: the model computed NaN, or most of many answers are words.
            ValueError: see `SpecVlaPolicy.infer`.
        """
        action = self._policy.infer(observation, decoding, refuse_words=False)
        self._given += 1
        try:
            self._policy.codec.check_actions(action.tokens)
        except NotAnActionError as error:
            self._in_words, self._last = self._in_words + 1, error
            if self._given >= FEWEST:
                self.check()
        return action

    def reset(self) -> None:
        """Have the policy forget everything kept from earlier observations."""
        self._policy.reset()

    def check(self) -> None:
        """Make sure, at the end, that the policy was taught actions.

        Raises:
            NotAnActionError: most of its answers are words.
        """
        if self._last is not None and 2 * self._in_words > self._given:
            raise self._last

    def told(self) -> str:
        """Return how many answers are words, as a sentence; empty where none is."""
        if not self._in_words:
            return ''
        return (
            f'{self._in_words} of {self._given} answers are words, which a robot refuses: they '
            'are no actions'
        )
