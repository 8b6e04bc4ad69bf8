# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Figures of a run against values worked out by hand."""

import numpy as np
import pytest

from spec_vla_ros.evaluation.measures import (
    decoding_figures,
    mean_deviation,
    mean_squared_jerk,
    wilson_interval,
)
from spec_vla_ros.types import DecodeStats


def test_autoregressive_decoding_counts_seven_passes():
    figures = decoding_figures([DecodeStats('autoregressive', 7)] * 3, dimensions=7)
    assert figures.accept_length == pytest.approx(7 / 6)
    assert figures.tokens_per_pass == 1
    assert figures.target_passes == 7


def test_rounds_are_averaged_over_the_run_not_over_actions():
    stats = [DecodeStats('relaxed', 2, 5), DecodeStats('relaxed', 4, 7)]
    figures = decoding_figures(stats, dimensions=7)
    assert figures.accept_length == pytest.approx(14 / 4)
    assert figures.draft_passes == 6


def test_actions_that_need_no_round_at_all():
    assert decoding_figures([DecodeStats('relaxed', 1)], dimensions=7).accept_length is None
    with pytest.raises(ValueError, match='no actions'):
        decoding_figures([], dimensions=7)


def test_jerk_of_a_cubic_path():
    time = np.arange(8) * 0.1
    path = np.stack((time**3, 2 * time**3, np.zeros(8)), 1)
    assert mean_squared_jerk(path, interval=0.1) == pytest.approx(6**2 + 12**2)
    assert mean_squared_jerk(path[:, [2, 2, 2]], interval=0.1) == 0
    assert np.isnan(mean_squared_jerk(path[:3], interval=0.1))


def test_deviation_is_by_dimension():
    np.testing.assert_allclose(mean_deviation([[1, 2], [3, 2]], [[0, 2], [1, 1]]), [1.5, 0.5])


def test_wilson_interval_against_published_values():
    # Newcombe (1998), Statistics in Medicine 17, table I: 81 of 263 and 15 of 148
    np.testing.assert_allclose(wilson_interval(81, 263), (0.2553, 0.3662), atol=5e-5)
    np.testing.assert_allclose(wilson_interval(15, 148), (0.0624, 0.1605), atol=5e-5)
    with pytest.raises(ValueError, match='at least one'):
        wilson_interval(0, 0)
