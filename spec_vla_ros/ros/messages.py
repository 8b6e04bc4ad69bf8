# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Makes the messages that the policy node publishes."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
from geometry_msgs.msg import Point, PoseStamped, Quaternion, TwistStamped, Vector3

from spec_vla_ros.control.poses import Pose
from spec_vla_ros.control.schedule import Twist
from spec_vla_ros.control.tick import Counters, Halt, NewAction, Reason
from spec_vla_ros.msg import DecodeStatistics, PolicyStatus, VlaAction
from spec_vla_ros.ros.converters import to_time
from spec_vla_ros.types import Action, accept_length


def action_message(new: NewAction, *, now_ns: int, frame_id: str) -> VlaAction:
    """Return the message on topic `action`, published when an action's execution begins."""
    values, stats = new.action.values, new.action.stats
    message = VlaAction(
        observation_stamp=to_time(new.observation_stamp_ns),
        sequence=new.sequence,
        instruction=new.instruction,
        delta_position=vector(values[:3]),
        delta_rotation=vector(values[3:6]),
        gripper_opening=gripper_opening(new),
        step_duration=new.step_duration,
        decode_mode=stats.mode,
        target_passes=stats.target_passes,
        draft_passes=stats.draft_passes,
        accept_lengths=list(stats.accept_lengths),
        inference_ms=new.inference_seconds * 1e3,
        latency_ms=latency_ms(new, now_ns=now_ns),
    )
    message.header.stamp = to_time(now_ns)
    message.header.frame_id = frame_id
    return message


def statistics_message(new: NewAction, *, now_ns: int) -> DecodeStatistics:
    """Return the message on topic `~/statistics`: how an action was decoded."""
    stats, dimensions = new.action.stats, len(new.action.values)
    message = DecodeStatistics(
        sequence=new.sequence,
        mode=stats.mode,
        acceptance_thresholds=list(stats.acceptance_thresholds or (0,) * dimensions),
        temporal_draft=stats.guesses > 0,
        draft_plan=stats.draft_plan,
        accept_lengths=list(stats.accept_lengths),
        accept_length=accept_length_of(new.action),
        target_passes=stats.target_passes,
        draft_passes=stats.draft_passes,
        drafting_off=stats.drafting_off,
        phase_names=list(stats.phases_ms),
        phase_ms=list(stats.phases_ms.values()),
        inference_ms=new.inference_seconds * 1e3,
        latency_ms=latency_ms(new, now_ns=now_ns),
        transport_ms=(new.observation_arrival_ns - new.observation_stamp_ns) / 1e6,
    )
    message.header.stamp = to_time(now_ns)
    return message


def accept_length_of(action: Action) -> float:
    """Return an action's accept length; NaN, as in the messages, if it had no verify rounds."""
    length = accept_length(len(action.values), action.stats.target_passes)
    return math.nan if length is None else length


def latency_ms(new: NewAction, *, now_ns: int) -> float:
    """Return the milliseconds since the image of an action was taken."""
    return (now_ns - new.observation_stamp_ns) / 1e6


def twist_message(twist: Twist, *, now_ns: int, frame_id: str) -> TwistStamped:
    """Return a velocity as a message."""
    message = TwistStamped()
    message.header.stamp = to_time(now_ns)
    message.header.frame_id = frame_id
    message.twist.linear = vector(twist.linear)
    message.twist.angular = vector(twist.angular)
    return message


def pose_message(pose: Pose, *, now_ns: int) -> PoseStamped:
    """Return a pose as a message, stamped with the present time."""
    message = PoseStamped()
    message.header.stamp = to_time(now_ns)
    message.header.frame_id = pose.frame_id
    x, y, z = map(float, pose.position)
    message.pose.position = Point(x=x, y=y, z=z)
    x, y, z, w = map(float, pose.quaternion)
    message.pose.orientation = Quaternion(x=x, y=y, z=z, w=w)
    return message


def status_message(
    halt: Halt | None,
    *,
    now_ns: int,
    instruction: str,
    counters: Counters,
    not_heard: tuple[str, ...] = (),
    held_back: str = '',
    drafting_off: bool = False,
    draft_plan: str = '',
) -> PolicyStatus:
    """Return the message on topic `status`.

    Args:
        halt: why the node halts, or that it does not; None if it is inactive.
        now_ns: the stamp.
        instruction: the one that is followed; empty for none.
        counters: what has happened so far.
        not_heard: each publisher that cannot be heard, in words.
        held_back: why an inactive node may not be activated; empty if it may.
        drafting_off: whether measured costs have switched drafting off in the mode in force.
        draft_plan: the plan of the last action.
    """
    if halt is None:
        state, halt = PolicyStatus.STATE_INACTIVE, Halt(Reason.NONE, held_back)
    elif halt.reason is Reason.NONE:
        state = PolicyStatus.STATE_RUNNING
    else:
        state = PolicyStatus.STATE_HALTED
    message = PolicyStatus(
        state=state,
        reason=int(halt.reason),
        reason_text=halt.text,
        instruction=instruction,
        not_heard=list(not_heard),
        drafting_off=drafting_off,
        draft_plan=draft_plan,
        **dataclasses.asdict(counters),
    )
    message.header.stamp = to_time(now_ns)
    return message


def gripper_opening(new: NewAction) -> float:
    """Return an action's gripper opening in [0, 1], from which the outermost bins may differ."""
    return float(np.clip(new.action.values[6], 0.0, 1.0))


def vector(values: np.ndarray) -> Vector3:
    """Return three numbers, (3,), as a message."""
    x, y, z = map(float, values)
    return Vector3(x=x, y=y, z=z)
