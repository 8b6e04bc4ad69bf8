# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""A robot's time that passes step by step: when orders are obeyed, and what /clock says."""

import itertools
import time

import pytest
from rclpy.node import Node
from rosgraph_msgs.msg import Clock
from waiting import PATIENCE, wait_for

from spec_vla_ros.ros import qos
from spec_vla_ros.ros.converters import to_nanoseconds
from spec_vla_ros.ros.robots.robot_time import SteppedTime

pytestmark = pytest.mark.dds
MS = 1_000_000


class Obeyed:
    """Orders, each with the time at which it was obeyed."""

    def __init__(self, stepped):
        self.stepped, self.found = stepped, []

    def give(self, name, *, stamp_ns):
        self.stepped.obey(lambda *, now: self.found.append((name, now)), stamp_ns=stamp_ns)

    def frame(self):
        return self.stepped.next_frame(lambda *, now: self.found.append(('step', now)))

    def take(self):
        found, self.found = self.found, []
        return found


@pytest.fixture
def obeyed(world):
    return Obeyed(SteppedTime(world.remote.node, interval=0.05))


def test_an_order_is_obeyed_one_frame_after_its_stamp_whenever_it_comes(obeyed):
    assert obeyed.frame() == 50 * MS
    assert obeyed.take() == [('step', 0.05)]
    obeyed.give('go', stamp_ns=50 * MS)
    obeyed.frame()
    assert obeyed.take() == [('step', 0.1)]
    obeyed.give('stop', stamp_ns=100 * MS)
    obeyed.frame()
    assert obeyed.take() == [('go', 0.1), ('step', pytest.approx(0.15))]
    obeyed.frame()
    assert obeyed.take() == [('stop', pytest.approx(0.15)), ('step', 0.2)]


def test_what_comes_while_a_frame_is_made_is_no_later_for_it(obeyed):
    """Both came during the second frame; the motion lasts for a frame all the same."""
    obeyed.frame()
    obeyed.frame()
    obeyed.give('go', stamp_ns=50 * MS)
    obeyed.give('stop', stamp_ns=100 * MS)
    obeyed.take()
    obeyed.frame()
    obeyed.frame()
    assert [name for name, _ in obeyed.take()] == ['go', 'step', 'stop', 'step']


def test_without_a_stamp_it_counts_as_given_when_it_comes(obeyed):
    obeyed.frame()
    obeyed.give('open', stamp_ns=0)
    obeyed.frame()
    obeyed.frame()
    assert [name for name, _ in obeyed.take()] == ['step', 'step', 'open', 'step']


def test_the_stamp_of_another_clock_is_told_and_not_waited_for(world, obeyed):
    log = world.log()
    obeyed.frame()
    obeyed.give('go', stamp_ns=time.time_ns())
    obeyed.frame()
    obeyed.frame()
    assert ('go', 0.1) in obeyed.take()
    wait_for(lambda: any('set use_sim_time' in m.msg for m in log.messages), 'the warning')


def test_a_reset_drops_what_waits(obeyed):
    obeyed.give('go', stamp_ns=0)
    obeyed.stepped.forget()
    obeyed.frame()
    obeyed.frame()
    assert [name for name, _ in obeyed.take()] == ['step', 'step']


class Robot(Node):
    """Makes frames, each of which takes a while, and takes what comes in between."""

    def __init__(self, takes, *, ordered=(), patience=PATIENCE, **kwargs):
        super().__init__('robot', **kwargs)
        self.frames, self.answers = [], 0
        self.stepped = SteppedTime(self, interval=0.05, patience=patience)
        for stamp_ns in ordered:
            self.obey(stamp_ns)
        self.create_timer(0.001, self._on_other)
        self.stepped.call_at_each_frame(self._on_frame)
        self._takes = takes

    def _on_frame(self):
        self.stepped.next_frame(lambda *, now: time.sleep(self._takes))
        self.frames.append((time.monotonic(), self.answers))

    def obey(self, stamp_ns):
        self.stepped.obey(lambda *, now: None, stamp_ns=stamp_ns)

    def _on_other(self):
        self.answers += 1


def test_time_is_not_faster_than_the_computers(world):
    clock = world.record(Clock, '/clock', qos.COMMAND)
    robot = world.spin(lambda context: Robot(0.0, context=context))
    wait_for(lambda: len(robot.frames) > 20, 'a second')
    (first, _), *_, (last, _) = frames = list(robot.frames)
    assert last - first >= 0.05 * (len(frames) - 1) - 0.05  # one frame's start may be late
    stamps = [to_nanoseconds(m.clock) for m in clock.messages]
    assert stamps == list(range(stamps[0], stamps[-1] + 1, 50 * MS))


def stamps_of_orders(period):
    """Of one every so many frames, from the first frame on."""
    return [(1 + period * i) * 50 * MS for i in range(5)]


@pytest.mark.parametrize('period', [1, 2, 3])
def test_time_waits_for_a_commander_who_is_held_up(world, period):
    """Whatever his rate: what comes late by this computer's clock is in time by the stamps."""
    stamps = stamps_of_orders(period)
    shown = stamps[:2]  # how often he comes
    robot = world.spin(lambda context: Robot(0.0, ordered=shown, context=context))
    for stamp_ns in stamps[2:]:
        wait_for(lambda due=stamp_ns: robot.stepped.now_ns >= due, 'the time of the order')
        time.sleep(0.12)
        assert robot.stepped.now_ns == stamp_ns
        robot.obey(stamp_ns)


@pytest.mark.parametrize('period', [1, 2, 3])
def test_time_does_not_wait_for_ever(world, period):
    shown = stamps_of_orders(period)[:2]
    robot = world.spin(lambda context: Robot(0.0, ordered=shown, patience=1.0, context=context))
    wait_for(lambda: len(robot.frames) > 1 + 2 * period + 20, 'time to go on without him')


def test_slow_frames_slow_time_and_leave_room_for_what_else_comes(world):
    log = world.log()
    robot = world.spin(lambda context: Robot(0.1, context=context))
    wait_for(lambda: len(robot.frames) > 45, 'five seconds')
    told = wait_for(
        lambda: next((m.msg for m in log.messages if 'of real time' in m.msg), ''), 'it'
    )
    assert 'simulated time passes at 0.' in told
    answers = [count for _, count in robot.frames]
    assert all(after > before for before, after in itertools.pairwise(answers))
