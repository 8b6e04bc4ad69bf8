# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Copies of an instruction are told from one that is given."""

import pytest

from spec_vla_ros.control.repeats import LONGEST_PAUSE, RepeatWatch


class Follower:
    """Takes instructions as the node does; each comes a second after the one before."""

    def __init__(self):
        self.watch, self.now, self.instruction = RepeatWatch(), 0.0, ''
        self.rivals = []

    def hear(self, text, source='a', after=1.0):
        """Whether it is taken."""
        self.now += after
        copy = self.watch.is_copy(text, source=source, in_force=self.instruction, now=self.now)
        if copy:
            return False
        rival = None if text == self.instruction else self.watch.rival(text, source=source)
        self.instruction = '' if rival else text.strip()
        self.rivals.append(rival)
        return rival is None


@pytest.fixture
def follower():
    return Follower()


def repeated(follower, text='go'):
    assert follower.hear(text)
    assert follower.hear(text)  # in force already
    assert follower.hear(text)  # twice: the publisher repeats it
    follower.instruction = ''  # stopped


def test_copies_do_not_undo_a_stop(follower):
    repeated(follower)
    assert not any(follower.hear(text) for text in ('go', ' go ', 'go'))
    assert follower.hear('pick')
    assert follower.hear('go')


def test_after_a_pause_the_same_words_are_given_anew(follower):
    repeated(follower)
    assert not follower.hear('go', after=LONGEST_PAUSE)
    assert follower.hear('go', after=LONGEST_PAUSE + 0.1)


def test_another_publisher_may_give_the_same(follower):
    repeated(follower)
    assert follower.hear('go', source='b')


def test_copies_do_not_undo_what_another_asks_for(follower):
    repeated(follower)
    assert follower.hear('pick', source='b')
    assert not follower.hear('go')


def test_whoever_gives_it_again_after_a_stop_does_not_repeat_it(follower):
    for _ in range(5):
        assert follower.hear('go')
        follower.instruction = ''


def test_what_was_said_once_more_to_be_sure_may_be_said_after_a_stop(follower):
    assert follower.hear('go')
    assert follower.hear('go')
    follower.instruction = ''
    assert follower.hear('go')


@pytest.mark.parametrize('sources', [('a', 'b'), (None, None)], ids=['told who', 'not told who'])
def test_two_who_repeat_different_ones_are_not_followed_until_one_pauses(follower, sources):
    said = list(zip(('go', 'pick'), sources, strict=True))
    for text, source in (*said, said[0]):
        assert follower.hear(text, source, after=0.5)  # each may still be said once only
    for _ in range(5):
        assert not any(follower.hear(text, source, after=0.5) for text, source in said[::-1])
    assert follower.rivals[-1] == (sources[1], 'pick')
    assert follower.hear('go', sources[0], after=LONGEST_PAUSE + 0.1)
    assert follower.hear('go', sources[0])


def test_who_gives_another_one_twice_is_not_contradicted_by_copies(follower):
    repeated(follower)
    for _ in range(2):
        assert follower.hear('pick', source='b', after=0.5)
        follower.instruction = ''  # stopped
        assert not follower.hear('go', after=0.5)


def test_who_says_something_else_once_is_followed(follower):
    for text, source in (('go', 'a'), ('go', 'a'), ('pick', 'b')):
        assert follower.hear(text, source, after=0.5)


@pytest.mark.parametrize('other', ['', 'pick'])
def test_copies_do_not_undo_what_another_asks_for_where_nobody_tells_who_it_is(follower, other):
    for _ in range(3):
        assert follower.hear('go', source=None)
    assert follower.hear(other, source=None)
    assert not follower.hear('go', source=None)
    assert follower.instruction == other


@pytest.mark.parametrize('source', ['a', None], ids=['told who', 'not told who'])
def test_who_has_cancelled_may_give_the_same_again_and_contradicts_nobody(follower, source):
    for text in ('pick', 'pick', '', 'go', '', 'go'):
        assert follower.hear(text, source, after=0.2)
    assert follower.instruction == 'go'


def test_two_who_go_on_are_not_followed_after_one_has_cancelled(follower):
    for text in ('go', 'pick', 'go', 'pick', '', 'go', 'pick', 'go', 'pick'):
        follower.hear(text, source=None, after=0.1)
    assert follower.rivals[-1] == (None, 'go')
    assert not any(follower.hear(text, source=None, after=0.1) for text in ('go', 'pick'))


def test_nobody_pauses_while_nobody_listens(follower):
    repeated(follower)
    follower.watch.deaf_since(follower.now)
    follower.watch.hears_again(follower.now + 60.0)
    assert not follower.hear('go', after=60.0 + LONGEST_PAUSE - 0.1)
    assert follower.hear('go', after=LONGEST_PAUSE + 0.1)


def test_an_empty_one_is_never_a_copy(follower):
    assert all(follower.hear('') for _ in range(5))


def test_it_remembers_no_publisher_for_longer_than_that(follower):
    for source in range(100):
        follower.hear('go', source=source)
    assert len(follower.watch._said) <= LONGEST_PAUSE + 1
