# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Closing a topic without losing what was said on it last."""

from __future__ import annotations

from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.publisher import Publisher

PATIENCE = 0.5
"""Seconds that a subscriber gets to acknowledge the last message."""


def wait_until_heard(node: Node, publisher: Publisher) -> None:
    """Wait until every reliable subscriber has a topic's last message, for `PATIENCE` at most.

    To be called before the topic is closed: the middleware drops what has not arrived by then,
    and the last command is the one to stand still.
    """
    if node.context.ok():
        publisher.wait_for_all_acked(Duration(seconds=PATIENCE))
