# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Hears every publisher of a topic that can be heard, and names the others."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Hashable, Mapping
from typing import Any

from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.topic_endpoint_info import TopicEndpointInfo

from spec_vla_ros.ros import qos
from spec_vla_ros.ros.endpoints import (
    NOT_KNOWN_YET,
    ONLY_WATCH,
    incompatibility,
    named,
    node_of,
    offered,
    publishers_on,
    type_name,
)
from spec_vla_ros.ros.other_types import way_on

REMEMBERED = 64
"""How many messages to remember. A message arrives again by another subscription soon after."""

Messages = deque[tuple[Hashable, int, int]]
"""The latest messages: publisher, sequence number and source time of each."""

MessageInfo = Mapping[str, Any]
"""What rclpy tells about a message; its entries depend on distribution and middleware."""


class Listener:
    """Hears every publisher of one topic, and hands on each message once.

    A subscription hears only publishers that offer at least the quality of service that it asks
    for. One that asks for nothing hears everybody, but it may lose messages, and gets none that
    were published before it existed. Where that matters, there are several subscriptions to the
    topic.

    Args:
        node: the node that subscribes.
        kind: the type of the messages.
        topic: relative name, before it is remapped.
        callback: called with each message, and with what rclpy tells about it.
        profiles: the quality of service of each subscription.
        in_order: whether to drop a message if a newer one from the same publisher came before it.
        heard: the messages that an earlier listener has heard; kept up to date.
    """

    def __init__(
        self,
        node: Node,
        kind: type,
        topic: str,
        callback: Callable[[Any, MessageInfo], None],
        *,
        profiles: tuple[QoSProfile, ...] = qos.ANYBODY,
        in_order: bool = False,
        heard: Messages | None = None,
    ) -> None:
        self._node, self._topic, self._callback = node, topic, callback
        self._profiles, self._in_order = profiles, in_order
        self._type = type_name(kind)
        self._recent = nothing_heard() if heard is None else heard
        self._unnamed: set[bytes] = set()

        def hear(message: Any, info: MessageInfo) -> None:  # rclpy counts the arguments
            self._hear(message, info)

        # Turn rclpy's warnings off: what one subscription cannot hear, another one does.
        silent = SubscriptionEventCallbacks(use_default_callbacks=False)
        self._subscriptions = [
            node.create_subscription(kind, topic, hear, profile, event_callbacks=silent)
            for profile in profiles
        ]

    @property
    def topic(self) -> str:
        """The topic's whole name, after remapping."""
        return self._node.resolve_topic_name(self._topic)

    def not_heard(self) -> list[str]:
        """Return in words which publishers' messages cannot arrive, and why."""
        publishers = self._publishers()
        unnamed = {bytes(p.endpoint_gid) for p in publishers if p.node_name == NOT_KNOWN_YET}
        # A publisher that has just appeared is told at the next call, when its name is known.
        early, self._unnamed = unnamed - self._unnamed, unnamed
        return [
            f'{node_of(publisher)} publishes {fault} on {self.topic}: it cannot be heard'
            + way_on(self._type, publisher.topic_type)
            for publisher in publishers
            if bytes(publisher.endpoint_gid) not in early
            and (fault := incompatibility(publisher, self._type, self._profiles))
        ]

    def sources(self) -> str:
        """Return in words the topic, its publishers and the quality of service they offer."""
        offers = [f'{node_of(p)} ({p.topic_type}, {offered(p)})' for p in self._publishers()]
        return f'{self.topic} ({self._type}), ' + (
            f'published by {", ".join(offers)}' if offers else 'which nobody publishes'
        )

    @property
    def is_offered_some(self) -> bool:
        """Whether somebody publishes what can be heard here."""
        return any(
            incompatibility(publisher, self._type, self._profiles) is None
            for publisher in self._publishers()
        )

    def name_of(self, source: Hashable) -> str:
        """Return the node of a publisher (see `source_of`); of all of them if it is not known."""
        return ' or '.join(self.still_there((source,))) or 'a publisher that is gone'

    def still_there(self, sources: Collection[Hashable]) -> list[str]:
        """Return the nodes of the given publishers that still exist; None stands for all."""
        everybody = None in sources
        there = [p for p in self._publishers() if everybody or bytes(p.endpoint_gid) in sources]
        return sorted({node_of(publisher) for publisher in there})

    def who_may_act(self) -> list[str]:
        """Return the nodes that publish, without tools that people watch or record with."""
        return [
            node_of(publisher)
            for publisher in named(self._publishers())
            if not publisher.node_name.startswith(ONLY_WATCH)
        ]

    def hear_what_waits(self) -> None:
        """Hand on the messages that wait for an executor that is held up; from any thread then."""
        for subscription in self._subscriptions:
            handle, kind, raw = subscription.handle, subscription.msg_type, subscription.raw
            with handle:
                while (taken := handle.take_message(kind, raw)) is not None:
                    self._hear(*taken)

    def close(self) -> None:
        """Stop listening."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)

    def _hear(self, message: Any, info: MessageInfo) -> None:
        if self._is_news(info):
            self._callback(message, info)

    def _publishers(self) -> list[TopicEndpointInfo]:
        return publishers_on(self._node, self.topic)

    def _is_news(self, info: MessageInfo) -> bool:
        publisher, number = source_of(info), info.get('publication_sequence_number') or 0
        message = (publisher, number, info['source_timestamp'])
        if message in self._recent:
            return False
        if self._in_order and publisher is not None:
            overtaken = any(who == publisher and n > number for who, n, _ in self._recent)
            if overtaken:
                return False
        self._recent.append(message)
        return True


def nothing_heard() -> Messages:
    """Return the memory of a listener that has heard nothing yet."""
    return deque(maxlen=REMEMBERED)


def source_of(info: MessageInfo) -> Hashable:
    """Return which publisher sent a message; None if this ROS distribution does not tell."""
    gid = info.get('publisher_gid')
    return None if gid is None else bytes(gid['data'])
