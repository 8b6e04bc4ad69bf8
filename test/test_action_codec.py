# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Action tokens mean what OpenVLA's mean, for any norm stats."""

import numpy as np
import pytest

from spec_vla_ros.action_codec import ActionCodec
from spec_vla_ros.norm_stats import NormStats

STATS = {
    'plain': {'action': {'q01': [-2, -2], 'q99': [2, 2]}},
}


def test_every_action_token_survives_the_round_trip():
    codec = ActionCodec(NormStats.select(STATS, 'plain'))
    tokens = np.arange(31745, 32000)
    assert codec.action_ids == range(31744, 32000)
    assert np.array_equal(codec.normalised_to_tokens(codec.tokens_to_normalised(tokens)), tokens)
    pairs = np.stack((tokens, tokens[::-1]), -1)
    assert np.array_equal(codec.encode(codec.decode(pairs)), pairs)


def test_edges_of_the_range():
    codec = ActionCodec(NormStats.select(STATS, 'plain'))
    assert codec.normalised_to_tokens([-1.0, -7.0, 1.0, 7.0]).tolist() == [
        31999,
        31999,
        31744,
        31744,
    ]
    # The lowest id stands for exactly 1.0, and de-tokenises to the highest of 255 bin middles.
    assert codec.tokens_to_bins([31999, 31745, 31744, 0, 40000]).tolist() == [0, 254, 254, 254, 0]


def test_quantisation_error_is_at_most_half_a_bin():
    codec = ActionCodec(NormStats.select(STATS, 'plain'))
    values = np.random.default_rng(0).uniform(-1, 1, 1000)
    error = codec.tokens_to_normalised(codec.normalised_to_tokens(values)) - values
    assert np.abs(error).max() <= 1 / 255 + 1e-12


def test_shorter_vocabularies_work():
    codec = ActionCodec(NormStats.select(STATS, 'plain'), vocab_size=300)
    assert codec.action_ids == range(44, 300)
    assert codec.normalised_to_tokens(-1.0) == 299


def arm(q01, q99, mask=(True,) * 6 + (False,)):
    stats = NormStats('arm', np.array(q01, float), np.array(q99, float), np.array(mask))
    return ActionCodec(stats)


def test_tolerances_are_rounded_down_to_bins():
    codec = arm([-0.255, 0, 0, -2.55, 0, 0, 0], [0.255, 0.255, 0.51, 2.55, 2.55, 5.1, 1])
    found = codec.bins_within(translation=0.0159, rotation=0.04)  # bins of 2, 1, 2 mm; x 10 mrad
    assert found == (7, 15, 7, 2, 4, 2, None)
    assert codec.bins_within(translation=0.003) == (1, 3, 1, None, None, None, None)
    assert codec.bins_within(rotation=10.0) == (None, None, None, 255, 255, 255, None)
    assert codec.bins_within() == (None,) * 7


def test_a_tolerance_of_whole_bins_means_these():
    """Though a product of decimal fractions comes out below a whole number."""
    for q99 in (0.0183, 0.3, 1 / 3, 0.1 + 0.2):
        codec = arm([-q99] * 6 + [0], [q99] * 6 + [1])
        for bins in range(256):
            width = 2 * q99 / 255
            assert codec.bins_within(translation=bins * width)[:3] == (bins,) * 3
            if bins:
                assert codec.bins_within(translation=bins * width * (1 - 1e-6))[0] == bins - 1


def test_tolerances_leave_alone_what_is_used_as_it_is_and_what_never_moves():
    mask = (True, False, True, False, True, True, False)
    codec = arm([0] * 7, [0, 1, 1, 1, 1, 1, 1], mask)
    assert codec.bins_within(translation=0.1, rotation=0.1) == (255, 0, 25, 0, 25, 25, None)
    assert codec.bins_within(translation=0.0)[:3] == (255, 0, 0)


@pytest.mark.parametrize('seed', range(20))
def test_never_more_than_the_tolerance(seed):
    rng = np.random.default_rng(seed)
    codec = arm(-rng.uniform(0.001, 1, 7), rng.uniform(0.001, 1, 7))
    tolerance = float(rng.uniform(0, 0.5))
    tokens = rng.integers(codec.action_ids.start, codec.action_ids.stop, (2000, 7))
    bins = codec.bins_within(translation=tolerance, rotation=tolerance)
    limits = np.array([*bins[:6], 0])
    moved = (tokens + rng.integers(-limits, limits + 1, (2000, 7))).clip(
        codec.action_ids.start, codec.action_ids.stop - 1
    )
    off = np.abs(codec.decode(moved) - codec.decode(tokens))[:, :6]
    assert (off <= tolerance + 1e-9).all()
    one_more = (limits[:6] + 1) * np.abs(codec.stats.q99 - codec.stats.q01)[:6] / 255
    assert ((one_more > tolerance) | (limits[:6] == 255)).all()


def test_tolerances_need_known_units():
    codec = ActionCodec(NormStats.select(STATS, 'plain'))
    assert codec.bins_within() == (None, None)
    with pytest.raises(ValueError, match=r'2 dimensions.*give an acceptance threshold in bins'):
        codec.bins_within(translation=0.1)


def test_a_tolerance_below_zero_is_refused():
    codec = arm([-1] * 7, [1] * 7)
    for limit in (-0.001, float('nan')):
        with pytest.raises(ValueError, match=f'tolerance {limit}: give 0 or more'):
            codec.bins_within(rotation=limit)


@pytest.mark.parametrize('wrong', [float('nan'), float('inf')])
def test_an_action_that_is_not_finite_has_no_tokens(wrong):
    """It became the fastest motion, which a policy would have been trained on."""
    with pytest.raises(ValueError, match=r'an action is not finite: .*(nan|inf)'):
        arm([-1] * 7, [1] * 7).encode([[0.0] * 7, [0.0] * 6 + [wrong]])


def test_an_action_of_another_length_has_no_tokens():
    with pytest.raises(ValueError, match=r"shape \(6,\): the norm stats 'arm' have 7 dimensions"):
        arm([-1] * 7, [1] * 7).encode([0.0] * 6)
