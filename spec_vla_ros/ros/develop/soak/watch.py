# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Records the topics during a soak: commands, status, the arm's pose, episodes."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

import numpy as np
from geometry_msgs.msg import PoseStamped, TwistStamped
from std_msgs.msg import String

from spec_vla_ros.msg import EpisodeStatus, PolicyStatus
from spec_vla_ros.ros import qos
from spec_vla_ros.ros.develop.soak.relay import PASS
from spec_vla_ros.ros.remote import RemoteNode

KEPT = 120.0  # seconds of the past that are kept


class TopicWatch:
    """Keeps the recent messages of the topics; all times are those of `time.monotonic`.

    Args:
        remote: the node that subscribes and publishes.
        check: called while waiting; raises if the soak cannot go on.
    """

    def __init__(self, remote: RemoteNode, *, check: Callable[[], None]) -> None:
        self._check = check
        self._lock = threading.Lock()
        self._twists: deque[tuple[float, bool]] = deque()
        self._poses: deque[tuple[float, np.ndarray]] = deque()
        self._states: deque[tuple[float, int, int]] = deque()
        self.status: PolicyStatus | None = None
        self.episode: EpisodeStatus | None = None
        self.commands = 0
        self._relay = remote.node.create_publisher(String, 'relay_mode', qos.LATCHED)
        self._relay.publish(String(data=PASS))
        self._words = remote.node.create_publisher(String, 'instruction', qos.LATCHED)
        remote.subscribe(TwistStamped, 'delta_twist_cmds', self._on_twist, qos.COMMAND)
        remote.subscribe(PolicyStatus, 'status', self._on_status, qos.LATCHED)
        remote.subscribe(EpisodeStatus, 'episode', self._on_episode, qos.LATCHED)
        remote.subscribe(PoseStamped, 'end_effector_pose', self._on_pose, qos.SENSOR_STATE)

    def relay(self, mode: str) -> None:
        """Set the mode of the camera relay, see `relay.MODES`."""
        self._relay.publish(String(data=mode))

    def instruct(self, text: str) -> None:
        """Publish an instruction."""
        self._words.publish(String(data=text))

    def last_motion(self, since: float) -> float | None:
        """Return when the last non-zero velocity command after `since` came; None if none did."""
        with self._lock:
            return next((t for t, moving in reversed(self._twists) if moving and t > since), None)

    def commands_between(self, start: float, end: float) -> int:
        """Return how many velocity commands came."""
        with self._lock:
            return sum(start <= t < end for t, _ in self._twists)

    def moved_between(self, start: float, end: float) -> float:
        """Return the arm's largest distance from its first position in this time, metres."""
        with self._lock:
            places = [p for t, p in self._poses if start <= t < end]
        return max((float(np.linalg.norm(p - places[0])) for p in places), default=0.0)

    def reasons_between(self, start: float, end: float) -> set[int]:
        """Return all reasons of halts that were reported; empty if the node did not halt."""
        with self._lock:
            return {
                reason
                for t, state, reason in self._states
                if start <= t < end and state == PolicyStatus.STATE_HALTED
            }

    def until(self, condition: Callable[[], bool], *, timeout: float) -> float | None:
        """Wait for a condition; return how many seconds that took, or None after the timeout."""
        began = time.monotonic()
        while not condition():
            self._check()
            if time.monotonic() - began > timeout:
                return None
            time.sleep(0.02)
        return time.monotonic() - began

    def moves_since(self, since: float) -> bool:
        """Return whether the policy is running, and has commanded motion after `since`."""
        status = self.status
        running = status is not None and status.state == PolicyStatus.STATE_RUNNING
        return running and self.last_motion(since) is not None

    def _on_twist(self, message: TwistStamped) -> None:
        linear, angular = message.twist.linear, message.twist.angular
        values = (linear.x, linear.y, linear.z, angular.x, angular.y, angular.z)
        self.commands += 1
        self._keep(self._twists, (time.monotonic(), any(values)))

    def _on_status(self, message: PolicyStatus) -> None:
        self.status = message
        self._keep(self._states, (time.monotonic(), message.state, message.reason))

    @property
    def succeeded(self) -> bool:
        """Whether the robot has reported success in its episode."""
        return self.episode is not None and self.episode.success

    def _on_episode(self, message: EpisodeStatus) -> None:
        self.episode = message

    def _on_pose(self, message: PoseStamped) -> None:
        p = message.pose.position
        self._keep(self._poses, (time.monotonic(), np.array([p.x, p.y, p.z])))

    def _keep(self, past: deque, entry: tuple) -> None:
        with self._lock:
            past.append(entry)
            while past[0][0] < entry[0] - KEPT:
                past.popleft()
