# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Policies that tests run in a process of their own, named 'process_policies:...'."""

import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from spec_vla_ros.types import Action, DecodeStats, InstructionError, PolicyInfo

DELTA = (0.012, -0.006, 0.003, 0.03, -0.06, 0.09, 1.0)


class OutOfMemoryError(RuntimeError):
    """As torch names it."""


class Obedient:
    """Does what the instruction says: answer, or fail in some way.

    Behind 'hang' or 'stall' may stand a file, which is made when the inference has begun.
    """

    def __init__(self, files=''):
        self.resets, self.files = 0, files

    @property
    def info(self):
        return PolicyInfo(
            device='cuda:0',
            files=self.files,
            has_drafter=True,
            device_memory_mb=100.0 + self.resets,
        )

    def reset(self):
        self.resets += 1

    def infer(self, observation, decoding):
        what, _, self._begun = observation.instruction.partition(' ')
        getattr(self, what)()
        values = np.array(DELTA)
        stats = DecodeStats(decoding.mode, 1, accept_lengths=(3, 4), phases_ms={'vision': 1.5})
        # what was seen, for the test to compare
        seen = np.array([observation.image.sum(), observation.image.shape[0], self.resets])
        return Action(values, seen, np.full(7, decoding.acceptance_threshold[0]), stats)

    def go(self):
        pass

    def hang(self):
        if self._begun:
            open(self._begun, 'w').close()
        time.sleep(1000)

    def stall(self):
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        self.hang()

    def crash(self):
        os.kill(os.getpid(), signal.SIGSEGV)

    def leave(self):
        sys.exit(3)

    def refuse(self):
        raise InstructionError('no such word')

    def lose_the_device(self):
        raise RuntimeError('CUDA error: misaligned address')

    def exhaust(self):
        raise OutOfMemoryError('CUDA out of memory. Tried to allocate 2 GiB')


def obedient(settings):
    return Obedient()


def of_files(settings):
    """A policy that is what its checkpoint, a file, says."""
    return Obedient(Path(settings.checkpoint).read_text())


def cannot_load(settings):
    raise ValueError(f'no checkpoint in {settings.checkpoint!r}')


class Stranger(Obedient):
    """Says of itself what nobody has asked for."""

    @property
    def info(self):
        return Unforeseen()


@dataclass(frozen=True)
class Unforeseen(PolicyInfo):
    mood: str = 'good'


def says_too_much(settings):
    return Stranger()


def dies_while_loading(settings):
    os.kill(os.getpid(), signal.SIGKILL)


def never_loads(settings):
    time.sleep(1000)


def loads_once(settings):
    """The first process loads; every later one fails."""
    marker = settings.checkpoint
    if os.path.exists(marker):
        raise RuntimeError('the device is gone')
    open(marker, 'w').close()
    return Obedient()
