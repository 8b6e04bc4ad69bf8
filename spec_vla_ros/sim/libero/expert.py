# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""A scripted expert for LIBERO's pick-and-place tasks, which knows where everything is.

It looks at the scene before each action and goes on from there, wherever it was pushed to: what
has moved is grasped anew, what slipped is fetched again.
"""

from __future__ import annotations

from enum import Enum, auto

import numpy as np

from spec_vla_ros.sim.libero.grasps import Grasp, rank_grasps
from spec_vla_ros.sim.libero.motion import (
    SpeedLimits,
    displacement,
    next_velocity,
    rotation_vector,
    wanted_velocity,
)
from spec_vla_ros.sim.libero.scene import Goal, Scene, Thing
from spec_vla_ros.sim.libero.ways import (
    NARROW,
    WIDE,
    free_height,
    others_than,
    over_then_down,
    surface,
    way_out,
)

LEVEL = SpeedLimits(speed=0.22, acceleration=0.7)
VERTICAL = SpeedLimits(speed=0.20, acceleration=0.7)
TURNING = SpeedLimits(speed=1.5, acceleration=5.0)
"""Of the grasp point across and up or down, and of the gripper's turn."""

FULL_SPEED = displacement(np.array([LEVEL.speed] * 2 + [VERTICAL.speed] + [TURNING.speed] * 3))
"""Displacement and rotation (6,) of an action at full speed, metres and radians."""

OPEN, CLOSED = 1.0, 0.0

_RISE = np.array([0.0, 0.0, 0.0032])  # metres, the way that the hand always has before it
RISING = displacement(np.array([*wanted_velocity(_RISE, VERTICAL), 0.0, 0.0, 0.0]))
"""Displacement and rotation (6,) of an action while fingers close around a rim: 1.3 mm each. So
the next picture is never the same, and a policy that learns from it goes on."""

_LIFTING = np.array([0.0, 0.0, VERTICAL.speed, 0.0, 0.0, 0.0])

_STOPPED, _STOPPED_NEAR = 0.0006, 0.020  # by the floor or the thing itself
_EMPTY = 0.003
_STEADY = 0.0005
_CLOSING_STEPS = (4, 16)
_OPENING_STEPS = 16
_RELEASED = 0.015  # wider than what was held
_RETREAT_STEPS = 16
_PATIENCE, _BLOCKED_STEPS = 110, 10
_MOVED = 0.012
_SLIPPED = 0.07
_PULLING_STEPS = 40
_RETREAT = 0.08


class Phase(Enum):
    """What the expert is about."""

    REACH = auto()
    CLOSE = auto()
    CARRY = auto()
    OPEN = auto()
    RETREAT = auto()


class LiberoExpert:
    """Picks things up and places them, one goal after the other. One instance an episode."""

    def __init__(self) -> None:
        self._phase, self._steps, self._still = Phase.REACH, 0, 0
        self._velocity = np.zeros(6)
        self._grasp: Grasp | None = None
        self._planned_for = np.zeros(3)
        self._held = np.zeros(3)
        self._position, self._opening = np.zeros(3), 0.0
        self._anchor: np.ndarray | None = None
        self._failed: list[Grasp] = []
        self._aim = np.zeros(7)

    @property
    def phase(self) -> Phase:
        """What it is about now."""
        return self._phase

    @property
    def aim(self) -> np.ndarray:
        """What the last action (7,) would be if the arm could be as fast as wished at once.

        It follows from the scene and the phase alone, not from the motion so far, and so a policy
        that sees one picture can learn it. Once fingers have closed it lifts.
        """
        return self._aim

    @property
    def grasp(self) -> Grasp | None:
        """How it is about to grasp, or has grasped last."""
        return self._grasp

    @property
    def failed_grasps(self) -> int:
        """How often it has grasped in vain, or what it held has slipped."""
        return len(self._failed)

    def act(self, scene: Scene) -> np.ndarray:
        """Return the action (7,): metres and radians in the world frame, gripper opening.

        Raises:
            ValueError: a goal is no placing.
        """
        goal = next((goal for goal in scene.goals if not goal.done), None)
        if goal is None:
            return self._rest(scene, gripper=OPEN if self._phase is not Phase.CARRY else CLOSED)
        if goal.place is None:
            raise ValueError(f'the expert can only place things: not {goal.relation} {goal.thing}')
        self._steps += 1
        thing = scene.things[goal.thing]
        if self._phase is Phase.REACH:
            return self._reach(scene, goal, thing)
        if self._phase is Phase.CLOSE:
            return self._close(scene, thing)
        if self._phase is Phase.CARRY:
            return self._carry(scene, goal, thing)
        if self._phase is Phase.OPEN:
            if scene.opening > self._opening + _RELEASED or self._steps >= _OPENING_STEPS:
                self._enter(Phase.RETREAT)
            return self._rest(scene, gripper=OPEN)
        if self._steps >= _RETREAT_STEPS:
            self._enter(Phase.REACH)
        return self._move(np.array([0.0, 0.0, _RETREAT]), np.zeros(3), gripper=OPEN)

    def _reach(self, scene: Scene, goal: Goal, thing: Thing) -> np.ndarray:
        moved = float(np.linalg.norm(thing.origin - self._planned_for)) > _MOVED
        stopped = np.linalg.norm(scene.position - self._position) < _STOPPED
        self._position, self._still = scene.position, (self._still + 1 if stopped else 0)
        if self._grasp and (self._steps > _PATIENCE or self._still > _BLOCKED_STEPS):
            return self._again(scene)
        if self._grasp is None or moved:
            self._grasp, self._planned_for = self._best_grasp(scene, goal, thing), thing.origin
        at = self._grasp.position
        turn = rotation_vector(self._grasp.rotation @ scene.rotation.T)
        over = free_height(scene, at, without=())
        left, left_turn = at - scene.position, float(np.linalg.norm(turn))
        funnel = WIDE if self._grasp.kind == 'rim' else NARROW
        way = over_then_down(scene.position, at, over=over, funnel=funnel, turn=left_turn)
        stuck = stopped and np.linalg.norm(left) < _STOPPED_NEAR
        if (stuck or funnel.reached(scene.position, at)) and left_turn < funnel.turned:
            self._enter(Phase.CLOSE)
            return self._grip(scene)
        return self._move(way, turn, gripper=OPEN)

    def _close(self, scene: Scene, thing: Thing) -> np.ndarray:
        steady = abs(scene.opening - self._opening) < _STEADY
        self._opening = scene.opening
        least, most = _CLOSING_STEPS
        if self._steps >= most or (self._steps > least and steady):
            if scene.opening < _EMPTY:
                return self._again(scene)
            self._held = scene.rotation.T @ (thing.origin - scene.position)
            self._enter(Phase.CARRY)
        action = self._grip(scene)
        if self._phase is Phase.CARRY or self._steps >= least:
            self._aim = np.array([*displacement(_LIFTING), CLOSED])
        return action

    def _grip(self, scene: Scene) -> np.ndarray:
        """Close the fingers, on a body at rest, and around a rim on the way up."""
        if self._grasp is not None and self._grasp.kind == 'rim':
            return self._move(_RISE, np.zeros(3), gripper=CLOSED)
        return self._rest(scene, gripper=CLOSED)

    def _carry(self, scene: Scene, goal: Goal, thing: Thing) -> np.ndarray:
        assert goal.place is not None
        held = scene.rotation.T @ (thing.origin - scene.position)
        if np.linalg.norm(held - self._held) > _SLIPPED or scene.opening < _EMPTY:
            return self._again(scene)
        out = way_out(scene, goal.thing)
        if out is not None and self._steps < _PULLING_STEPS:
            return self._move(np.array([*out, 0.01]), np.zeros(3), gripper=CLOSED)
        at = np.array([*(scene.position[:2] + (goal.place - thing.origin)[:2]), 0.0])
        below = scene.position[2] - thing.points[:, 2].min()
        at[2] = surface(scene, goal) + below
        reach = float(np.ptp(thing.points[:, :2], axis=0).max()) / 2
        over = free_height(scene, at, without=(goal.thing,), below=below, reach=reach)
        funnel = WIDE if goal.relation == 'on' else NARROW
        way = over_then_down(scene.position, at, over=max(over, at[2]), funnel=funnel)
        if np.linalg.norm(at[:2] - scene.position[:2]) < 0.012 and abs(way[2]) < 0.010:
            self._enter(Phase.OPEN)
            return self._rest(scene, gripper=OPEN)
        return self._move(way, np.zeros(3), gripper=CLOSED)

    def _best_grasp(self, scene: Scene, goal: Goal, thing: Thing) -> Grasp:
        others = others_than(scene, (goal.thing,))
        floor = thing.points[:, 2].min()
        around = np.linalg.norm(others[:, :2] - thing.origin[:2], axis=1) < 0.25
        others = others[around & (others[:, 2] > floor + 0.004)]
        return rank_grasps(
            thing.points,
            others,
            rotation=scene.rotation,
            base=scene.base,
            failed=self._failed,
        )[0]

    def _again(self, scene: Scene) -> np.ndarray:
        if self._grasp is not None:
            self._failed.append(self._grasp)
        self._grasp = None
        self._enter(Phase.RETREAT)
        return self._rest(scene, gripper=OPEN)

    def _enter(self, phase: Phase) -> None:
        self._phase, self._steps, self._still, self._anchor = phase, 0, 0, None
        if phase is Phase.REACH:
            self._grasp = None

    def _rest(self, scene: Scene, *, gripper: float) -> np.ndarray:
        """Stay where the phase began: the controller alone drifts."""
        if self._anchor is None:
            self._anchor = scene.position
        action = self._move(self._anchor - scene.position, np.zeros(3), gripper=gripper)
        self._aim = np.array([*np.zeros(6), gripper])
        return action

    def _move(self, way: np.ndarray, turn: np.ndarray, *, gripper: float) -> np.ndarray:
        parts = ((way[:2], LEVEL), (way[2:], VERTICAL), (turn, TURNING))
        before = np.split(self._velocity, (2, 3))
        self._velocity = np.concatenate(
            [next_velocity(w, v, limits) for (w, limits), v in zip(parts, before, strict=True)]
        )
        aim = np.concatenate([wanted_velocity(w, limits) for w, limits in parts])
        self._aim = np.array([*displacement(aim), gripper])
        return np.array([*displacement(self._velocity), gripper])
