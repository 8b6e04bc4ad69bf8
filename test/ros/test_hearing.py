# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""A listener with several subscriptions: each message once, none that was overtaken."""

import types

import pytest
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from std_msgs.msg import String

from spec_vla_ros.ros import hearing, qos
from spec_vla_ros.ros.controls import stops_elsewhere
from spec_vla_ros.ros.hearing import NOT_KNOWN_YET, Listener, incompatibility, listeners

UNSUPPORTED = 2**64 - 1  # rmw's RMW_MESSAGE_INFO_SEQUENCE_NUMBER_UNSUPPORTED


class Wires:
    """Stands in for a node: what it subscribes with is called by the test."""

    def __init__(self):
        self.callbacks = []

    def create_subscription(self, kind, topic, callback, profile, *, event_callbacks):
        self.callbacks.append(callback)

    def resolve_topic_name(self, topic):
        return f'/{topic}'


@pytest.fixture(autouse=True)
def stand_ins_know_who_is_where(monkeypatch):
    for ask in ('publishers_on', 'subscribers_on'):
        monkeypatch.setattr(hearing, ask, lambda node, topic, ask=ask: getattr(node, ask)(topic))


def info(number, *, publisher=b'a', time=None):
    gid = {} if publisher is None else {'publisher_gid': {'data': publisher}}
    return {
        **gid,
        'source_timestamp': number if time is None else time,
        'publication_sequence_number': number,
    }


@pytest.fixture
def listen():
    def listen(**options):
        wires, heard = Wires(), []
        Listener(wires, String, 'words', lambda message, _: heard.append(message), **options)
        latched, _, anybody = wires.callbacks
        return latched, anybody, heard

    return listen


@pytest.mark.parametrize('publisher', [b'a', None], ids=['known', 'not told'])
def test_a_message_that_comes_twice_is_handed_on_once(listen, publisher):
    latched, anybody, heard = listen()
    for number, words in ((1, 'go'), (2, 'stop'), (3, 'go')):
        latched(words, info(number, publisher=publisher))
        anybody(words, info(number, publisher=publisher))
    assert heard == ['go', 'stop', 'go']


def test_middleware_that_does_not_count_messages_tells_them_by_their_time(listen):
    latched, anybody, heard = listen(in_order=True)
    for time in (5, 6):
        latched(time, info(UNSUPPORTED, time=time))
        anybody(time, info(UNSUPPORTED, time=time))
    assert heard == [5, 6]


def test_an_old_message_that_comes_late_does_not_undo_a_newer_one(listen):
    latched, anybody, heard = listen(in_order=True)
    anybody('stop', info(2))
    latched('go', info(1))
    latched('stop', info(2))
    latched('go on', info(1, publisher=b'b'))
    assert heard == ['stop', 'go on']


def test_where_order_does_not_matter_nothing_is_dropped(listen):
    latched, anybody, heard = listen()
    anybody('released', info(2))
    latched('pressed', info(1))
    assert heard == ['released', 'pressed']


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
def test_who_only_watches_is_known_by_name(name, acts):
    found = [types.SimpleNamespace(node_name=name)]
    node = types.SimpleNamespace(subscribers_on=lambda topic: found)
    assert listeners(node, '/estop') == (found if acts else [])


def publisher(kind='std_msgs/msg/String', **offer):
    offer = {'durability': DurabilityPolicy.VOLATILE, **offer}
    return types.SimpleNamespace(topic_type=kind, qos_profile=QoSProfile(depth=1, **offer))


@pytest.mark.parametrize(
    ('source', 'name'),
    [(b'1', '/ui'), (b'2', '/arm/planner'), (b'3', 'a publisher that is gone')],
)
def test_a_publisher_is_named_by_its_node(source, name):
    assert listener_beside(('ui', '/', b'1'), ('planner', '/arm', b'2')).name_of(source) == name


def test_where_nobody_tells_who_publishes_all_are_named():
    listener = listener_beside(('ui', '/', b'1'), ('ui', '/', b'2'), ('planner', '/arm', b'3'))
    assert listener.name_of(None) == '/arm/planner or /ui'


def listener_beside(*publishers):
    wires = Wires()
    there = [
        types.SimpleNamespace(node_name=name, node_namespace=namespace, endpoint_gid=gid)
        for name, namespace, gid in publishers
    ]
    wires.publishers_on = lambda topic: there
    return Listener(wires, String, 'words', print)


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


def test_an_emergency_stop_of_any_type_is_found_on_other_topics():
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
