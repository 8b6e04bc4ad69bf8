# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""How the hand of LIBERO's expert approaches a goal: up, across at a free height, and down."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spec_vla_ros.sim.libero.scene import Goal, Scene

_OVER = 0.025  # metres between the lowest of the hand and what it passes over


@dataclass(frozen=True, slots=True)
class Funnel:
    """The space above a goal through which the hand descends, and when it has arrived.

    aside, height: horizontal and vertical distance from the goal that count as arrived, metres.
    straight: within this horizontal distance the hand descends straight to the goal, metres.
    above: beyond this horizontal distance it stays above everything, metres. In between its
        height is interpolated.
    descent_turn: turn that may remain while it descends, radians.
    arrived_turn: turn that may remain when it has arrived, radians.
    """

    aside: float
    height: float
    straight: float
    above: float
    descent_turn: float
    arrived_turn: float

    def reached(self, position: np.ndarray, at: np.ndarray) -> bool:
        """Return whether a position (3,) is near enough to the goal (3,), metres."""
        aside = float(np.linalg.norm(at[:2] - position[:2])) / self.aside
        return bool(np.hypot(aside, (at[2] - position[2]) / self.height) < 1.0)


NARROW = Funnel(
    aside=0.007, height=0.007, straight=0.008, above=0.030, descent_turn=0.1, arrived_turn=0.08
)
"""For a thing that hardly fits between the fingers, or into its place."""

WIDE = Funnel(
    aside=0.018, height=0.015, straight=0.025, above=0.055, descent_turn=0.25, arrived_turn=0.2
)
"""For grasping a rim, and for placing onto something. A policy estimates the hand's position from
the image to about a centimetre. With a narrower funnel it could not tell whether to go up or down,
and would hover."""


def over_then_down(
    position: np.ndarray, at: np.ndarray, *, over: float, funnel: Funnel, turn: float = 0.0
) -> np.ndarray:
    """Return the displacement (3,) to go next, metres: across at a free height, then down.

    It is a continuous function of the position, so that similar positions have similar actions.

    Args:
        position: (3,), the present position of the grasp point, metres.
        at: (3,), the goal, metres.
        over: height at which the way across is free, metres.
        funnel: the space for the descent.
        turn: how far the hand must still turn, radians.
    """
    across = at[:2] - position[:2]
    misplaced = (float(np.linalg.norm(across)) - funnel.straight) / (
        funnel.above - funnel.straight
    )
    share = float(np.clip(max(misplaced, (turn - funnel.descent_turn) / 0.3), 0.0, 1.0))
    height = at[2] + share * (max(over, at[2]) - at[2])
    # Far aside, go up before going across.
    missing = np.clip((over - position[2]) / 0.06, 0.0, 1.0) if share == 1.0 else 0.0
    return np.array([*(across * (1.0 - missing)), height - position[2]])


def free_height(
    scene: Scene,
    at: np.ndarray,
    *,
    without: tuple[str, ...],
    below: float = 0.012,
    reach: float = 0.0,
) -> float:
    """Return the height of the grasp point at which the way across to a goal is free, metres.

    Args:
        scene: the present scene.
        at: (3,), the goal, metres.
        without: names of things that may be ignored.
        below: how far the fingers, or the thing that they hold, reach below the grasp point.
        reach: how far the held thing reaches sideways.
    """
    others = points_except(scene, without)
    here, way = scene.position[:2], at[:2] - scene.position[:2]
    share = np.clip((others[:, :2] - here) @ way / max(float(way @ way), 1e-9), 0.0, 1.0)
    aside = np.linalg.norm(others[:, :2] - (here + share[:, None] * way), axis=1)
    by_fingers = others[aside < 0.04 + reach, 2] + below + _OVER
    by_hand = others[aside < 0.11, 2] - 0.03
    return float(np.max(np.concatenate([by_fingers, by_hand]), initial=at[2]))


def way_from_under(scene: Scene, name: str) -> np.ndarray | None:
    """Return the displacement (2,), metres, that brings a thing out from under others.

    None if nothing is above it. A bowl in a drawer, for example, may reach under the cabinet.
    """
    points = scene.things[name].points
    low, high = points.min(axis=0), points.max(axis=0)
    others = points_except(scene, (name,))
    inside = np.all((others[:, :2] > low[:2]) & (others[:, :2] < high[:2]), axis=1)
    above = others[inside & (others[:, 2] > high[2]), :2] - (low[:2] + high[:2]) / 2
    if not len(above):
        return None
    away = -above.mean(axis=0)
    away /= max(float(np.linalg.norm(away)), 1e-9)
    radius = float((high - low)[:2].max()) / 2
    return away * (radius + float((above @ away).max()) + 0.005)


def release_height(scene: Scene, goal: Goal) -> float:
    """Return the height of a thing's lower end at which it is released over its place, metres."""
    assert goal.place is not None
    onto = scene.things.get(goal.onto or '')
    if goal.relation == 'in' and onto is not None:
        return float(onto.points[:, 2].max()) + 0.02
    if onto is not None and np.array_equal(onto.origin, goal.place):
        near = np.linalg.norm(onto.points[:, :2] - goal.place[:2], axis=1) < 0.06
        return float(onto.points[near, 2].max(initial=goal.place[2])) + 0.004
    return float(goal.place[2]) + 0.006


def points_except(scene: Scene, names: tuple[str, ...]) -> np.ndarray:
    """Return the points (N, 3) of all things but these."""
    kept = [thing.points for name, thing in scene.things.items() if name not in names]
    return np.concatenate([np.empty((0, 3)), *kept])
