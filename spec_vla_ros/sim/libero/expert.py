# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""A scripted expert for LIBERO's pick-and-place tasks, which knows where everything is.

It reads the scene before each action, so it copes with disturbances: if the thing has moved, it
plans a new grasp, and if the thing has slipped, it picks it up again.
"""

from __future__ import annotations

from enum import Enum, auto

import numpy as np

from spec_vla_ros.sim.libero.approach import (
    NARROW,
    WIDE,
    free_height,
    over_then_down,
    points_except,
    release_height,
    way_from_under,
)
from spec_vla_ros.sim.libero.grasps import Grasp, rank_grasps
from spec_vla_ros.sim.libero.motion import (
    SpeedLimits,
    displacement,
    next_velocity,
    rotation_vector,
    wanted_velocity,
)
from spec_vla_ros.sim.libero.scene import Goal, Scene, Thing

LEVEL = SpeedLimits(speed=0.22, acceleration=0.7)
VERTICAL = SpeedLimits(speed=0.20, acceleration=0.7)
TURNING = SpeedLimits(speed=1.5, acceleration=5.0)
"""Limits of the grasp point's horizontal and vertical motion, and of the hand's rotation."""

FULL_SPEED = displacement(np.array([LEVEL.speed] * 2 + [VERTICAL.speed] + [TURNING.speed] * 3))
"""Displacement and rotation (6,) of an action at full speed, metres and radians."""

OPEN, CLOSED = 1.0, 0.0

_RISE = np.array([0.0, 0.0, 0.0032])  # metres, to a goal that stays this far above the hand
RISING = displacement(np.array([*wanted_velocity(_RISE, VERTICAL), 0.0, 0.0, 0.0]))
"""Displacement and rotation (6,) of an action while fingers close around a rim; the hand rises by
1.3 mm. So the next image always differs, and a policy trained on it does not stand still."""

_LIFTING = np.array([0.0, 0.0, VERTICAL.speed, 0.0, 0.0, 0.0])  # velocity, m/s

# Lengths in metres, durations in steps.
_STOPPED, _STOPPED_NEAR = 0.0006, 0.020  # blocked: hardly any motion in a step, this near the goal
_EMPTY = 0.003  # opening of fingers that hold nothing
_STEADY = 0.0005  # change of the opening when fingers have closed
_CLOSING_STEPS = (4, 16)  # at least, at most
_OPENING_STEPS = 16
_RELEASED = 0.015  # how much wider than while holding fingers are when they have let go
_RETREAT_STEPS = 16
_PATIENCE, _BLOCKED_STEPS = 110, 10  # before a grasp is given up: in all, and without motion
_MOVED = 0.012  # motion of the thing after which its grasp is planned anew
_SLIPPED = 0.07  # motion of the thing in the hand that counts as lost
_PULLING_STEPS = 40  # at most, to pull a thing out from under others
_RETREAT = 0.08


class Phase(Enum):
    """What the expert is doing."""

    REACH = auto()
    CLOSE = auto()
    CARRY = auto()
    OPEN = auto()
    RETREAT = auto()


class LiberoExpert:
    """Picks things up and places them, one goal after the other; one instance for each episode."""

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
        """What the expert is doing now."""
        return self._phase

    @property
    def aim(self) -> np.ndarray:
        """The last action (7,) without limits of acceleration, for training.

        It depends on scene and phase alone, not on the motion so far, so a policy that sees one
        image can learn it. From the moment when the fingers have closed it lifts.
        """
        return self._aim

    @property
    def grasp(self) -> Grasp | None:
        """The grasp that is planned, or was done last."""
        return self._grasp

    @property
    def failed_grasps(self) -> int:
        """How often a grasp held nothing, or the thing has slipped from the hand."""
        return len(self._failed)

    def act(self, scene: Scene) -> np.ndarray:
        """Return the next action (7,): metres and radians in the world frame, gripper opening.

        Raises:
            ValueError: a goal is other than to place a thing.
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
            return self._retry(scene)
        if self._grasp is None or moved:
            self._grasp, self._planned_for = self._best_grasp(scene, goal, thing), thing.origin
        at = self._grasp.position
        turn = rotation_vector(self._grasp.rotation @ scene.rotation.T)
        over = free_height(scene, at, without=())
        left, left_turn = at - scene.position, float(np.linalg.norm(turn))
        funnel = WIDE if self._grasp.kind == 'rim' else NARROW
        way = over_then_down(scene.position, at, over=over, funnel=funnel, turn=left_turn)
        stuck = stopped and np.linalg.norm(left) < _STOPPED_NEAR
        if (stuck or funnel.reached(scene.position, at)) and left_turn < funnel.arrived_turn:
            self._enter(Phase.CLOSE)
            return self._grip(scene)
        return self._move(way, turn, gripper=OPEN)

    def _close(self, scene: Scene, thing: Thing) -> np.ndarray:
        steady = abs(scene.opening - self._opening) < _STEADY
        self._opening = scene.opening
        least, most = _CLOSING_STEPS
        if self._steps >= most or (self._steps > least and steady):
            if scene.opening < _EMPTY:
                return self._retry(scene)
            self._held = scene.rotation.T @ (thing.origin - scene.position)
            self._enter(Phase.CARRY)
        action = self._grip(scene)
        if self._phase is Phase.CARRY or self._steps >= least:
            self._aim = np.array([*displacement(_LIFTING), CLOSED])
        return action

    def _grip(self, scene: Scene) -> np.ndarray:
        """Close the fingers: with the hand at rest, or rising if the grasp is at a rim."""
        if self._grasp is not None and self._grasp.kind == 'rim':
            return self._move(_RISE, np.zeros(3), gripper=CLOSED)
        return self._rest(scene, gripper=CLOSED)

    def _carry(self, scene: Scene, goal: Goal, thing: Thing) -> np.ndarray:
        assert goal.place is not None
        held = scene.rotation.T @ (thing.origin - scene.position)
        if np.linalg.norm(held - self._held) > _SLIPPED or scene.opening < _EMPTY:
            return self._retry(scene)
        out = way_from_under(scene, goal.thing)
        if out is not None and self._steps < _PULLING_STEPS:
            return self._move(np.array([*out, 0.01]), np.zeros(3), gripper=CLOSED)
        at = np.array([*(scene.position[:2] + (goal.place - thing.origin)[:2]), 0.0])
        below = scene.position[2] - thing.points[:, 2].min()
        at[2] = release_height(scene, goal) + below
        reach = float(np.ptp(thing.points[:, :2], axis=0).max()) / 2
        over = free_height(scene, at, without=(goal.thing,), below=below, reach=reach)
        funnel = WIDE if goal.relation == 'on' else NARROW
        way = over_then_down(scene.position, at, over=max(over, at[2]), funnel=funnel)
        if np.linalg.norm(at[:2] - scene.position[:2]) < 0.012 and abs(way[2]) < 0.010:
            self._enter(Phase.OPEN)
            return self._rest(scene, gripper=OPEN)
        return self._move(way, np.zeros(3), gripper=CLOSED)

    def _best_grasp(self, scene: Scene, goal: Goal, thing: Thing) -> Grasp:
        others = points_except(scene, (goal.thing,))
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

    def _retry(self, scene: Scene) -> np.ndarray:
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
        """Stay where the phase began, against the controller's drift."""
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
