# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The animation shows what had come at each moment, in real time, in a file of bounded size."""

import io

import numpy as np
import pytest
from PIL import Image

from spec_vla_ros.ros.demo import animation
from spec_vla_ros.ros.demo.animation import (
    FRAME,
    GAP,
    HEADER,
    HOLD,
    MOST_PICTURES,
    TITLE,
    durations_ms,
    encoded,
    middle_episode,
    moments,
    outcome,
    pictures,
    progress,
    write_animation,
)
from spec_vla_ros.ros.demo.record import Record


def record(seconds=2.0, *, success=True, steps=10, passes=7, ms=20.0, level=0, **fields):
    """Return an episode of grey frames that get lighter with time, ten a second."""
    frames = int(seconds * 10) + 1
    return Record(
        number=1,
        seed=100,
        instruction='pick up the red block',
        success=success,
        seconds=seconds,
        mode='any',
        action_seconds=[seconds * (k + 1) / steps for k in range(steps)],
        inference_ms=[ms] * steps,
        latency_ms=[ms + 5] * steps,
        target_passes=[passes] * steps,
        frames=[
            (0.05 + k / 10, np.full((192, 192, 3), min(255, level + 3 * k), np.uint8))
            for k in range(frames)
        ],
        **fields,
    )


def sides(**speculative):
    return {
        'speculative': record(1.0, passes=2, ms=10.0, level=100, **speculative),
        'autoregressive': record(2.0),
    }


def read(data):
    """Return each picture of an animation with its milliseconds."""
    with Image.open(io.BytesIO(data)) as shown:
        assert shown.format == 'WEBP'
        assert shown.info['loop'] == 0
        result = []
        for k in range(shown.n_frames):
            shown.seek(k)
            shown.load()
            result.append((shown.convert('RGB'), shown.info['duration']))
    return result


def level(picture, place):
    """Return how light the frame of a side is, 0 being the left one."""
    x = GAP + place * (FRAME + GAP) + FRAME // 2
    return picture.getpixel((x, HEADER + TITLE + FRAME // 2))[0]


def test_progress_is_what_had_come_by_then():
    episode = record()
    assert progress(episode, 0.0).frame[0, 0, 0] == 0  # the first one, though it came later
    assert progress(episode, 0.349).frame[0, 0, 0] == 3 * 2
    assert progress(episode, 0.351).frame[0, 0, 0] == 3 * 3
    assert progress(episode, 99.0).frame[0, 0, 0] == 3 * 20
    for seconds, actions in ((0.0, 0), (0.199, 0), (0.2, 1), (1.01, 5), (99.0, 10)):
        now = progress(episode, seconds)
        assert now.actions == actions
        assert now.passes == 7 * actions
        assert now.inference_ms == pytest.approx(20.0 * actions)
    with pytest.raises(ValueError, match='no frames'):
        progress(Record(number=1, seed=1, instruction='x'), 0.0)


def test_moments_are_real_time():
    times = moments(2.0)
    assert times[0] == 0.0
    assert times[-1] == 2.0
    assert max(np.diff(times)) <= 1 / 30 + 1e-9
    assert len(moments(20.0)) == len(moments(600.0)) == MOST_PICTURES
    assert len(moments(0.0)) == 2
    for seconds in (0.37, 2.0, 20.0):
        times, stays = moments(seconds), durations_ms(moments(seconds))
        assert len(stays) == len(times)
        assert stays[-1] == HOLD * 1000
        began = np.cumsum([0, *stays[:-1]])
        assert np.abs(began - 1000 * np.array(times)).max() <= 0.5  # no drift


def test_token_by_token_stands_left_and_each_side_keeps_its_own_time():
    times = moments(2.0)
    shown = pictures(sides(), times)
    assert len(shown) == len(times)
    assert len({p.size for p in shown}) == 1
    for when, picture in zip(times, shown, strict=True):
        left, right = level(picture, 0), level(picture, 1)
        assert left == progress(sides()['autoregressive'], when).frame[0, 0, 0]
        assert right == progress(sides()['speculative'], when).frame[0, 0, 0]
    assert level(shown[-1], 1) == 100 + 3 * 10  # stands still since it was done


def words_of(monkeypatch, shown, times):
    """Return what is written into each picture."""
    written = []
    plain = animation.ImageDraw.ImageDraw.text

    def text(self, corner, words, *rest, **options):
        written.append((id(self.im), words))
        plain(self, corner, words, *rest, **options)

    monkeypatch.setattr(animation.ImageDraw.ImageDraw, 'text', text)
    drawn = pictures(shown, times)
    return [[w for im, w in written if im == id(p.im)] for p in drawn]


def test_what_is_written_counts(monkeypatch):
    first, middle, last = words_of(monkeypatch, sides(), [0.0, 1.41, 2.0])
    assert first.count('0.00 s, 0 actions') == 2
    assert first.count('0 ms') == 2
    assert not any('each' in word for word in first)
    for words in ('49', '140 ms', '1.41 s, 7 actions', '20.0 ms each'):  # left, under way
        assert words in middle
    for words in ('20', '100 ms', 'done in 1.00 s, 10 actions', '10.0 ms each'):  # right
        assert words in middle
    assert 'done in 2.00 s, 10 actions' in last
    assert 'success in both ways' in last
    assert 'success in both ways' not in middle


def test_the_outcome_is_said_as_it_was(monkeypatch):
    failed = sides(success=False)
    assert outcome(failed)[0] == 'speculative decoding: failed, token by token: success'
    assert outcome({'speculative': failed['speculative']})[0] == 'failed'
    assert outcome(sides())[0] == 'success in both ways'
    (last,) = words_of(monkeypatch, failed, [2.0])
    assert 'not done, 1.0 s' in last
    (last,) = words_of(monkeypatch, sides(success=False, wrong_object=True), [2.0])
    assert 'lifted a wrong object, 1.0 s' in last


def test_one_way_alone_is_shown_alone(tmp_path):
    write_animation({'autoregressive': record()}, tmp_path / 'alone.webp')
    shown = read((tmp_path / 'alone.webp').read_bytes())
    assert sum(stay for _, stay in shown) == 2000 + HOLD * 1000


def test_an_episode_without_actions_is_shown():
    assert pictures({'autoregressive': record(steps=10), 'speculative': record(steps=0)}, [0, 2.0])


def test_the_file_plays_in_real_time(tmp_path):
    path = tmp_path / 'new' / 'demo.webp'
    write_animation(sides(), path)
    shown = read(path.read_bytes())
    assert sum(stay for _, stay in shown) == 2000 + HOLD * 1000
    assert shown[-1][1] >= HOLD * 1000
    now = 0.0
    for picture, stay in shown:  # pictures alike may have become one
        expected = progress(sides()['autoregressive'], now / 1000 + 1e-3).frame[0, 0, 0]
        assert abs(level(picture, 0) - int(expected)) <= 6  # compression, and half a millisecond
        now += stay


def noise(count, size=(200, 150)):
    draw = np.random.default_rng(0)
    shape = (count, size[1], size[0], 3)
    return [Image.fromarray(p) for p in draw.integers(0, 256, shape, dtype=np.uint8)]


def test_what_does_not_fit_gets_coarser_then_smaller_and_keeps_its_time():
    shown, stays = noise(6), [40] * 5 + [500]
    whole = encoded(shown, stays)
    coarser = encoded(shown, stays, max_bytes=len(whole) - 1)
    assert len(coarser) < len(whole)
    assert read(coarser)[0][0].size == (200, 150)
    smaller = encoded(shown, stays, max_bytes=len(whole) // 4)
    assert len(smaller) <= len(whole) // 4
    size = read(smaller)[0][0].size
    assert size[0] < 200
    assert size[0] / size[1] == pytest.approx(4 / 3, rel=0.05)
    for data in (whole, coarser, smaller):
        assert [stay for _, stay in read(data)] == stays


def test_what_can_never_fit_is_an_error():
    with pytest.raises(ValueError, match='2 pictures do not fit into 100 bytes'):
        encoded(noise(2), [40, 40], max_bytes=100)


def test_the_middle_episode_is_neither_the_best_nor_the_worst():
    def pair(fast, slow, **options):
        return record(fast, **options), record(slow)

    pairs = [pair(1.0, 3.0), pair(2.0, 1.0), pair(1.0, 1.5), pair(0.5, 9.0, success=False)]
    ways = ('speculative', 'autoregressive')
    records = {way: [p[k] for p in pairs] for k, way in enumerate(ways)}
    chosen = middle_episode(records)
    assert list(chosen) == list(ways)
    assert [r.seconds for r in chosen.values()] == [1.0, 1.5]  # the failed one does not count
    for way in ways:
        records[way][2].frames.clear()
    assert [r.seconds for r in middle_episode(records).values()] == [2.0, 1.0]
    for way in ways:
        records[way] = records[way][3:]
    assert [r.success for r in middle_episode(records).values()] == [False, True]
    records['autoregressive'][0].frames.clear()
    assert middle_episode(records) is None
