# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""A listener with several subscriptions: each message once, none that was overtaken."""

import types

import pytest
from std_msgs.msg import String

from spec_vla_ros.ros import hearing
from spec_vla_ros.ros.hearing import Listener

UNSUPPORTED = 2**64 - 1  # rmw's RMW_MESSAGE_INFO_SEQUENCE_NUMBER_UNSUPPORTED


class Wires:
    """Stands in for a node: what it subscribes with is called by the test."""

    def __init__(self):
        self.callbacks = []

    def create_subscription(self, kind, topic, callback, profile, *, event_callbacks):
        self.callbacks.append(callback)

    def resolve_topic_name(self, topic):
        return f'/{topic}'


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


@pytest.fixture
def listener_beside(monkeypatch):
    def listener_beside(*publishers):
        there = [
            types.SimpleNamespace(node_name=name, node_namespace=namespace, endpoint_gid=gid)
            for name, namespace, gid in publishers
        ]
        monkeypatch.setattr(hearing, 'publishers_on', lambda node, topic: there)
        return Listener(Wires(), String, 'words', print)

    return listener_beside


@pytest.mark.parametrize(
    ('source', 'name'),
    [(b'1', '/ui'), (b'2', '/arm/planner'), (b'3', 'a publisher that is gone')],
)
def test_a_publisher_is_named_by_its_node(listener_beside, source, name):
    assert listener_beside(('ui', '/', b'1'), ('planner', '/arm', b'2')).name_of(source) == name


def test_where_nobody_tells_who_publishes_all_are_named(listener_beside):
    listener = listener_beside(('ui', '/', b'1'), ('ui', '/', b'2'), ('planner', '/arm', b'3'))
    assert listener.name_of(None) == '/arm/planner or /ui'
