# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The faults that are injected, and what must come of each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from std_msgs.msg import Bool
from std_srvs.srv import Trigger

from spec_vla_ros.msg import PolicyStatus
from spec_vla_ros.ros import qos
from spec_vla_ros.ros.develop.soak import relay
from spec_vla_ros.ros.develop.soak.parts import POLICY, RELAY, ROBOT, Parts
from spec_vla_ros.ros.develop.soak.watch import Watch
from spec_vla_ros.ros.remote import RemoteNode
from spec_vla_ros.settings.nodes import PolicySettings, SimSettings
from spec_vla_ros.types import MODES

NODE = '/spec_vla'
MARGIN = 0.25
"""Seconds allowed for messages on their way and for being scheduled, on top of a limit."""

AT_ONCE = 2 / PolicySettings().control_rate
STEP = PolicySettings().step_duration
IMAGE_TIMEOUT = PolicySettings().image_timeout
LAST_ACTION = PolicySettings().inference_timeout + STEP
"""What is being inferred from the last good image may take so long, and is then executed."""


@dataclass(frozen=True)
class Hands:
    """What a fault works with."""

    remote: RemoteNode
    watch: Watch
    parts: Parts
    rng: np.random.Generator
    instruction: str


def _nothing(hands: Hands) -> None:
    """Leave things as they are."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One thing that goes wrong.

    begin, end: do it, and set it right again.
    limit: seconds within which the last velocity that is not zero must have come, the margin not
        included; None: it must not halt at all.
    reason: PolicyStatus.REASON_* that must be reported meanwhile; None: none needs to be.
    at_arm: it is the arm itself that must stand still, since nobody commands it any more.
    kills: a process of ours ends.
    takes_time: it is in force when `begin` returns; else from when it is called.
    """

    name: str
    begin: Callable[[Hands], object]
    end: Callable[[Hands], object] = field(default=_nothing)
    limit: float | None = None
    reason: int | None = None
    at_arm: bool = False
    kills: bool = False
    takes_time: bool = False

    @property
    def duration(self) -> float:
        """Seconds for which it lasts."""
        return 1.0 if self.limit is None else self.limit + MARGIN + 1.0


def all_faults(remote: RemoteNode) -> list[Fault]:
    """Return every fault there is."""
    stop = remote.node.create_publisher(Bool, 'emergency_stop', qos.LATCHED)

    def let_go(hands: Hands) -> None:
        stop.publish(Bool(data=False))  # or a node that is started later finds it pressed
        _reset(hands)

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
            begin=lambda hands: stop.publish(Bool(data=True)),
            end=let_go,
            limit=AT_ONCE,
            reason=PolicyStatus.REASON_EMERGENCY_STOP,
        ),
        Fault(
            name='deactivated',
            takes_time=True,
            begin=lambda hands: hands.remote.deactivate(NODE),
            end=lambda hands: hands.remote.activate(NODE),
            limit=AT_ONCE,
        ),
        Fault(name='parameters changed', begin=_change_parameters),
        Fault(name='wrong parameters', begin=_wrong_parameters),
        _killed('robot killed', ROBOT, PolicyStatus.REASON_STALE_IMAGE, IMAGE_TIMEOUT),
        _killed('camera relay killed', RELAY, PolicyStatus.REASON_STALE_IMAGE, IMAGE_TIMEOUT),
        Fault(
            name='inference process killed',
            begin=lambda hands: hands.parts.kill_worker(),
            limit=STEP + AT_ONCE,
            reason=PolicyStatus.REASON_WORKER_DOWN,
            kills=True,
        ),
        Fault(
            name='policy node killed',
            begin=lambda hands: hands.parts.kill(POLICY),
            end=_restart_policy,
            limit=SimSettings().command_timeout,
            at_arm=True,
            kills=True,
        ),
    ]


def _camera(name: str, mode: str, reason: int, limit: float) -> Fault:
    def end(hands: Hands) -> None:
        hands.watch.relay(relay.PASS)
        _reset(hands)  # after many unreadable images in a row it has given up

    return Fault(
        name=name,
        begin=lambda hands: hands.watch.relay(mode),
        end=end,
        limit=limit,
        reason=reason,
    )


def _instruction(name: str, text: str, reason: int) -> Fault:
    # what was inferred for the last instruction may still be executed for one tick, no more
    return Fault(
        name=name,
        begin=lambda hands: hands.watch.instruct(text),
        end=lambda hands: hands.watch.instruct(hands.instruction),
        limit=AT_ONCE,
        reason=reason,
    )


def _killed(name: str, part: str, reason: int, limit: float) -> Fault:
    return Fault(
        name=name,
        begin=lambda hands: hands.parts.kill(part),
        end=lambda hands: hands.parts.start(part),
        limit=limit,
        reason=reason,
        kills=True,
    )


def _reset(hands: Hands) -> None:
    hands.remote.call(Trigger, f'{NODE}/reset', Trigger.Request())
    hands.watch.instruct(hands.instruction)


def _restart_policy(hands: Hands) -> None:
    hands.parts.start(POLICY)
    if not (hands.remote.configure(NODE) and hands.remote.activate(NODE)):
        raise TimeoutError('the policy node did not come back after it was killed')


def _change_parameters(hands: Hands) -> None:
    hands.remote.set_parameters(
        NODE,
        {
            'acceptance_threshold': int(hands.rng.integers(0, 10)),
            'temporal_draft': bool(hands.rng.integers(0, 2)),
            'decoding_mode': str(hands.rng.choice(MODES)),
        },
    )


def _wrong_parameters(hands: Hands) -> None:
    for values in (
        {'acceptance_threshold': 256},
        {'acceptance_threshold': 1.5},
        {'decoding_mode': 'guess'},
        {'control_rate': 5.0},
        {'image_timeout': float('nan')},
        {'dry_run': True, 'max_velocity': [1e9] * 6},
    ):
        if hands.remote.set_parameters(NODE, values).successful:
            raise ValueError(f'the node took {values}')
