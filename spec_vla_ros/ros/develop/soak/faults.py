# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The faults that are injected, and how the node must react to each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from std_msgs.msg import Bool
from std_srvs.srv import Trigger

from spec_vla_ros.msg import PolicyStatus
from spec_vla_ros.ros import qos
from spec_vla_ros.ros.develop.soak import relay
from spec_vla_ros.ros.develop.soak.processes import POLICY, RELAY, ROBOT, SoakProcesses
from spec_vla_ros.ros.develop.soak.watch import TopicWatch
from spec_vla_ros.ros.remote import RemoteNode
from spec_vla_ros.settings.nodes import PolicySettings, SimSettings
from spec_vla_ros.types import MODES

NODE = '/spec_vla'
MARGIN = 0.25
"""Seconds allowed in addition to a limit, for transport and scheduling."""

AT_ONCE = 2 / PolicySettings().control_rate
STEP = PolicySettings().step_duration
IMAGE_TIMEOUT = PolicySettings().image_timeout
LAST_ACTION = PolicySettings().inference_timeout + STEP
"""Seconds after the last good image until the action inferred from it has been executed."""


@dataclass(frozen=True)
class FaultTools:
    """What injecting and repairing a fault needs.

    remote: the node to call with.
    watch: the observed topics.
    parts: the processes.
    rng: random numbers.
    instruction: of the running episode.
    """

    remote: RemoteNode
    watch: TopicWatch
    parts: SoakProcesses
    rng: np.random.Generator
    instruction: str = ''


def _nothing(tools: FaultTools) -> None:
    """Do nothing."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One kind of fault.

    begin, end: inject the fault, and repair it.
    limit: seconds after the fault until the last non-zero velocity command, without `MARGIN`; None
        if the node must not halt.
    reason: PolicyStatus.REASON_* that must be reported meanwhile; None for no requirement.
    at_arm: whether the arm itself is observed instead of the commands, since nobody commands it.
    kills: whether a process is killed.
    takes_time: whether the fault is in force from the end of `begin`, not from its beginning.
    """

    name: str
    begin: Callable[[FaultTools], object]
    end: Callable[[FaultTools], object] = field(default=_nothing)
    limit: float | None = None
    reason: int | None = None
    at_arm: bool = False
    kills: bool = False
    takes_time: bool = False

    @property
    def duration(self) -> float:
        """How long the fault lasts, seconds."""
        return 1.0 if self.limit is None else self.limit + MARGIN + 1.0


def all_faults(remote: RemoteNode) -> list[Fault]:
    """Return all faults."""
    stop = remote.node.create_publisher(Bool, 'emergency_stop', qos.LATCHED)

    def let_go(tools: FaultTools) -> None:
        stop.publish(Bool(data=False))  # latched; a node started later must not find it pressed
        _reset(tools)

    return [
        _camera('camera silent', relay.SILENT, PolicyStatus.REASON_STALE_IMAGE, IMAGE_TIMEOUT),
        _camera(
            'camera frozen',
            relay.FROZEN,
            PolicyStatus.REASON_FROZEN_IMAGE,
            # counted from the first motion that the frozen pixels do not show
            IMAGE_TIMEOUT + 2 * STEP,
        ),
        _camera('images stamped late', relay.LATE, PolicyStatus.REASON_STALE_IMAGE, AT_ONCE),
        _camera('depth images', relay.DEPTH, PolicyStatus.REASON_INFERENCE_ERROR, LAST_ACTION),
        _camera(
            'truncated images', relay.TRUNCATED, PolicyStatus.REASON_INFERENCE_ERROR, LAST_ACTION
        ),
        _instruction('instruction cancelled', '', PolicyStatus.REASON_NO_INSTRUCTION),
        _instruction(
            'instruction of control characters', 'pick\x07 up', PolicyStatus.REASON_BAD_INSTRUCTION
        ),
        _instruction('huge instruction', 'pick ' * 5000, PolicyStatus.REASON_BAD_INSTRUCTION),
        _instruction('unknown words', 'fly me to the moon', PolicyStatus.REASON_BAD_INSTRUCTION),
        Fault(
            name='emergency stop',
            begin=lambda tools: stop.publish(Bool(data=True)),
            end=let_go,
            limit=AT_ONCE,
            reason=PolicyStatus.REASON_EMERGENCY_STOP,
        ),
        Fault(
            name='deactivated',
            takes_time=True,
            begin=lambda tools: tools.remote.deactivate(NODE),
            end=lambda tools: tools.remote.activate(NODE),
            limit=AT_ONCE,
        ),
        Fault(name='parameters changed', begin=_change_parameters),
        Fault(name='wrong parameters', begin=_wrong_parameters),
        _killed('robot killed', ROBOT, PolicyStatus.REASON_STALE_IMAGE, IMAGE_TIMEOUT),
        _killed('camera relay killed', RELAY, PolicyStatus.REASON_STALE_IMAGE, IMAGE_TIMEOUT),
        Fault(
            name='inference process killed',
            begin=lambda tools: tools.parts.kill_worker(),
            limit=STEP + AT_ONCE,
            reason=PolicyStatus.REASON_WORKER_DOWN,
            kills=True,
        ),
        Fault(
            name='policy node killed',
            begin=lambda tools: tools.parts.kill(POLICY),
            end=_restart_policy,
            limit=SimSettings().command_timeout,
            at_arm=True,
            kills=True,
        ),
    ]


def _camera(name: str, mode: str, reason: int, limit: float) -> Fault:
    def end(tools: FaultTools) -> None:
        tools.watch.relay(relay.PASS)
        _reset(tools)  # after many unreadable images the node needs a reset

    return Fault(
        name=name,
        begin=lambda tools: tools.watch.relay(mode),
        end=end,
        limit=limit,
        reason=reason,
    )


def _instruction(name: str, text: str, reason: int) -> Fault:
    # A command for the old instruction may still come at the next tick, but none after it.
    return Fault(
        name=name,
        begin=lambda tools: tools.watch.instruct(text),
        end=lambda tools: tools.watch.instruct(tools.instruction),
        limit=AT_ONCE,
        reason=reason,
    )


def _killed(name: str, part: str, reason: int, limit: float) -> Fault:
    return Fault(
        name=name,
        begin=lambda tools: tools.parts.kill(part),
        end=lambda tools: tools.parts.start(part),
        limit=limit,
        reason=reason,
        kills=True,
    )


def _reset(tools: FaultTools) -> None:
    tools.remote.call(Trigger, f'{NODE}/reset', Trigger.Request())
    tools.watch.instruct(tools.instruction)


def _restart_policy(tools: FaultTools) -> None:
    tools.parts.start(POLICY)
    if not (tools.remote.configure(NODE) and tools.remote.activate(NODE)):
        raise TimeoutError('the policy node did not come back after it was killed')


def _change_parameters(tools: FaultTools) -> None:
    tools.remote.set_parameters(
        NODE,
        {
            'acceptance_threshold': int(tools.rng.integers(0, 10)),
            'temporal_draft': bool(tools.rng.integers(0, 2)),
            'decoding_mode': str(tools.rng.choice(MODES)),
        },
    )


def _wrong_parameters(tools: FaultTools) -> None:
    for values in (
        {'acceptance_threshold': 256},
        {'acceptance_threshold': 1.5},
        {'decoding_mode': 'guess'},
        {'control_rate': 5.0},
        {'image_timeout': float('nan')},
        {'dry_run': True, 'max_velocity': [1e9] * 6},
    ):
        if tools.remote.set_parameters(NODE, values).successful:
            raise ValueError(f'the node took {values}')
