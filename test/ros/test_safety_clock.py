# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Clocks that jump, stand still, or are simulated."""

import pytest
from harness import ScriptedPolicy, halted, new_world, running
from rosgraph_msgs.msg import Clock
from safety_bench import SafetyBench, commanded_since, moving
from spec_vla_ros.msg import PolicyStatus
from waiting import wait_for

from spec_vla_ros.ros import qos
from spec_vla_ros.ros.converters import to_time

pytestmark = pytest.mark.dds


class SimulatedClock:
    """Publishes /clock at 100 Hz from a node that itself runs on the wall's clock."""

    def __init__(self, remote):
        self.now_ns = 1_000_000_000_000
        self.running = True
        self._publisher = remote.node.create_publisher(Clock, '/clock', qos.COMMAND)
        remote.node.create_timer(0.01, self._on_timer)

    def _on_timer(self):
        if self.running:
            self.now_ns += 10_000_000
            self._publisher.publish(Clock(clock=to_time(self.now_ns)))


@pytest.fixture(scope='module')
def shared(tmp_path_factory):
    with new_world(tmp_path_factory.mktemp('world')) as world:
        clock = SimulatedClock(world.remote)
        bench = SafetyBench(world, use_sim_time=True)
        bench.clock = clock
        picture = bench.picture
        bench.picture = lambda now_ns: picture(clock.now_ns)
        yield bench


@pytest.fixture
def bench(shared):
    shared.clock.running = True
    shared.put_right()
    return shared


def test_commands_follow_the_simulated_clock(bench):
    bench.instruct('go')
    stamp = bench.wait_moving().header.stamp
    assert stamp.sec == pytest.approx(bench.clock.now_ns / 1e9, abs=5)


@pytest.mark.parametrize('seconds', [-500, 500])
def test_a_jump_halts_until_an_image_of_the_new_time(bench, seconds):
    bench.set(step_duration=5.0)
    bench.instruct('go')
    bench.wait_moving()
    bench.camera.covered = True
    bench.clock.now_ns += seconds * 1_000_000_000
    bench.wait_halted('STALE_IMAGE')
    start = len(bench.twists.messages)
    bench.assert_stands_still()
    assert not commanded_since(bench, start).any()
    bench.camera.covered = False
    bench.wait_moving()


def test_a_clock_that_nobody_publishes_is_told(world, status):
    world.policy_node(lambda settings: ScriptedPolicy(), use_sim_time=True)
    world.camera()
    world.instruct('go')
    text = status.wait(halted(PolicyStatus.REASON_CLOCK_STOPPED)).reason_text
    assert text == 'use_sim_time is set, and nobody publishes /clock'


def test_the_clock_is_not_changed_while_the_node_is_active(world, status):
    """No image would grow old by a clock that stands at zero, and the arm would go on."""
    world.policy_node(lambda settings: ScriptedPolicy(), step_duration=5.0)
    camera = world.camera()
    camera.make = lambda now_ns, make=camera.make: make(0)  # as a driver that stamps nothing
    world.instruct('go')
    status.wait(running)
    refused = world.remote.set_parameters('/spec_vla', {'use_sim_time': True})
    assert not refused.successful
    assert refused.reason.startswith('use_sim_time: read when the node is activated; deactivate')
    assert world.remote.set_parameters('/spec_vla', {'use_sim_time': False}).successful
    camera.covered = True
    status.wait(halted(PolicyStatus.REASON_STALE_IMAGE))
    assert world.remote.deactivate('/spec_vla')
    assert world.remote.set_parameters('/spec_vla', {'use_sim_time': True}).successful


def test_a_clock_that_stands_still_stops_the_arm(bench):
    bench.set(step_duration=5.0)
    bench.instruct('go')
    bench.wait_moving()
    bench.clock.running = False
    wait_for(lambda: not moving(bench.twists.last), 'the halt')
    wait_for(lambda: 'simulated clock has stood still' in bench.status.last.reason_text, 'why')
    bench.clock.running = True
    bench.wait_moving()


def test_a_reset_while_the_clock_stands_still_sets_nothing_in_motion(bench):
    bench.instruct('go')
    bench.wait_moving()
    bench.clock.running = False
    wait_for(lambda: 'simulated clock has stood still' in bench.status.last.reason_text, 'why')
    bench.reset()
    bench.clock.running = True
    bench.wait_halted('NO_INSTRUCTION')
    bench.assert_stands_still()
