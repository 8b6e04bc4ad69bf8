# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""What the tests themselves rely on: nothing that is recorded is lost, or overtakes another."""

import time

import pytest
from rclpy.node import Node
from std_msgs.msg import Float64
from waiting import wait_for

from spec_vla_ros.ros import qos

pytestmark = pytest.mark.dds


def test_an_observer_that_is_held_up_records_everything_in_the_order_of_publication(world):
    seen = []
    motions, halts = world.record(Float64, 'motions'), world.record(Float64, 'halts')
    motions.messages = halts.messages = seen
    node = world.spin(lambda context: Node('robot', context=context))
    motion, halt = (node.create_publisher(Float64, t, qos.COMMAND) for t in ('motions', 'halts'))
    for publisher in (motion, halt):
        wait_for(publisher.get_subscription_count, 'the observer')
    held = []
    timer = world.remote.node.create_timer(0.01, lambda: held.append(time.sleep(0.5)))
    wait_for(lambda: held, 'the observer to be held up')
    for number in range(60):
        (halt if number == 50 else motion).publish(Float64(data=float(number)))
    world.remote.node.destroy_timer(timer)
    wait_for(lambda: len(seen) == 60, 'all of them')
    assert [message.data for message in seen] == list(range(60))
