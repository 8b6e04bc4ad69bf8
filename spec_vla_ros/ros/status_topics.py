# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The topics `status` and `diagnostics`, and what they say while the node is not configured."""

from __future__ import annotations

from collections.abc import Callable

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.clock import Clock
from rclpy.lifecycle import LifecycleNode

from spec_vla_ros.control.tick import Counters
from spec_vla_ros.msg import PolicyStatus
from spec_vla_ros.ros import qos
from spec_vla_ros.ros.diagnostics import unconfigured_message
from spec_vla_ros.ros.last_word import wait_until_heard
from spec_vla_ros.ros.messages import status_message

DIAGNOSTICS_PERIOD = 1.0  # seconds


class StatusTopics:
    """Both topics, which are open for as long as the node exists.

    At first they say that the node is not configured.

    Args:
        node: publishes them.
        steady: the clock of the diagnostics, which runs on if the node's own clock stops.
        held_back: returns why the node may not be activated; empty if it may.
    """

    def __init__(
        self, node: LifecycleNode, *, steady: Clock, held_back: Callable[[], str]
    ) -> None:
        self._node, self._held_back = node, held_back
        self._configured, self._failure = False, ''
        self._status = node.create_publisher(PolicyStatus, 'status', qos.LATCHED)
        self._diagnostics = node.create_publisher(DiagnosticArray, 'diagnostics', qos.COMMAND)
        node.create_timer(DIAGNOSTICS_PERIOD, self._diagnose, clock=steady)
        self.not_configured()

    def not_configured(self, failure: str = '') -> None:
        """Say from now on that the node is not configured.

        failure: why configuring failed; empty if it was not tried.
        """
        self._configured, self._failure = False, failure
        self.publish_status(
            status_message(
                None,
                now_ns=self._now_ns(),
                instruction='',
                held_back=self._text(),
                counters=Counters(),
            )
        )
        self._diagnose()

    def configured(self) -> None:
        """Publish nothing by itself from now on, since `Reports` publishes here."""
        self._configured = True

    def publish_status(self, message: PolicyStatus) -> None:
        """Publish a status."""
        self._status.publish(message)

    def publish_diagnostics(self, message: DiagnosticArray) -> None:
        """Publish diagnostics."""
        self._diagnostics.publish(message)

    def close(self) -> None:
        """Wait until the last status has arrived; the topics themselves end with the node."""
        wait_until_heard(self._node, self._status)

    def _diagnose(self) -> None:
        if self._configured:
            return
        self.publish_diagnostics(
            unconfigured_message(
                self._text(),
                failed=bool(self._failure or self._held_back()),
                node_name=self._node.get_fully_qualified_name(),
                now_ns=self._now_ns(),
            )
        )

    def _text(self) -> str:
        """Return why the node does nothing, in words."""
        failure = f'not configured: {self._failure}' if self._failure else 'not configured'
        return '; '.join(filter(None, (failure, self._held_back())))

    def _now_ns(self) -> int:
        return self._node.get_clock().now().nanoseconds
