# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Listens to a node under measurement, and keeps what it says."""

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
class _Heard:
    """What was said in one stretch of time.

    published: of a command with this stamp, when it was. actions: by the stamp of their first
    command. statistics: by the number of the action.
    """

    published: dict[int, int] = field(default_factory=dict)
    actions: dict[int, VlaAction] = field(default_factory=dict)
    statistics: dict[int, DecodeStatistics] = field(default_factory=dict)


class Observer:
    """Switches a policy node between two ways of working and takes figures of each.

    Args:
        remote: in the node's domain.
        check: called a few times a second while it measures; may raise to end that.
    """

    def __init__(self, remote: RemoteNode, *, check: Callable[[], None]) -> None:
        self._remote, self._check = remote, check
        self._heard, self._lock = _Heard(), threading.Lock()  # is heard in another thread
        remote.subscribe(TwistStamped, 'delta_twist_cmds', self._on_twist, qos.COMMAND)
        remote.subscribe(VlaAction, 'action', self._on_action, qos.COMMAND)
        remote.subscribe(DecodeStatistics, 'spec_vla/statistics', self._on_statistics, qos.COMMAND)
        self._instructions = remote.node.create_publisher(String, 'instruction', qos.LATCHED)
        self._instructions.publish(String(data='pick up the red block'))

    def overhead(self, seconds: float) -> Overhead:
        """Measure image to command, the arm resting while the model works."""
        heard = self._observe({'wait_for_motion': True, 'step_duration': 0.1}, seconds)
        transports, overheads = [], []
        for stamp, action in heard.actions.items():
            statistics = heard.statistics.get(action.sequence)
            if stamp in heard.published and statistics is not None:
                taken = to_nanoseconds(action.observation_stamp)
                latency_ms = (heard.published[stamp] - taken) / 1e6
                transports.append(statistics.transport_ms)
                overheads.append(latency_ms - statistics.transport_ms - _model_ms(statistics))
        return Overhead(
            actions=len(overheads), transport_ms=spread(transports), overhead_ms=spread(overheads)
        )

    def jitter(self, seconds: float) -> Jitter:
        """Measure when commands come while the model works without a pause."""
        heard = self._observe(
            {'wait_for_motion': False, 'step_duration': 1 / CONTROL_RATE}, seconds
        )
        stamps = sorted(heard.published)
        off = lateness_ms(
            [heard.published[stamp] for stamp in stamps],
            [stamp in heard.actions for stamp in stamps],
            period_s=1 / CONTROL_RATE,
        )
        return Jitter(
            commands_hz=len(stamps) / seconds,
            busy=sum(map(_model_ms, heard.statistics.values())) / 1e3 / seconds,
            jitter_ms=spread(off),
        )

    def _observe(self, parameters: dict[str, object], seconds: float) -> _Heard:
        """Return what is heard for so long; nothing is added to it any more."""
        self._remote.set_parameters(NODE, parameters)
        self._wait(SETTLING)
        self._begin_anew()
        self._wait(seconds)
        return self._begin_anew()

    def _begin_anew(self) -> _Heard:
        with self._lock:
            heard, self._heard = self._heard, _Heard()
        return heard

    def _wait(self, seconds: float) -> None:
        ends = time.monotonic() + seconds
        while (left := ends - time.monotonic()) > 0:
            time.sleep(min(left, 0.2))
            self._check()

    def _on_twist(self, message: TwistStamped, info: MessageInfo) -> None:
        with self._lock:
            self._heard.published[to_nanoseconds(message.header.stamp)] = info['source_timestamp']

    def _on_action(self, message: VlaAction) -> None:
        with self._lock:
            self._heard.actions[to_nanoseconds(message.header.stamp)] = message

    def _on_statistics(self, message: DecodeStatistics) -> None:
        with self._lock:
            self._heard.statistics[message.sequence] = message


def _model_ms(statistics: DecodeStatistics) -> float:
    return statistics.phase_ms[list(statistics.phase_names).index(PHASE)]
