# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""What the policy does, as markers for RViz and Foxglove."""

from __future__ import annotations

import numpy as np
from geometry_msgs.msg import Point
from std_msgs.msg import ColorRGBA
from visualization_msgs.msg import Marker, MarkerArray

from spec_vla_ros.control.tick import Halt, NewAction, Reason
from spec_vla_ros.control.watches import Pose
from spec_vla_ros.ros.converters import to_time
from spec_vla_ros.types import accept_length

PATH_STEPS = 10
"""The predicted path is where the end effector comes to when this many actions are the same."""

BLUE = ColorRGBA(r=0.2, g=0.5, b=1.0, a=1.0)
ORANGE = ColorRGBA(r=1.0, g=0.6, b=0.1, a=0.8)
WHITE = ColorRGBA(r=1.0, g=1.0, b=1.0, a=1.0)
RED = ColorRGBA(r=1.0, g=0.2, b=0.2, a=1.0)
TEXT_HEIGHT, TEXT_ABOVE = 0.025, 0.12  # metres


def marker_array(
    new: NewAction | None, halt: Halt, *, pose: Pose | None, now_ns: int, frame_id: str
) -> MarkerArray:
    """Return an arrow along the commanded delta, the predicted path, and words.

    new: the action that is being executed, if one is. pose: where the end effector is; without
    it, or in another frame, everything is shown at the frame's origin.
    """
    origin = np.zeros(3)
    if pose is not None and pose.frame_id == frame_id:
        origin = np.asarray(pose.position, dtype=float)

    def marker(name: str, kind: int, colour: ColorRGBA) -> Marker:
        result = Marker(ns=name, type=kind, action=Marker.ADD, color=colour)
        result.header.frame_id = frame_id
        result.header.stamp = to_time(now_ns)
        result.pose.orientation.w = 1.0
        return result

    words = marker('words', Marker.TEXT_VIEW_FACING, WHITE if halt.reason is Reason.NONE else RED)
    words.pose.position = _point(origin + np.array([0, 0, TEXT_ABOVE]))
    words.scale.z = TEXT_HEIGHT
    words.text = '\n'.join(caption(new, halt))
    arrow, path = marker('delta', Marker.ARROW, BLUE), marker('path', Marker.LINE_STRIP, ORANGE)
    if new is None:
        arrow.action = path.action = Marker.DELETE
        return MarkerArray(markers=[arrow, path, words])
    delta = np.asarray(new.action.values[:3], dtype=float)
    arrow.points = [_point(origin), _point(origin + delta)]
    arrow.scale.x, arrow.scale.y, arrow.scale.z = 0.004, 0.008, 0.008  # shaft, head
    path.points = [_point(origin + step * delta) for step in range(PATH_STEPS + 1)]
    path.scale.x = 0.002
    return MarkerArray(markers=[arrow, path, words])


def caption(new: NewAction | None, halt: Halt) -> list[str]:
    """Return in lines why the arm stands still, or how its action was decoded."""
    if halt.reason is not Reason.NONE:
        return [f'halted: {halt.text}']
    if new is None:
        return ['running']
    stats, dimensions = new.action.stats, len(new.action.values)
    mode = stats.mode
    if stats.acceptance_thresholds:
        mode += f' r={max(stats.acceptance_thresholds)}'
    length = accept_length(dimensions, stats.target_passes)
    rounds = 'no verify round' if length is None else f'accept length {length:.2f}'
    return [
        f'{mode}, {rounds}, {stats.target_passes} passes, {new.inference_seconds * 1e3:.0f} ms'
    ]


def _point(position: np.ndarray) -> Point:
    x, y, z = map(float, position)
    return Point(x=x, y=y, z=z)
