# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Closing a topic without losing what was said on it last."""

from __future__ import annotations

from rclpy.duration import Duration
from rclpy.lifecycle import LifecycleNode, LifecyclePublisher

PATIENCE = 0.5
"""Seconds that a subscriber gets to acknowledge the last message."""


def close_when_heard(node: LifecycleNode, publisher: LifecyclePublisher) -> None:
    """Close a topic once every reliable subscriber has its last message, or after `PATIENCE`.

    The middleware drops what has not arrived when a topic is closed, and the last command is
    the one to stand still.
    """
    if node.context.ok():
        publisher.wait_for_all_acked(Duration(seconds=PATIENCE))
    node.destroy_lifecycle_publisher(publisher)
