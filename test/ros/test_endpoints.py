# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Who is on a topic is asked by its name as others see it, whatever the node has remapped."""

import pytest
from rclpy.node import Node
from std_msgs.msg import Bool
from waiting import wait_for

from spec_vla_ros.ros.endpoints import publishers_on, subscribers_on

pytestmark = pytest.mark.dds


def test_the_nodes_own_remaps_do_not_count(world):
    world.remote.node.create_publisher(Bool, '/emergency_stop', 1)
    remapped = ['--ros-args', '-r', 'emergency_stop:=/estop']
    node = world.spin(lambda context: Node('remapped', context=context, cli_args=remapped))
    node.create_subscription(Bool, 'emergency_stop', print, 1)

    def names(ask, topic):
        return [endpoint.node_name for endpoint in ask(node, topic)]

    wait_for(lambda: names(publishers_on, '/emergency_stop') == ['observer'], 'the publisher')
    wait_for(lambda: names(subscribers_on, '/estop') == ['remapped'], 'the subscription')
    assert names(publishers_on, '/estop') == names(subscribers_on, '/emergency_stop') == []
