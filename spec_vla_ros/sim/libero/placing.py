# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Inverse kinematics: sets the Panda's joints for a pose of the hand, without moving there."""

from __future__ import annotations

import mujoco
import numpy as np

from spec_vla_ros.sim.libero.motion import rotation_vector
from spec_vla_ros.sim.libero.scene import FINGER_JOINTS, GRASP_SITE, HAND

_JOINTS = tuple(f'robot0_joint{number}' for number in range(1, 8))
_MARGIN = 0.02  # radians from a joint's limits
_ITERATIONS, _DAMPING = 60, 1e-3
_LARGEST = 0.3  # change of a joint in an iteration, radians
_NEAR, _TURNED = 5e-4, 5e-3  # error at which a pose counts as reached, metres and radians


class ArmPlacer:
    """Finds joint angles for a pose of the hand, by damped least squares from the present ones.

    Args:
        model: MuJoCo model with LIBERO's Panda.
    """

    def __init__(self, model: mujoco.MjModel) -> None:
        self._model = model
        self._site, self._hand = model.site(GRASP_SITE).id, model.body(HAND).id
        joints = [model.joint(name) for name in _JOINTS]
        self._angles = np.array([joint.qposadr[0] for joint in joints])
        self._freedoms = np.array([joint.dofadr[0] for joint in joints])
        low, high = np.array([joint.range for joint in joints]).T
        self._low, self._high = low + _MARGIN, high - _MARGIN
        fingers = [model.joint(name) for name in FINGER_JOINTS]
        self._fingers = np.array([finger.qposadr[0] for finger in fingers])
        self._open = np.array([max(finger.range, key=abs) for finger in fingers])

    def place(
        self, data: mujoco.MjData, position: np.ndarray, rotation: np.ndarray, *, opening: float
    ) -> bool:
        """Set the joints of arm and fingers so that the hand has a pose, if it can be reached.

        Args:
            data: MuJoCo data, which is changed; unless the pose is reached, all joints stay.
            position: (3,) of the grasp point, metres, in the world frame.
            rotation: (3, 3) of the hand, in the world frame.
            opening: of the fingers, 0 closed, 1 open.

        Returns:
            Whether the pose is reached.
        """
        before = data.qpos.copy()
        data.qpos[self._fingers] = opening * self._open
        across, turning = np.zeros((2, 3, self._model.nv))
        found = False
        for _ in range(_ITERATIONS):
            mujoco.mj_kinematics(self._model, data)
            mujoco.mj_comPos(self._model, data)
            way = position - data.site_xpos[self._site]
            turn = rotation_vector(rotation @ data.xmat[self._hand].reshape(3, 3).T)
            found = bool(np.linalg.norm(way) < _NEAR and np.linalg.norm(turn) < _TURNED)
            if found:
                break
            mujoco.mj_jacSite(self._model, data, across, turning, self._site)
            jacobian = np.concatenate((across, turning))[:, self._freedoms]
            error = np.concatenate((way, turn))
            damped = jacobian @ jacobian.T + _DAMPING * np.eye(6)
            step = jacobian.T @ np.linalg.solve(damped, error)
            step *= min(1.0, _LARGEST / max(float(np.abs(step).max()), 1e-9))
            angles = data.qpos[self._angles] + step
            data.qpos[self._angles] = angles.clip(self._low, self._high)
        if not found:
            data.qpos[:] = before
        mujoco.mj_forward(self._model, data)
        return found
