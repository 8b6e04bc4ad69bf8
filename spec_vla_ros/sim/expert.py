# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""A scripted expert for the tabletop, which knows the true poses.

Its action depends on the present state alone. So a policy that sees only the present image can
imitate it, and it can label any state that a policy gets into (DAgger).
"""

from __future__ import annotations

import numpy as np

from spec_vla_ros.sim.env import TabletopEnv
from spec_vla_ros.sim.scene import BLOCK_HALF_SIZE, FINGER_TRAVEL

MAX_TRANSLATION = 0.018
"""Largest displacement per axis in one step, metres."""

MAX_ROTATION = 0.10
"""Largest rotation per axis in one step, radians."""

MAX_MOTION = np.array([MAX_TRANSLATION] * 3 + [MAX_ROTATION] * 3)
"""Largest displacement and rotation in one step, (6,), metres and radians."""

# Share of the remaining way that one step covers.
_GAIN_TRANSLATION = 0.5
_GAIN_ROTATION = 0.45

# Heights of the grasp point, metres.
_HOVER_HEIGHT = 0.075
_LIFT_TARGET = 0.14
_GRASP_HEIGHT = 0.020

# Horizontal distances from the block, metres: up to the first the gripper descends to grasp, from
# the second on it hovers.
_ALIGNED_DISTANCE = 0.010
_MISALIGNED_DISTANCE = 0.030


def expert_action(env: TabletopEnv, colour: str) -> np.ndarray:
    """Return the action (7,) that picks up the block of this colour.

    Metres and radians in the base frame for one step, and the gripper opening (1 open, 0 closed).
    """
    block, block_rotation = env.block_pose(colour)
    position, _ = env.end_effector_pose()
    rotation = env.gripper_rotation()

    turn = _rotation_error(rotation, block_rotation)
    offset = rotation.T @ (block - position)
    in_jaws = abs(offset[0]) < 0.014 and abs(offset[1]) < 0.016 and abs(offset[2]) < 0.011
    opening = env.finger_opening()
    gripping = opening < BLOCK_HALF_SIZE[1] + 0.004
    if in_jaws:
        # Close in place, and lift once the fingers are on the block.
        goal = np.array([*position[:2], _LIFT_TARGET]) if gripping else position
        turn[2] = 0.0
        gripper = 0.0
    else:
        goal = np.array([*block[:2], _approach_height(block, position, turn, opening)])
        gripper = 1.0
    motion = [*(_GAIN_TRANSLATION * (goal - position)), *(_GAIN_ROTATION * turn)]
    return np.array([*np.clip(motion, -MAX_MOTION, MAX_MOTION), gripper])


def _approach_height(
    block: np.ndarray, position: np.ndarray, turn: np.ndarray, opening: float
) -> float:
    """Return the height to go to: the hover height if misaligned, the grasp height if aligned.

    It is a continuous function of the misalignment, so that similar states have similar actions.
    """
    distance = np.linalg.norm(block[:2] - position[:2])
    misaligned = max(
        (distance - _ALIGNED_DISTANCE) / (_MISALIGNED_DISTANCE - _ALIGNED_DISTANCE),
        (np.abs(turn).max() - 0.12) / 0.25,
        (FINGER_TRAVEL - opening) / (0.5 * FINGER_TRAVEL),
    )
    share = float(np.clip(misaligned, 0.0, 1.0))
    return _GRASP_HEIGHT + share * (_HOVER_HEIGHT - _GRASP_HEIGHT)


def _rotation_error(rotation: np.ndarray, block_rotation: np.ndarray) -> np.ndarray:
    """Return the rotation vector (3,), base frame, that levels the gripper and aligns its yaw.

    The block looks the same after half a turn, so the nearer of the two yaws that fit is taken.
    """
    yaw = np.arctan2(rotation[1, 0], rotation[0, 0])
    block_yaw = np.arctan2(block_rotation[1, 0], block_rotation[0, 0])
    yaw_error = (block_yaw - yaw + np.pi / 2) % np.pi - np.pi / 2
    levelling = np.cross(rotation[:, 2], (0.0, 0.0, 1.0))
    return np.array([levelling[0], levelling[1], yaw_error])
