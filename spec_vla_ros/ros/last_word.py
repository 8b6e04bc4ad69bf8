# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Makes sure that a topic's last message arrives before the topic is closed."""

from __future__ import annotations

from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.publisher import Publisher

PATIENCE = 0.5
"""Seconds that subscribers have to acknowledge the last message."""


def wait_until_heard(node: Node, publisher: Publisher) -> None:
    """Wait until every reliable subscriber has a topic's last message, but at most `PATIENCE`.

    Call it before the topic is closed. The middleware drops what has not arrived by then, and the
    last command is the one to stand still.
    """
    if node.context.ok():
        publisher.wait_for_all_acked(Duration(seconds=PATIENCE))
