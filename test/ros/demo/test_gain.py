# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The last sentence of the demo claims what was measured, and no more."""

import numpy as np
import pytest

from spec_vla_ros.ros.demo.comparison import compare_ways
from spec_vla_ros.ros.demo.gain import differs, sentence
from spec_vla_ros.ros.demo.record import Record

EPISODES, STEPS = 10, 12


def episodes(milliseconds, passes, *, wins=EPISODES, count=EPISODES, steps=STEPS, seed=0):
    """Return episodes whose inferences take about so long, with other work beside them."""
    draw = np.random.default_rng(seed)
    result = []
    for k in range(count):
        took = milliseconds * draw.uniform(0.95, 1.05) * draw.normal(1.0, 0.05, steps)
        result.append(
            Record(
                number=k,
                seed=k,
                instruction='pick up the red block',
                success=k < wins,
                seconds=2.0,
                mode='any',
                inference_ms=list(took),
                latency_ms=list(took + 5.0),
                target_passes=[passes + k % 2 for k in range(steps)],
                draft_passes=[0] * steps,
            )
        )
    return result


def said(speculative, autoregressive=None):
    ways = {'speculative': speculative, 'autoregressive': autoregressive}
    records = {way: done for way, done in ways.items() if done is not None}
    return sentence(records, compare_ways(records)['modes'])


def plain(milliseconds, **options):
    """Return episodes of seven passes an action."""
    done = episodes(milliseconds, 7, seed=1, **options)
    for record in done:
        record.target_passes = [7] * len(record.target_passes)
    return done


def test_faster():
    fast, slow = episodes(10.0, 1), plain(18.0)
    median = [np.median([x for r in way for x in r.inference_ms]) for way in (fast, slow)]
    assert said(fast, slow) == (
        f'An action took {median[0]:.1f} ms instead of {median[1]:.1f} '
        f'({median[1] / median[0]:.2f}x faster), with 1.5 passes of the model instead of 7, '
        'and 10 of 10 episodes succeeded in both ways.'
    )
    assert 1.6 < median[1] / median[0] < 2.0


def test_slower():
    text = said(episodes(18.0, 1), plain(10.0))
    assert 'x slower), with 1.5 passes' in text
    assert 'faster' not in text


@pytest.mark.parametrize('seed', range(5))
def test_equal_within_noise(seed):
    text = said(episodes(10.0, 1, seed=10 + seed), plain(10.0))
    assert '(no clear difference), with 1.5 passes of the model instead of 7' in text


def test_a_gain_too_small_to_matter_is_none_however_sure_it_is():
    exact = [[10.0] * 50] * 10
    assert not differs([[10.1] * 50] * 10, exact)
    assert differs([[10.5] * 50] * 10, exact)
    assert differs([[9.5] * 50] * 10, exact)


def test_one_slow_episode_decides_nothing():
    """Half of the episodes beside other work, which fell on one of the ways by chance."""
    before = [[10.0] * 12] * 4
    after = [[10.0] * 12, [20.0] * 12, [10.0] * 12, [20.0] * 12]
    assert not differs(before, after)


def test_one_episode_can_be_enough_and_a_few_actions_cannot():
    fast, slow = episodes(10.0, 1, count=1, wins=1), plain(18.0, count=1, wins=1)
    assert 'x faster)' in said(fast, slow)
    assert '1 of 1 episodes succeeded in both ways' in said(fast, slow)
    few = {'count': 1, 'steps': 4}
    assert '(no clear difference)' in said(episodes(10.0, 1, **few), plain(18.0, **few))


@pytest.mark.parametrize(
    ('fast', 'slow', 'words'),
    [
        (9, 10, ', but only 9 of 10 episodes succeeded instead of 10.'),
        (10, 9, ', and 10 of 10 episodes succeeded instead of 9.'),
        (7, 7, ', and 7 of 10 episodes succeeded in both ways.'),
        (0, 0, ', and 0 of 10 episodes succeeded in both ways.'),
    ],
)
def test_success_is_said_as_it_was(fast, slow, words):
    assert said(episodes(10.0, 1, wins=fast), plain(18.0, wins=slow)).endswith(words)


def test_passes_that_were_not_saved():
    text = said(plain(10.0), plain(10.0))
    assert 'with 7 passes of the model in both ways' in text


def test_one_way_alone():
    text = said(None, plain(18.0, wins=8))
    assert 'with 7 passes of the model (autoregressive only, nothing to compare it with)' in text
    assert text.endswith('and 8 of 10 episodes succeeded.')
    assert 'instead' not in text


def test_no_action_at_all():
    none = episodes(10.0, 1, steps=0, wins=0)
    assert 'No action was decoded in this way: speculative' in said(none, plain(18.0))
    assert 'No action' in said(None, none)
