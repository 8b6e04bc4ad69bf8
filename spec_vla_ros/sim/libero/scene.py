# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Reads from the simulator where everything is in a scene of LIBERO."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import mujoco
import numpy as np

GRASP_SITE, HAND, BASE = 'gripper0_grip_site', 'robot0_right_hand', 'robot0_base'
FINGER_JOINTS = ('gripper0_finger_joint1', 'gripper0_finger_joint2')

_SPACING = 0.02  # of points on a shape, metres
_MOST_ALONG = 12  # points along a side of a box


@dataclass(frozen=True, slots=True)
class Thing:
    """An object or a piece of furniture.

    origin: (3,) of its body, metres, in the world frame.
    points: (N, 3), all over its collision shapes, likewise.
    movable: whether it is a loose object.
    """

    origin: np.ndarray
    points: np.ndarray
    movable: bool = True


@dataclass(frozen=True, slots=True)
class Goal:
    """One condition of success.

    relation: 'on' or 'in' to place a thing; others, such as 'open', are not about placing.
    thing: name of the thing that is to be placed.
    place: (3,), where it is to be placed, metres, in the world frame; None if nothing is placed.
    onto: name of the thing to which the place belongs; None for the table.
    done: whether the condition is met now.
    """

    relation: str
    thing: str
    place: np.ndarray | None
    onto: str | None
    done: bool


@dataclass(frozen=True, slots=True)
class Scene:
    """Where everything is at one moment, in metres and the world frame.

    position: (3,) of the grasp point.
    rotation: (3, 3) of the hand; it closes along its second axis, and the fingers point along the
        third.
    opening: distance between the fingers.
    base: (3,) of the arm's foot.
    things: by name.
    goals: the conditions of success, in LIBERO's order.
    """

    position: np.ndarray
    rotation: np.ndarray
    opening: float
    base: np.ndarray
    things: Mapping[str, Thing]
    goals: tuple[Goal, ...]


class SceneReader:
    """Reads the scenes of one task.

    Args:
        inside: robosuite's environment of the task.
        model: its MuJoCo model.
    """

    def __init__(self, inside: Any, model: mujoco.MjModel) -> None:
        self._inside = inside
        self._bodies: dict[str, int] = dict(inside.obj_body_id)
        self._movable = set(inside.objects_dict)
        self._site, self._hand = model.site(GRASP_SITE).id, model.body(HAND).id
        self._base = model.body(BASE).id
        self._fingers = [model.joint(name).qposadr[0] for name in FINGER_JOINTS]
        self._sites = {name: model.site(name).id for name in inside.object_sites_dict}
        shapes = [_shapes(model, body) for body in self._bodies.values()]
        self._geoms = np.concatenate([geoms for geoms, _ in shapes])
        self._points = np.concatenate([points for _, points in shapes])
        self._ends = np.cumsum([len(geoms) for geoms, _ in shapes])

    def read(self, data: mujoco.MjData) -> Scene:
        """Return the scene that is in MuJoCo's data."""
        matrices = data.geom_xmat.reshape(-1, 3, 3)[self._geoms]
        points = np.einsum('nij,nj->ni', matrices, self._points) + data.geom_xpos[self._geoms]
        of_each = np.split(points, self._ends[:-1])
        things = {
            name: Thing(data.xpos[body].copy(), mine, name in self._movable)
            for (name, body), mine in zip(self._bodies.items(), of_each, strict=True)
        }
        goals = (self._goal(g, things, data) for g in self._inside.parsed_problem['goal_state'])
        return Scene(
            data.site_xpos[self._site].copy(),
            data.xmat[self._hand].reshape(3, 3).copy(),
            float(np.abs(data.qpos[self._fingers]).sum()),
            data.xpos[self._base].copy(),
            things,
            tuple(goals),
        )

    def _goal(self, state: list[str], things: dict[str, Thing], data: mujoco.MjData) -> Goal:
        relation, thing, *rest = state
        done = bool(self._inside._eval_predicate(state))
        if relation not in ('on', 'in') or not rest:
            return Goal(relation, thing, None, None, done)
        (name,) = rest
        if name in things:
            return Goal(relation, thing, things[name].origin, name, done)
        onto = max((n for n in things if name.startswith(n)), key=len, default=None)
        return Goal(relation, thing, data.site_xpos[self._sites[name]].copy(), onto, done)


def _shapes(model: mujoco.MjModel, body: int) -> tuple[np.ndarray, np.ndarray]:
    """Return geoms (N,) and points (N, 3) on the collision shapes of a body and its children.

    Each point is in the frame of its geom, metres.
    """
    inside = {body}
    for other in range(body + 1, model.nbody):  # a body comes after its parent
        if model.body_parentid[other] in inside:
            inside.add(other)
    solid = [
        (geom, _points(model, geom))
        for geom in range(model.ngeom)
        if model.geom_bodyid[geom] in inside
        and (model.geom_contype[geom] or model.geom_conaffinity[geom])
    ]
    geoms = np.repeat([g for g, _ in solid], [len(p) for _, p in solid]).astype(int)
    return geoms, np.concatenate([np.empty((0, 3)), *(points for _, points in solid)])


def _points(model: mujoco.MjModel, geom: int) -> np.ndarray:
    if model.geom_type[geom] == mujoco.mjtGeom.mjGEOM_MESH:
        mesh = model.geom_dataid[geom]
        first = model.mesh_vertadr[mesh]
        return np.array(model.mesh_vert[first : first + model.mesh_vertnum[mesh]])
    middle, half = np.split(model.geom_aabb[geom], 2)
    return middle + lattice(half)


def lattice(half: np.ndarray) -> np.ndarray:
    """Return points (N, 3) all over a box with half sides (3,), metres, about 2 cm apart."""
    axes = [
        np.linspace(-h, h, int(np.clip(np.ceil(2 * h / _SPACING) + 1, 2, _MOST_ALONG)))
        for h in half
    ]
    return np.stack(np.meshgrid(*axes, indexing='ij'), axis=-1).reshape(-1, 3)
