# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""A policy for long runs, which a single answer in words must not end."""

from __future__ import annotations

from spec_vla_ros.policy import SpecVlaPolicy
from spec_vla_ros.types import Action, Decoding, NotAnActionError, Observation, PolicyInfo

MIN_ANSWERS = 20
"""Answers that must have come before a policy is refused for answering mostly in words."""


class LenientPolicy:
    """A policy that accepts answers in words (tokens that are no actions), and counts them.

    Such a token becomes the nearest bin, as in published evaluations. On a robot it is refused.

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
        """See `Policy.info`."""
        return self._policy.info

    @property
    def in_words(self) -> int:
        """How many answers were in words."""
        return self._in_words

    def infer(self, observation: Observation, decoding: Decoding) -> Action:
        """Return the action for this observation.

        Raises:
            NotAnActionError: the model computed NaN, or most of at least `MIN_ANSWERS` answers
                are in words.
            ValueError: see `SpecVlaPolicy.infer`.
        """
        action = self._policy.infer(observation, decoding, refuse_words=False)
        self._given += 1
        try:
            self._policy.codec.check_actions(action.tokens)
        except NotAnActionError as error:
            self._in_words, self._last = self._in_words + 1, error
            if self._given >= MIN_ANSWERS:
                self.check()
        return action

    def reset(self) -> None:
        """Let the policy forget everything kept from earlier observations."""
        self._policy.reset()

    def check(self) -> None:
        """Make sure that the policy was trained to give actions; to be called at the end.

        Raises:
            NotAnActionError: most of its answers are in words.
        """
        if self._last is not None and 2 * self._in_words > self._given:
            raise self._last

    def warning(self) -> str:
        """Return in a sentence how many answers are in words; empty if none is."""
        if not self._in_words:
            return ''
        return (
            f'{self._in_words} of {self._given} answers are words, which a robot refuses: they '
            'are no actions'
        )
