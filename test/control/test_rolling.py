# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Figures over the recent past."""

import numpy as np
import pytest

from spec_vla_ros.control.rolling import Percentiles, Recent


def test_only_the_window_counts():
    recent = Recent(window=10.0, now=0.0)
    for second in range(100):
        recent.add(float(second), now=float(second))
    assert recent.values(now=99.0) == [float(s) for s in range(90, 100)]
    assert recent.mean(now=99.0) == 94.5
    assert recent.total(now=99.0) == 945.0
    assert recent.rate(now=99.0) == 1.0
    assert recent.values(now=105.0) == [float(s) for s in range(96, 100)]
    assert recent.rate(now=200.0) == 0.0


def test_percentiles_are_numpys():
    values = np.random.default_rng(0).normal(size=500)
    recent = Recent(window=10.0, now=0.0)
    for value in values:
        recent.add(float(value), now=1.0)
    assert recent.percentiles(now=1.0) == Percentiles(*np.percentile(values, (50, 95, 99)))


def test_nothing_yet():
    recent = Recent(window=10.0, now=5.0)
    assert recent.percentiles(now=5.0) is None
    assert recent.mean(now=5.0) is None
    assert recent.rate(now=5.0) == 0.0


def test_a_rate_in_the_first_seconds_is_not_diluted():
    recent = Recent(window=10.0, now=100.0)
    for k in range(60):
        recent.add(1, now=100.0 + k / 30)
    assert recent.rate(now=102.0) == pytest.approx(30.0)
