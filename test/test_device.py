# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""What is compared is timed in turns, and nothing is timed for longer than it needs."""

import time

import pytest
import torch

from spec_vla_ros import device
from spec_vla_ros.device import least_ms

CPU = torch.device('cpu')


def test_a_busy_moment_does_not_change_what_runs_take_beside_each_other(monkeypatch):
    """All are timed in turns: the first third of a second is slow, whatever runs in it."""
    now = 0.0

    def taking(ms):
        def run():
            nonlocal now
            now += (ms + (20 if now < 0.3 else 0)) / 1e3

        return run

    monkeypatch.setattr(device.time, 'thread_time', lambda: now)
    least = least_ms({'one row': taking(1.0), 'two rows': taking(1.5)}, device=CPU)
    assert least == pytest.approx({'one row': 1.0, 'two rows': 1.5})


def test_a_long_run_is_timed_in_one_round_only(monkeypatch):
    """Warming up a large model takes long enough."""
    now, runs = 0.0, 0

    def run():
        nonlocal now, runs
        now, runs = now + 2.0, runs + 1

    monkeypatch.setattr(device.time, 'thread_time', lambda: now)
    assert least_ms({'prefill': run}, device=CPU) == {'prefill': pytest.approx(2000.0)}
    assert runs == 3


def test_what_others_take_from_a_run_on_the_cpu_does_not_count():
    """Of a long run something is always taken on a busy machine: here it sleeps in the middle."""

    def compute(ms):
        end = time.thread_time() + ms / 1e3
        while time.thread_time() < end:
            pass

    def disturbed():
        compute(2.0)
        time.sleep(0.05)
        compute(2.0)

    least = least_ms({'short': lambda: compute(2.0), 'long': disturbed}, device=CPU)
    assert least['long'] / least['short'] == pytest.approx(2.0, rel=0.1)
