# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Subscribes to a policy node, and measures its overhead and jitter."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

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


@dataclass(slots=True)
class _Received:
    """The messages of one stretch of time; stamps and times in nanoseconds.

    published: stamp of a command -> when it was published.
    actions: stamp of an action's first command -> the action.
    statistics: sequence number of an action -> its statistics.
    """

    published: dict[int, int] = field(default_factory=dict)
    actions: dict[int, VlaAction] = field(default_factory=dict)
    statistics: dict[int, DecodeStatistics] = field(default_factory=dict)


class Observer:
    """Measures a policy node in two modes of operation, which it sets by parameters.

    Args:
        remote: a node in the same domain.
        check: called a few times a second; may raise to end the measurement.
    """

    def __init__(self, remote: RemoteNode, *, check: Callable[[], None]) -> None:
        self._remote, self._check = remote, check
        self._received, self._lock = _Received(), threading.Lock()  # another thread receives
        remote.subscribe(TwistStamped, 'delta_twist_cmds', self._on_twist, qos.COMMAND)
        remote.subscribe(VlaAction, 'action', self._on_action, qos.COMMAND)
        remote.subscribe(DecodeStatistics, 'spec_vla/statistics', self._on_statistics, qos.COMMAND)
        self._instructions = remote.node.create_publisher(String, 'instruction', qos.LATCHED)
        self._instructions.publish(String(data='pick up the red block'))

    def overhead(self, seconds: float) -> Overhead:
        """Measure the time from image to command; the arm rests while the model computes."""
        received = self._observe({'wait_for_motion': True, 'step_duration': 0.1}, seconds)
        transports, overheads = [], []
        for stamp, action in received.actions.items():
            statistics = received.statistics.get(action.sequence)
            if stamp in received.published and statistics is not None:
                taken = to_nanoseconds(action.observation_stamp)
                latency_ms = (received.published[stamp] - taken) / 1e6
                transports.append(statistics.transport_ms)
                overheads.append(latency_ms - statistics.transport_ms - _model_ms(statistics))
        return Overhead(
            actions=len(overheads), transport_ms=spread(transports), overhead_ms=spread(overheads)
        )

    def jitter(self, seconds: float) -> Jitter:
        """Measure when commands come while the model computes without a pause."""
        received = self._observe(
            {'wait_for_motion': False, 'step_duration': 1 / CONTROL_RATE}, seconds
        )
        stamps = sorted(received.published)
        off = lateness_ms(
            [received.published[stamp] for stamp in stamps],
            [stamp in received.actions for stamp in stamps],
            period_s=1 / CONTROL_RATE,
        )
        return Jitter(
            commands_hz=len(stamps) / seconds,
            busy=sum(map(_model_ms, received.statistics.values())) / 1e3 / seconds,
            jitter_ms=spread(off),
        )

    def _observe(self, parameters: dict[str, object], seconds: float) -> _Received:
        """Set parameters, let them take effect, and return what is received for some seconds."""
        self._remote.set_parameters(NODE, parameters)
        self._wait(SETTLING)
        self._begin_anew()
        self._wait(seconds)
        return self._begin_anew()

    def _begin_anew(self) -> _Received:
        """Return what has been received since the last call."""
        with self._lock:
            received, self._received = self._received, _Received()
        return received

    def _wait(self, seconds: float) -> None:
        ends = time.monotonic() + seconds
        while (left := ends - time.monotonic()) > 0:
            time.sleep(min(left, 0.2))
            self._check()

    def _on_twist(self, message: TwistStamped, info: MessageInfo) -> None:
        with self._lock:
            self._received.published[to_nanoseconds(message.header.stamp)] = info[
                'source_timestamp'
            ]

    def _on_action(self, message: VlaAction) -> None:
        with self._lock:
            self._received.actions[to_nanoseconds(message.header.stamp)] = message

    def _on_statistics(self, message: DecodeStatistics) -> None:
        with self._lock:
            self._received.statistics[message.sequence] = message


def _model_ms(statistics: DecodeStatistics) -> float:
    return statistics.phase_ms[list(statistics.phase_names).index(PHASE)]
