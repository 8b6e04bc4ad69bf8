# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Who publishes and who subscribes on a topic, by its whole name.

rclpy's own methods apply the node's remaps to the names they are asked about, though they say that
they don't. Of a node with `-r emergency_stop:=/estop`, they would answer for /estop when asked
who is on /emergency_stop.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.node import Node
from rclpy.topic_endpoint_info import TopicEndpointInfo

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
