# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Listens to a node under measurement, and keeps what it says."""

from __future__ import annotations

import time
from collections.abc import Callable

from geometry_msgs.msg import TwistStamped
from std_msgs.msg import String

from spec_vla_ros.msg import DecodeStatistics, VlaAction
from spec_vla_ros.ros import qos
from spec_vla_ros.ros.converters import to_nanoseconds
from spec_vla_ros.ros.develop.overhead.busy_policy import PHASE
from spec_vla_ros.ros.develop.overhead.figures import Jitter, Overhead, lateness_ms, spread
from spec_vla_ros.ros.hearing import MessageInfo
from spec_vla_ros.ros.remote import RemoteNode
from spec_vla_ros.settings.nodes import PolicySettings

NODE = '/spec_vla'
CONTROL_RATE = PolicySettings().control_rate
SETTLING = 1.0  # seconds after a change, not counted


class Observer:
    """Switches a policy node between two ways of working and takes figures of each.

    Args:
        remote: in the node's domain.
        check: called a few times a second while it measures; may raise to end that.
    """

    def __init__(self, remote: RemoteNode, *, check: Callable[[], None]) -> None:
        self._remote, self._check = remote, check
        self._published: dict[int, int] = {}  # of a command with this stamp, when it was
        self._actions: dict[int, VlaAction] = {}  # by the stamp of their first command
        self._statistics: dict[int, DecodeStatistics] = {}  # by the number of the action
        remote.subscribe(TwistStamped, 'delta_twist_cmds', self._on_twist, qos.COMMAND)
        remote.subscribe(VlaAction, 'action', self._on_action, qos.COMMAND)
        remote.subscribe(DecodeStatistics, 'spec_vla/statistics', self._on_statistics, qos.COMMAND)
        self._instructions = remote.node.create_publisher(String, 'instruction', qos.LATCHED)
        self._instructions.publish(String(data='pick up the red block'))

    def overhead(self, seconds: float) -> Overhead:
        """Measure image to command, the arm resting while the model works."""
        self._observe({'wait_for_motion': True, 'step_duration': 0.1}, seconds)
        transports, overheads = [], []
        for stamp, action in self._actions.items():
            statistics = self._statistics.get(action.sequence)
            if stamp in self._published and statistics is not None:
                taken = to_nanoseconds(action.observation_stamp)
                latency_ms = (self._published[stamp] - taken) / 1e6
                transports.append(statistics.transport_ms)
                overheads.append(latency_ms - statistics.transport_ms - _model_ms(statistics))
        return Overhead(
            actions=len(overheads), transport_ms=spread(transports), overhead_ms=spread(overheads)
        )

    def jitter(self, seconds: float) -> Jitter:
        """Measure when commands come while the model works without a pause."""
        self._observe({'wait_for_motion': False, 'step_duration': 1 / CONTROL_RATE}, seconds)
        stamps = sorted(self._published)
        off = lateness_ms(
            [self._published[stamp] for stamp in stamps],
            [stamp in self._actions for stamp in stamps],
            period_s=1 / CONTROL_RATE,
        )
        return Jitter(
            commands_hz=len(stamps) / seconds,
            busy=sum(map(_model_ms, self._statistics.values())) / 1e3 / seconds,
            jitter_ms=spread(off),
        )

    def _observe(self, parameters: dict[str, object], seconds: float) -> None:
        self._remote.set_parameters(NODE, parameters)
        self._wait(SETTLING)
        for kept in (self._published, self._actions, self._statistics):
            kept.clear()
        self._wait(seconds)

    def _wait(self, seconds: float) -> None:
        ends = time.monotonic() + seconds
        while (left := ends - time.monotonic()) > 0:
            time.sleep(min(left, 0.2))
            self._check()

    def _on_twist(self, message: TwistStamped, info: MessageInfo) -> None:
        self._published[to_nanoseconds(message.header.stamp)] = info['source_timestamp']

    def _on_action(self, message: VlaAction) -> None:
        self._actions[to_nanoseconds(message.header.stamp)] = message

    def _on_statistics(self, message: DecodeStatistics) -> None:
        self._statistics[message.sequence] = message


def _model_ms(statistics: DecodeStatistics) -> float:
    return statistics.phase_ms[list(statistics.phase_names).index(PHASE)]
