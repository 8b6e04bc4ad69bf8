# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Work of hours does not end at one answer in words; a policy that only talks is refused."""

from types import SimpleNamespace

import numpy as np
import pytest

from spec_vla_ros.action_codec import ActionCodec
from spec_vla_ros.evaluation.lenient_policy import MIN_ANSWERS, LenientPolicy
from spec_vla_ros.norm_stats import NormStats
from spec_vla_ros.types import Decoding, NotAnActionError

CODEC = ActionCodec(NormStats('test', -np.ones(7), np.ones(7), np.ones(7, bool)), vocab_size=320)


class Talks:
    """A policy that answers in words where it is told to."""

    codec, info = CODEC, None

    def __init__(self, in_words):
        self._in_words = iter(in_words)

    def infer(self, observation, decoding, *, refuse_words):
        assert not refuse_words
        return SimpleNamespace(tokens=np.full(7, 5 if next(self._in_words) else 200))


def ask(in_words):
    answers = LenientPolicy(Talks(in_words))
    for _ in in_words:
        answers.infer(None, Decoding())
    return answers


@pytest.mark.parametrize('first', [True, False])
def test_a_few_answers_in_words_are_counted(first):
    answers = ask([first] + [False] * 2 * MIN_ANSWERS + [not first])
    answers.check()
    assert answers.in_words == 1
    assert answers.warning() == (
        f'1 of {2 * MIN_ANSWERS + 2} answers are words, which a robot refuses: they are no actions'
    )


def test_none_is_not_told():
    assert ask([False]).warning() == ''
    ask([]).check()


def test_a_policy_that_mostly_talks_is_refused_soon():
    with pytest.raises(NotAnActionError, match='answered in words instead of an action: 7 of 7'):
        ask([True] * MIN_ANSWERS)


def test_a_policy_that_mostly_talks_is_refused_at_the_end_of_little():
    answers = ask([True, True, False])
    with pytest.raises(NotAnActionError, match='answered in words instead of an action'):
        answers.check()
