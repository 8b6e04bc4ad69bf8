# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The driver obeys velocities that it can trust, and stops by itself."""

import importlib.util
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip('spec_vla_ros.msg', reason='needs ROS and the built messages')

from geometry_msgs.msg import TwistStamped
from harness import World, wait_for
from waiting import PATIENCE

from spec_vla_ros.ros.free_domain import free_domain

EXAMPLE = Path(__file__).parents[2] / 'examples' / 'safe_driver.py'
pytestmark = pytest.mark.dds

spec = importlib.util.spec_from_file_location('safe_driver', EXAMPLE)
safe_driver = importlib.util.module_from_spec(spec)
spec.loader.exec_module(safe_driver)


class Arm:
    """Notes every velocity that it is given, and when."""

    def __init__(self):
        self.given = []

    def send(self, velocity):
        self.given.append((time.monotonic(), velocity))

    def moving(self):
        return [(when, velocity) for when, velocity in self.given if any(velocity)]


@pytest.fixture
def arm(tmp_path):
    with free_domain() as domain_id:
        world, arm = World(domain_id, tmp_path), Arm()
        world.spin(lambda context: safe_driver.SafeDriver(arm.send, context=context))
        node = world.remote.node
        publisher = node.create_publisher(TwistStamped, 'delta_twist_cmds', 1)
        wait_for(lambda: publisher.get_subscription_count() == 1, 'the driver')

        def command(x, *, frame='base_link', late=0.0):
            message = TwistStamped()
            message.header.frame_id = frame
            stamp = node.get_clock().now().nanoseconds - round(late * 1e9)
            message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp, 10**9)
            message.twist.linear.x = x
            publisher.publish(message)

        arm.command = command
        yield arm
        world.close()


def drive(arm, x, **how):
    """Command a velocity until the arm has it, as a node commands it: again and again."""

    def moves():
        arm.command(x, **how)
        time.sleep(0.02)
        return arm.moving()

    return wait_for(moves, 'a motion')


def stands(arm):
    """Whether the arm has been standing for the driver's last ten velocities."""
    return not any(any(velocity) for _, velocity in arm.given[-10:])


def test_it_stops_by_itself_when_nothing_comes(arm):
    drive(arm, 0.1)
    assert arm.moving()[0][1] == (0.1, 0.0, 0.0, 0.0, 0.0, 0.0)
    wait_for(lambda: stands(arm), 'a halt')


@pytest.mark.usefixtures('not_under_nohup')
def test_the_end_of_its_terminal_is_an_end_in_good_order():
    """Else an arm that holds its last velocity would go on with it."""
    with free_domain() as domain_id:
        env = {**os.environ, 'ROS_DOMAIN_ID': str(domain_id), 'PYTHONUNBUFFERED': '1'}
        driver = subprocess.Popen(
            [sys.executable, EXAMPLE], stdout=subprocess.PIPE, text=True, env=env
        )
        assert driver.stdout.readline()
        driver.send_signal(signal.SIGHUP)
        said, _ = driver.communicate(timeout=PATIENCE)
    assert driver.returncode == 0
    assert said.splitlines()[-1] == ' '.join(['+0.000'] * 6)


def test_what_is_too_fast_is_cut_down(arm):
    drive(arm, -9.0)
    assert {velocity[0] for _, velocity in arm.moving()} == {-safe_driver.FASTEST[0]}


@pytest.mark.parametrize(
    ('x', 'how'),
    [(float('nan'), {}), (0.1, {'frame': 'world'}), (0.1, {'late': 5.0}), (0.1, {'late': -5.0})],
    ids=['not a number', 'another frame', 'old', 'from the future'],
)
def test_what_cannot_be_trusted_is_ignored(arm, x, how):
    for _ in range(10):
        arm.command(x, **how)
        time.sleep(0.02)
    assert not arm.moving()
    drive(arm, 0.1)  # and it has not been put out of order by it
