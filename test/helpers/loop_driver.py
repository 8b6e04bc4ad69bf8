# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""A control loop on a clock of our own: a frame and a tick each period."""

import threading
import time

import numpy as np
from waiting import PATIENCE

from spec_vla_ros.control.loop import ControlLoop
from spec_vla_ros.settings.nodes import PolicySettings
from spec_vla_ros.types import Action, DecodeStats

PERIOD_NS = 33_333_333
DELTA = np.array([0.01, 0.0, -0.01, 0.0, 0.1, 0.0, 0.25])


class Policy:
    """Answers at once, or when the gate opens; can be told to answer anything."""

    def __init__(self):
        self.answer = DELTA
        self.seen = []
        self.decodings = []
        self.resets = 0
        self.gate = threading.Event()
        self.gate.set()

    def infer(self, observation, decoding):
        self.seen.append(observation)
        self.decodings.append(decoding)
        assert self.gate.wait(PATIENCE)
        if isinstance(self.answer, Exception):
            raise self.answer
        return Action(self.answer, np.zeros(7), np.zeros(7, int), DecodeStats('test', 1))

    def reset(self):
        self.resets += 1


MODE = {'decoding_mode': 'autoregressive'}


class Driver:
    """Drives a loop by its own clock: a frame and a tick each period."""

    def __init__(self, policy, *, options, **settings):
        self.policy = policy
        self.loop = ControlLoop(
            policy,
            to_rgb=lambda image: image,
            settings=PolicySettings(**{**MODE, **settings}),
            same_pixels=np.array_equal,
            **options,
        )
        self.frozen = False
        self.source = None
        self.now_ns = 1_000_000_000_000
        self.ticks = []

    def frame(self, *, age_ns=0):
        image = np.full((2, 2, 3), 0 if self.frozen else len(self.ticks) % 251, np.uint8)
        self.loop.store_image(
            image, stamp_ns=self.now_ns - age_ns, now_ns=self.now_ns, source=self.source
        )

    def tick(self, *, frame=True, **options):
        self.now_ns += PERIOD_NS
        if frame:
            self.frame()
        time.sleep(0.002)  # the worker has a thread of its own
        self.ticks.append(self.loop.tick(self.now_ns, **options))
        return self.ticks[-1]

    def until(self, predicate, **options):
        deadline = time.monotonic() + PATIENCE
        while not predicate(self.tick(**options)):
            assert time.monotonic() < deadline
        return self.ticks[-1]

    def travelled(self):
        twists = [np.concatenate([t.twist.linear, t.twist.angular]) for t in self.ticks]
        return np.sum(twists, axis=0) / 30.0


def began(tick):
    return tick.new_action is not None


def moves(tick):
    return bool(tick.twist.linear.any() or tick.twist.angular.any())


def halted_for(reason):
    return lambda tick: tick.halt.reason is reason
