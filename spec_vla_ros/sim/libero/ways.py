# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Which way the hand of LIBERO's expert goes: up, across where all is free, and down."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spec_vla_ros.sim.libero.scene import Goal, Scene

_OVER = 0.025


@dataclass(frozen=True, slots=True)
class Funnel:
    """From how far aside the hand goes down to its goal, and when it is there.

    there, level: metres aside of the goal, and above or below, that count as there. near: aside,
    still straight down. far: up over everything; in between it goes down a slope. turn: radians
    that may be missing on the way down. turned: and when it is there.
    """

    there: float
    level: float
    near: float
    far: float
    turn: float
    turned: float

    def reached(self, position: np.ndarray, at: np.ndarray) -> bool:
        """Return whether a position (3,) counts as the goal (3,)."""
        aside = float(np.linalg.norm(at[:2] - position[:2])) / self.there
        return bool(np.hypot(aside, (at[2] - position[2]) / self.level) < 1.0)


NARROW = Funnel(there=0.007, level=0.007, near=0.008, far=0.030, turn=0.1, turned=0.08)
"""Of what hardly fits between the fingers, or into what it is placed in."""

WIDE = Funnel(there=0.018, level=0.015, near=0.025, far=0.055, turn=0.25, turned=0.2)
"""Of a rim, and of what is placed onto something. Whoever learns from pictures sees the hand a
centimetre off, and would not know up from down in a narrower one: it would hover."""


def over_then_down(
    position: np.ndarray, at: np.ndarray, *, over: float, funnel: Funnel, turn: float = 0.0
) -> np.ndarray:
    """Return the way (3,) to go next: across at a free height, down once it is above the goal.

    A smooth function of where it is, so that neighbouring positions ask for similar actions.

    Args:
        position: (3,) now.
        at: (3,) the goal.
        over: height at which the way across is free.
        funnel: above the goal.
        turn: that is still to be made, radians.
    """
    across = at[:2] - position[:2]
    misplaced = (float(np.linalg.norm(across)) - funnel.near) / (funnel.far - funnel.near)
    share = float(np.clip(max(misplaced, (turn - funnel.turn) / 0.3), 0.0, 1.0))
    height = at[2] + share * (max(over, at[2]) - at[2])
    # Up first: across only as far as that has been done.
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
    """Return how high the grasp point must be for a free way across to the goal, metres.

    Args:
        scene: now.
        at: (3,) the goal.
        without: things that are no hindrance.
        below: how far fingers, or what they hold, reach below the grasp point.
        reach: how far what they hold reaches sideways.
    """
    others = others_than(scene, without)
    here, way = scene.position[:2], at[:2] - scene.position[:2]
    share = np.clip((others[:, :2] - here) @ way / max(float(way @ way), 1e-9), 0.0, 1.0)
    aside = np.linalg.norm(others[:, :2] - (here + share[:, None] * way), axis=1)
    by_fingers = others[aside < 0.04 + reach, 2] + below + _OVER
    by_hand = others[aside < 0.11, 2] - 0.03
    return float(np.max(np.concatenate([by_fingers, by_hand]), initial=at[2]))


def way_out(scene: Scene, name: str) -> np.ndarray | None:
    """Return how far a thing must go (2,) until nothing is above it; None where nothing is.

    A bowl in a drawer may reach under the cabinet.
    """
    points = scene.things[name].points
    low, high = points.min(axis=0), points.max(axis=0)
    others = others_than(scene, (name,))
    inside = np.all((others[:, :2] > low[:2]) & (others[:, :2] < high[:2]), axis=1)
    above = others[inside & (others[:, 2] > high[2]), :2] - (low[:2] + high[:2]) / 2
    if not len(above):
        return None
    away = -above.mean(axis=0)
    away /= max(float(np.linalg.norm(away)), 1e-9)
    radius = float((high - low)[:2].max()) / 2
    return away * (radius + float((above @ away).max()) + 0.005)


def surface(scene: Scene, goal: Goal) -> float:
    """Return the height at which the lower end of what is placed is let go, metres."""
    assert goal.place is not None
    onto = scene.things.get(goal.onto or '')
    if goal.relation == 'in' and onto is not None:
        return float(onto.points[:, 2].max()) + 0.02
    if onto is not None and np.array_equal(onto.origin, goal.place):
        near = np.linalg.norm(onto.points[:, :2] - goal.place[:2], axis=1) < 0.06
        return float(onto.points[near, 2].max(initial=goal.place[2])) + 0.004
    return float(goal.place[2]) + 0.006


def others_than(scene: Scene, names: tuple[str, ...]) -> np.ndarray:
    """Return the points (N, 3) of everything but these things."""
    kept = [thing.points for name, thing in scene.things.items() if name not in names]
    return np.concatenate([np.empty((0, 3)), *kept])
