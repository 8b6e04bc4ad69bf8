# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Who publishes and who subscribes on a topic, and which of them do not hear one another.

rclpy's own methods apply the node's remaps to the names they are asked about, though they say that
they don't. Of a node with `-r emergency_stop:=/estop`, they would answer for /estop when asked
who is on /emergency_stop.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import QoSCompatibility, QoSProfile, qos_check_compatible
from rclpy.topic_endpoint_info import TopicEndpointInfo

from spec_vla_ros.ros.other_types import way_on

NOT_KNOWN_YET = '_NODE_NAME_UNKNOWN_'  # rmw's name for a node that has not announced itself yet
ONLY_WATCH = (
    *('rosbag2_recorder', 'foxglove_bridge', '_ros2cli', 'rqt', 'rviz', 'plotjuggler'),
    *('rosbridge', 'rosapi', 'rosboard', 'spec_vla_top'),
)
"""Beginnings of the names of nodes that only show or record what they hear, and do not act on it.
"""
_AS_ROS_NAMES_IT = False
"""The opposite of rclpy's `no_mangle`."""


def publishers_on(node: Node, topic: str) -> list[TopicEndpointInfo]:
    """Return the publishers of a topic; topic: its whole name, as others see it."""
    return _ask(rclpy_implementation.rclpy_get_publishers_info_by_topic, node, topic)


def subscribers_on(node: Node, topic: str) -> list[TopicEndpointInfo]:
    """Return the subscribers of a topic; topic: its whole name, as others see it."""
    return _ask(rclpy_implementation.rclpy_get_subscriptions_info_by_topic, node, topic)


def _ask(ask: Callable[..., list[Any]], node: Node, topic: str) -> list[TopicEndpointInfo]:
    with node.handle:
        return [TopicEndpointInfo(**found) for found in ask(node.handle, topic, _AS_ROS_NAMES_IT)]


def beside(node: Node, topic: str, *, called: Callable[[str, str], bool]) -> list[tuple[str, str]]:
    """Return publishers on other topics that may be meant for ours, and that nobody hears.

    Args:
        node: looks for the topics.
        topic: the whole name of our topic.
        called: returns whether a topic with this whole name and type may be meant for ours.

    Returns:
        Each publisher in words, and the type that it publishes.
    """
    return [
        (f'{node_of(publisher)} publishes {kind} on {name}, to which nobody listens', kind)
        for name, kinds in node.get_topic_names_and_types()
        if name != topic
        and any(called(name, kind) for kind in kinds)
        and not listeners(node, name)
        for publisher in named(publishers_on(node, name))
        if called(name, kind := publisher.topic_type)
    ]


def listeners(node: Node, topic: str) -> list[TopicEndpointInfo]:
    """Return the subscribers of a topic, without those that only watch."""
    return [
        subscriber
        for subscriber in subscribers_on(node, topic)
        if not subscriber.node_name.startswith(ONLY_WATCH)
    ]


def not_hearing(node: Node, publisher: Publisher[Any]) -> list[str]:
    """Return in words which subscribers of one of our topics hear nothing, and why."""
    topic, kind = publisher.topic_name, type_name(publisher.msg_type)
    # The profile as other nodes see it, since the one we gave leaves some policies open.
    ours = [
        p.qos_profile
        for p in publishers_on(node, topic)
        if node_of(p) == node.get_fully_qualified_name() and p.topic_type == kind
    ]
    found = []
    for subscriber in named(subscribers_on(node, topic)):
        fault = ''
        if subscriber.topic_type != kind:
            fault = f'as {subscriber.topic_type} instead of {kind}'
        elif ours:
            verdict, reason = qos_check_compatible(ours[0], subscriber.qos_profile)
            if verdict == QoSCompatibility.ERROR:
                fault = f'asking for another quality of service ({offered(subscriber)}; {reason})'
        if fault:
            found.append(
                f'{node_of(subscriber)} subscribes to {topic} {fault}: it hears nothing'
                + way_on(kind, subscriber.topic_type)
            )
    return found


def listening_elsewhere(node: Node, publisher: Publisher[Any]) -> list[str]:
    """Return in words who subscribes to the type that we publish, on other topics than ours."""
    kind = type_name(publisher.msg_type)
    return [
        f'{node_of(subscriber)} subscribes to {name}'
        for name, kinds in node.get_topic_names_and_types()
        if name != publisher.topic_name and kind in kinds
        for subscriber in named(listeners(node, name))
        if node_of(subscriber) != node.get_fully_qualified_name()
    ]


def also_publishing(node: Node, publisher: Publisher[Any]) -> list[str]:
    """Return in words which other nodes publish on one of our topics.

    If the node was launched twice, the other one has our own name, so publishers are counted.
    """
    topic, own = publisher.topic_name, node.get_fully_qualified_name()
    counts = Counter(map(node_of, named(publishers_on(node, topic))))
    if counts[own] > 1:
        counts[f'another node called {own}'] = 1
    del counts[own]
    return [f'{name} publishes on {topic}, too: it would be obeyed as well' for name in counts]


def named(endpoints: list[TopicEndpointInfo]) -> list[TopicEndpointInfo]:
    """Return the endpoints whose nodes have announced themselves; the others will soon."""
    return [endpoint for endpoint in endpoints if endpoint.node_name != NOT_KNOWN_YET]


def type_name(kind: type) -> str:
    """Return ROS's name of a message type: package/msg/Name."""
    return f'{kind.__module__.partition(".")[0]}/msg/{kind.__name__}'


def node_of(publisher: TopicEndpointInfo) -> str:
    """Return the whole name of the node of a publisher or subscriber."""
    if publisher.node_name == NOT_KNOWN_YET:
        return 'a node without a name'
    return f'{publisher.node_namespace.rstrip("/")}/{publisher.node_name}'


def offered(publisher: TopicEndpointInfo) -> str:
    """Return in words the quality of service of a publisher or subscriber."""
    profile = publisher.qos_profile
    both = (profile.reliability.name, profile.durability.name)
    return ', '.join(name.lower().replace('_', ' ') for name in both)


def incompatibility(
    publisher: TopicEndpointInfo, kind: str, profiles: tuple[QoSProfile, ...]
) -> str | None:
    """Return why none of our subscriptions can hear a publisher; None if one can.

    kind: the subscriptions' type, as package/msg/Name. profiles: their quality of service.
    """
    if publisher.topic_type != kind:
        return f'{publisher.topic_type} instead of {kind}'
    reasons = []
    for profile in profiles:
        verdict, reason = qos_check_compatible(publisher.qos_profile, profile)
        if verdict != QoSCompatibility.ERROR:  # a C++ enumeration, for which `is` would not do
            return None
        reasons.append(reason)
    return f'with another quality of service ({offered(publisher)}; {reasons[-1]})'
