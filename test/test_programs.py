# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""An interrupt is noted wherever it comes, and acted on where the program asks."""

import gc
import signal
import weakref

import pytest

from spec_vla_ros.programs import (
    StopRequestedError,
    all_of,
    ending_when_asked,
    noting_signals,
)

BOTH = [signal.SIGINT, signal.SIGTERM]


@pytest.fixture(autouse=True)
def same_handlers_afterwards():
    handlers = [signal.getsignal(number) for number in BOTH]
    yield
    assert [signal.getsignal(number) for number in BOTH] == handlers


def test_without_a_signal_nothing_is_raised():
    with noting_signals() as stop:
        stop.check()
        assert not stop.came


@pytest.mark.parametrize('number', BOTH)
def test_a_signal_is_raised_when_asked_for(number):
    with noting_signals() as stop:
        signal.raise_signal(number)
        assert stop.came
        with pytest.raises(StopRequestedError):
            stop.check()


def test_a_signal_is_not_lost_where_exceptions_are():
    """The garbage collector drops what its callbacks raise."""

    class Referred:
        pass

    with noting_signals() as stop:
        thing = Referred()
        reference = weakref.ref(thing, lambda _: signal.raise_signal(signal.SIGINT))
        del thing
        gc.collect()
        assert reference() is None
        assert stop.came


@pytest.mark.parametrize('second', BOTH)
def test_a_second_one_does_not_wait(second):
    with noting_signals():
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(second)


def test_a_program_ends_when_it_asks():
    said, undone = [], []

    def program():
        with ending_when_asked(said.append) as check:
            try:
                signal.raise_signal(signal.SIGTERM)
                check()
            finally:
                undone.append(True)

    with pytest.raises(SystemExit, match='130'):
        program()
    assert said == ['interrupted; everything is stopped']
    assert undone == [True]


def test_a_program_that_does_not_ask_goes_on():
    with ending_when_asked():
        signal.raise_signal(signal.SIGTERM)


def test_of_all_checks_the_first_that_raises_counts():
    made = []

    def ends():
        raise StopRequestedError('first')

    with pytest.raises(StopRequestedError, match='first'):
        all_of(lambda: made.append(1), ends, lambda: made.append(2))()
    assert made == [1]
