# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""What has been logged stays, whenever the program is killed."""

import pytest

from spec_vla_ros.evaluation.episode_log import EpisodeLog


@pytest.fixture
def path(tmp_path):
    return tmp_path / 'results' / 'episodes.jsonl'


def test_episodes_are_found_again_by_their_key(path):
    log = EpisodeLog(path, key=('task', 'seed'))
    assert log.read() == {}
    log.add({'task': 'a', 'seed': 1, 'success': True})
    log.add({'task': 'a', 'seed': 2, 'success': False})
    log.add({'task': 'a', 'seed': 1, 'success': False})
    again = EpisodeLog(path, key=('task', 'seed')).read()
    assert list(again) == [('a', 1), ('a', 2)]
    assert again['a', 1]['success'] is False


def test_a_torn_line_does_not_count_and_spoils_nothing(path):
    log = EpisodeLog(path, key=('seed',))
    log.add({'seed': 1})
    with path.open('a') as file:
        file.write('{"seed": 2, "succ')
    assert list(log.read()) == [(1,)]
    log.add({'seed': 3})
    assert list(log.read()) == [(1,), (3,)]


@pytest.mark.parametrize('text', ['no json\n', '[1, 2]\n', '{"other": 1}\n'])
def test_another_file_is_refused(path, text):
    path.parent.mkdir()
    path.write_text(text)
    with pytest.raises(ValueError, match=r'episodes\.jsonl is no log of episodes.*remove it'):
        EpisodeLog(path, key=('seed',)).read()
