# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Policies that answer in words instead of an action, now and then."""

from dataclasses import replace
from itertools import count

import numpy as np

from spec_vla_ros.policy import SpecVlaPolicy


def answer_in_words_once(monkeypatch, *, call=2):
    """Have one call of `SpecVlaPolicy.infer` in this process answer in words, by its number."""
    infer, calls = SpecVlaPolicy.infer, count()

    def infer_or_talk(self, *given, refuse_words=True):
        action = infer(self, *given, refuse_words=refuse_words)
        if next(calls) != call:
            return action
        words = np.zeros_like(action.tokens)
        if refuse_words:
            self.codec.check_actions(words)
        return replace(action, tokens=words)

    monkeypatch.setattr(SpecVlaPolicy, 'infer', infer_or_talk)


class Here:
    """In place of `worker_processes`: runs the jobs in this process."""

    def __init__(self, processes):
        self.map = map

    def __enter__(self):
        return self

    def __exit__(self, *args):
        pass
