# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Ranks the ways to grasp a thing from above: by its width, free space, turn and reach."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter

import numpy as np

from spec_vla_ros.sim.libero.motion import rotation_vector

WIDEST = 0.074
"""Widest thing that still fits between the fingers, metres; they open to 0.08."""

# Lengths in metres.
_ANGLES = 36  # directions of closing that are tried
_ALONG = (0.0, 0.4, -0.4)  # places along a thing that are tried, as a share of half its length
_ENOUGH_ROOM = 0.02  # more free space than this makes a grasp no better
_DEPTH, _RIM_DEPTH = 0.020, 0.030  # of the grasp point below the thing's top
_OVER_FLOOR = 0.012  # of the grasp point above the thing's lower end, at least
_RIM_HEIGHT, _RIM_INSET = 0.012, 0.004  # points this near the top are the rim; thickness of a rim
_FINGER_OPEN = 0.048  # distance of an open finger's middle from the grasp point
_INSIDE = 4.0  # how much worse a missing millimetre is than a further free one is better

# A Panda whose hand points down, metres: height of the shoulder above the arm's foot, height of
# the wrist above the grasp point, and horizontal distance of the wrist from it. Beyond the easy
# stretch from shoulder to wrist, each metre costs `_STRETCH_COST`: at 0.70 the elbow is straight,
# and the controller cannot move away from there.
_SHOULDER, _WRIST, _WRIST_BACK = 0.333, 0.210, 0.088
_EASY_STRETCH, _STRETCH_COST = 0.65, 60.0

# Boxes in the gripper's frame, whose third axis points down: half sides of a finger and its
# height, then middle and half sides of the hand.
_FINGER = np.array([0.011, 0.016, 0.030])
_FINGER_HEIGHT = -0.020
_HAND = (np.array([0.0, 0.0, -0.078]), np.array([0.035, 0.104, 0.040]))


@dataclass(frozen=True, slots=True)
class Grasp:
    """One way to grasp a thing.

    kind: 'body' for the whole thing, 'rim' for one finger inside a vessel.
    position: (3,) of the grasp point, metres.
    rotation: (3, 3) of the gripper.
    score: higher is better.
    """

    kind: str
    position: np.ndarray
    rotation: np.ndarray
    score: float


def rank_grasps(
    points: np.ndarray,
    others: np.ndarray,
    *,
    rotation: np.ndarray,
    base: np.ndarray,
    failed: Sequence[Grasp] = (),
) -> list[Grasp]:
    """Return ways to grasp a thing from above, the best first.

    Args:
        points: (N, 3), all over the thing, metres.
        others: (M, 3), all over what must not be hit, metres.
        rotation: (3, 3), the present one of the gripper; less turn is better. For rims the hand's
            rotation at the beginning of an episode is used instead: a rim is alike all around, and
            the place to grasp it should not change with the hand.
        base: (3,) of the arm's foot, metres; far from it, grasps are hard to reach.
        failed: grasps that did not hold; similar ones are ranked last.
    """
    low, high = points.min(axis=0), points.max(axis=0)
    middle = (low[:2] + high[:2]) / 2
    rim = points[points[:, 2] > high[2] - _RIM_HEIGHT][:, :2]
    found: list[Grasp] = []
    for angle in np.linspace(0, 2 * np.pi, _ANGLES, endpoint=False):
        across = np.array([np.cos(angle), np.sin(angle)])
        turned = downwards(angle)
        along = turned[:2, 0]
        spread = points[:, :2] @ across
        width = float(np.ptp(spread))
        if width < WIDEST:
            turn = _turn_cost(turned, rotation)
            centre = middle + across * ((spread.max() + spread.min()) / 2 - middle @ across)
            length = float(np.ptp(points[:, :2] @ along)) / 2
            height = max(low[2] + _OVER_FLOOR, high[2] - _DEPTH)
            for share in _ALONG if length > 0.025 else (0.0,):
                at = np.array([*(centre + along * share * length), height])
                room = clearance(others, at, turned, opening=_FINGER_OPEN)
                cost = turn + 0.5 * abs(share) + 1.5 * (width / WIDEST) ** 2
                found.append(
                    Grasp('body', at, turned, _score(room, cost + _stretch_cost(at - base)))
                )
        else:
            radius = float(((rim - middle) @ across).max()) - _RIM_INSET
            at = np.array([*(middle + across * radius), high[2] - _RIM_DEPTH])
            room = clearance(others, at, turned, opening=_FINGER_OPEN)
            # Either finger may be inside.
            back = downwards(angle + np.pi)
            turn, turned = min(
                ((_turn_cost(r, _AT_REST), r) for r in (turned, back)), key=itemgetter(0)
            )
            found.append(
                Grasp('rim', at, turned, _score(room, turn + 2.0 + _stretch_cost(at - base)))
            )
    return sorted(found, key=lambda g: g.score - 3.0 * sum(_alike(g, f) for f in failed))[::-1]


def clearance(
    others: np.ndarray, position: np.ndarray, rotation: np.ndarray, *, opening: float
) -> float:
    """Return the distance of the gripper from the nearest point, metres; negative if inside.

    Args:
        others: (N, 3), points that must not be hit, metres.
        position: (3,) of the grasp point, metres.
        rotation: (3, 3) of the gripper.
        opening: distance of each finger from the grasp point, metres.
    """
    if not len(others):
        return np.inf
    local = (others - position) @ rotation
    fingers = [np.array([0.0, side * opening, _FINGER_HEIGHT]) for side in (-1, 1)]
    boxes = [(finger, _FINGER) for finger in fingers] + [_HAND]
    return min(_distance_to_box(local, middle, half) for middle, half in boxes)


def downwards(angle: float) -> np.ndarray:
    """Return the rotation (3, 3) of a gripper that points down; it closes along this angle."""
    across = np.array([np.cos(angle), np.sin(angle), 0.0])
    down = np.array([0.0, 0.0, -1.0])
    return np.stack([np.cross(across, down), across, down], axis=1)


def _turn_cost(one: np.ndarray, other: np.ndarray) -> float:
    """Return the cost of turning the hand from one rotation (3, 3) to the other."""
    return 0.4 * float(np.linalg.norm(rotation_vector(one @ other.T)))


def _score(room: float, cost: float) -> float:
    return 100.0 * (min(room, _ENOUGH_ROOM) if room > 0 else _INSIDE * room) - cost


_AT_REST = downwards(-np.pi / 2)  # the hand at the beginning of an episode


def _stretch_cost(reach: np.ndarray) -> float:
    """Return the cost of a grasp point at this displacement (3,) from the arm's foot."""
    across = float(np.linalg.norm(reach[:2])) - _WRIST_BACK
    stretch = float(np.hypot(across, reach[2] + _WRIST - _SHOULDER))
    return _STRETCH_COST * max(0.0, stretch - _EASY_STRETCH)


def _distance_to_box(points: np.ndarray, middle: np.ndarray, half: np.ndarray) -> float:
    beyond = np.abs(points - middle) - half
    outside = float(np.linalg.norm(np.maximum(beyond, 0), axis=1).min())
    return outside + min(0.0, float(beyond.max(axis=1).min()))


def _alike(one: Grasp, other: Grasp) -> bool:
    near = float(np.linalg.norm(one.position - other.position)) < 0.03
    return near and float(np.trace(one.rotation.T @ other.rotation)) > 2.7
