# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Who is on a topic, who does not hear whom, and who only watches."""

import types

import pytest
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from std_msgs.msg import Bool
from waiting import wait_for

from spec_vla_ros.ros import endpoints, qos
from spec_vla_ros.ros.controls import stops_elsewhere
from spec_vla_ros.ros.endpoints import (
    NOT_KNOWN_YET,
    incompatibility,
    listeners,
    publishers_on,
    subscribers_on,
)


@pytest.mark.dds
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


@pytest.mark.parametrize(
    ('name', 'acts'),
    [
        ('rosbag2_recorder', False),
        ('rosbag2_recorder_1', False),
        ('foxglove_bridge', False),
        ('_ros2cli_4711', False),
        ('rqt_gui_py_node_12', False),
        ('rviz2', False),
        ('plotjuggler', False),
        ('rosbridge_websocket', False),
        ('rosapi_node', False),
        ('rosboard_node', False),
        ('spec_vla_top', False),
        ('spec_vla', True),
        ('servo_node', True),
        ('my_rqt', True),
        (NOT_KNOWN_YET, True),
    ],
)
def test_who_only_watches_is_known_by_name(monkeypatch, name, acts):
    found = [types.SimpleNamespace(node_name=name)]
    monkeypatch.setattr(endpoints, 'subscribers_on', lambda node, topic: found)
    assert listeners(None, '/estop') == (found if acts else [])


def publisher(kind='std_msgs/msg/String', **offer):
    offer = {'durability': DurabilityPolicy.VOLATILE, **offer}
    return types.SimpleNamespace(topic_type=kind, qos_profile=QoSProfile(depth=1, **offer))


def test_somebody_is_heard_whom_one_subscription_hears():
    best_effort = publisher(reliability=ReliabilityPolicy.BEST_EFFORT)
    assert incompatibility(best_effort, 'std_msgs/msg/String', qos.ANYBODY) is None
    reason = incompatibility(best_effort, 'std_msgs/msg/String', (qos.LATCHED, qos.COMMAND))
    assert 'quality of service (best effort, volatile' in reason
    assert 'ERROR' in reason


def test_another_type_is_not_heard():
    reliable = publisher(reliability=ReliabilityPolicy.RELIABLE)
    reason = incompatibility(reliable, 'std_msgs/msg/Bool', qos.ANYBODY)
    assert reason == 'std_msgs/msg/String instead of std_msgs/msg/Bool'


class Graph:
    """Stands in for a node: `topics` maps each to its type, publishers' node and subscribers."""

    def __init__(self, **topics):
        self._topics = {f'/{name}': found for name, found in topics.items()}

    def get_topic_names_and_types(self):
        return [(name, [kind]) for name, (kind, _, _) in self._topics.items()]

    def publishers_on(self, topic):
        return self._ends(topic, 1)

    def subscribers_on(self, topic):
        return self._ends(topic, 2)

    def _ends(self, topic, which):
        found = self._topics[topic]
        return [
            types.SimpleNamespace(node_name=n, node_namespace='/', topic_type=found[0])
            for n in found[which]
        ]


EMPTY, BOOL = 'std_msgs/msg/Empty', 'std_msgs/msg/Bool'


def test_an_emergency_stop_of_any_type_is_found_on_other_topics(monkeypatch):
    for ask in ('publishers_on', 'subscribers_on'):
        monkeypatch.setattr(endpoints, ask, lambda node, topic, ask=ask: getattr(node, ask)(topic))
    node = Graph(
        estop=(EMPTY, ['driver'], []),
        kill_switch=(BOOL, ['remote'], ['rosbag2_recorder']),
        emergency_stop=(BOOL, ['panel'], ['spec_vla']),
        e_stop=(BOOL, ['base'], ['base_controller']),
        runstop=('spot_msgs/msg/EStopStateArray', ['spot'], []),
        stop_sign=(BOOL, ['perception'], []),
    )
    assert stops_elsewhere(node, '/emergency_stop') == [
        f'/driver publishes {EMPTY} on /estop, to which nobody listens, and not on '
        f'/emergency_stop: publish {BOOL} on /emergency_stop, there',
        f'/remote publishes {BOOL} on /kill_switch, to which nobody listens, and not on '
        '/emergency_stop: remap emergency_stop, there or here',
    ]
