# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The simulated tabletop: a velocity-controlled gripper over a table, seen by one camera."""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np

from spec_vla_ros.sim.rotations import matrix_of, multiply, quaternion_of
from spec_vla_ros.sim.scene import (
    BLOCK_HALF_SIZE,
    CAMERA,
    COLOURS,
    FINGER_TRAVEL,
    colour_in,
    instruction_for,
    scene_xml,
)

WORKSPACE_LOW = np.array([-0.20, -0.20, 0.012])
WORKSPACE_HIGH = np.array([0.20, 0.20, 0.30])
"""Limits within which the simulated arm keeps the grasp point, metres."""

LIFT_HEIGHT = 0.04
"""How far above its resting height a block counts as lifted, metres."""

LEVEL_TOLERANCE = 0.15
"""Largest tilt of the gripper that still counts as level, radians."""

STEP_DURATION = 0.1
"""Duration of one model step, seconds."""

SETTLE = 0.06
"""Time from the end of one motion to the next one, as with a running node, seconds."""

MAX_STEPS = 60
"""How many actions an episode may take."""

_BLOCKS_ON_TABLE = 3
_MIN_SEPARATION = 0.10  # between the middles of two blocks, metres


@dataclass(frozen=True, slots=True)
class TabletopOutcome:
    """The state of an episode, see `EpisodeOutcome`.

    success: the instructed block is lifted, and held level.
    wrong_object: another block is lifted.
    lifted: colour of the lifted block, or None.
    """

    success: bool
    wrong_object: bool
    lifted: str | None


class TabletopEnv:
    """A tabletop with coloured blocks and a floating gripper that takes velocity commands.

    Not thread-safe: the thread that creates it must also advance, render and close it, because
    the rendering context belongs to a thread.
    """

    def __init__(self, *, image_size: int = 192) -> None:
        self._model = mujoco.MjModel.from_xml_string(scene_xml())
        self._data = mujoco.MjData(self._model)
        self._renderer = mujoco.Renderer(self._model, image_size, image_size)
        self._image_size = image_size
        self._joint = {name: self._model.joint(name).qposadr[0] for name in (*COLOURS, 'gripper')}
        self._finger = [
            self._model.joint(f'{side}_finger').qposadr[0] for side in ('left', 'right')
        ]
        self._linear = np.zeros(3)
        self._angular = np.zeros(3)
        self._time_owed = 0.0
        self._colour = COLOURS[0]
        self._present: tuple[str, ...] = ()
        self.reset(seed=0)

    @property
    def instruction(self) -> str:
        """The instruction in force."""
        return instruction_for(self._colour)

    @property
    def colour(self) -> str:
        """Colour of the instructed block."""
        return self._colour

    @property
    def present(self) -> tuple[str, ...]:
        """Colours of the blocks on the table."""
        return self._present

    @property
    def max_steps(self) -> int:
        """How many actions an episode may take."""
        return MAX_STEPS

    @property
    def interval(self) -> float:
        """Time from one action to the next, seconds."""
        return STEP_DURATION + SETTLE

    def reset(
        self, *, seed: int = 0, instruction: str | None = None, initial_state: int | None = None
    ) -> str:
        """Begin a new episode and return its instruction.

        The same seed and instruction always give the same episode. The instructed block is
        always on the table; without an instruction the seed chooses one.

        Raises:
            ValueError: the instruction is not one of the tabletop's; or an initial state is given,
                of which the tabletop has none.
        """
        if initial_state is not None:
            raise ValueError(f'initial state {initial_state}: the tabletop has none, give a seed')
        rng = np.random.default_rng(seed)
        order = rng.permutation(len(COLOURS))
        wanted = COLOURS[order[0]] if instruction is None else colour_in(instruction)
        others = [COLOURS[i] for i in order if COLOURS[i] != wanted]
        self._colour = wanted
        self._present = (wanted, *others[: _BLOCKS_ON_TABLE - 1])

        mujoco.mj_resetData(self._model, self._data)
        for colour, position in zip(self._present, _spread(rng, _BLOCKS_ON_TABLE), strict=True):
            address = self._joint[colour]
            self._data.qpos[address : address + 3] = (*position, BLOCK_HALF_SIZE[2])
            self._data.qpos[address + 3 : address + 7] = quaternion_of(
                (0, 0, rng.uniform(-0.9, 0.9))
            )
        position = rng.uniform((-0.08, -0.08, 0.12), (0.08, 0.08, 0.16))
        tilt = quaternion_of((*rng.uniform(-0.3, 0.3, 2), 0.0))
        quaternion = multiply(quaternion_of((0, 0, rng.uniform(-0.4, 0.4))), tilt)
        address = self._joint['gripper']
        self._data.qpos[address : address + 3] = position
        self._data.qpos[address + 3 : address + 7] = quaternion
        self._data.mocap_pos[0] = position
        self._data.mocap_quat[0] = quaternion
        for finger in self._finger:
            self._data.qpos[finger] = FINGER_TRAVEL
        self.set_velocity(np.zeros(3), np.zeros(3), gripper=1.0)
        self._time_owed = 0.0
        mujoco.mj_forward(self._model, self._data)
        return self.instruction

    def set_velocity(self, linear: np.ndarray, angular: np.ndarray, *, gripper: float) -> None:
        """Command a velocity, which holds until changed.

        linear: (3,) m/s, and angular: (3,) rad/s, both in the base frame.
        gripper: opening in [0, 1]; above 0.5 the fingers open, otherwise they close.
        """
        self._linear = np.asarray(linear, dtype=float)
        self._angular = np.asarray(angular, dtype=float)
        self._data.ctrl[:] = FINGER_TRAVEL if gripper > 0.5 else 0.0

    def advance(self, seconds: float) -> None:
        """Simulate this much time in whole physics steps; the rest is kept for the next call."""
        step = self._model.opt.timestep
        self._time_owed += seconds
        turn = quaternion_of(self._angular * step)
        while self._time_owed > 0.5 * step:
            moved = self._data.mocap_pos[0] + self._linear * step
            self._data.mocap_pos[0] = np.clip(moved, WORKSPACE_LOW, WORKSPACE_HIGH)
            if self._angular.any():
                self._data.mocap_quat[0] = multiply(turn, self._data.mocap_quat[0])
            mujoco.mj_step(self._model, self._data)
            self._time_owed -= step

    def step(self, action: np.ndarray, *, settle: float = SETTLE) -> None:
        """Apply one action: move for `STEP_DURATION`, then stand still.

        action: (7,) displacement in metres and rotation vector in radians, both in the base
            frame, and gripper opening.
        settle: how long to stand still, seconds.
        """
        self.set_velocity(
            action[:3] / STEP_DURATION, action[3:6] / STEP_DURATION, gripper=action[6]
        )
        self.advance(STEP_DURATION)
        self.set_velocity(np.zeros(3), np.zeros(3), gripper=action[6])
        self.advance(settle)

    def render(self) -> np.ndarray:
        """Return what the camera sees: (H, W, 3) uint8 RGB, a fresh array."""
        self._renderer.update_scene(self._data, camera=CAMERA)
        return self._renderer.render()

    def end_effector_pose(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the grasp point's position (3,) in metres and quaternion (4,) x y z w."""
        position, quaternion = self._pose('gripper')
        return position, quaternion[[1, 2, 3, 0]]

    def block_pose(self, colour: str) -> tuple[np.ndarray, np.ndarray]:
        """Return a block's position (3,) in metres and rotation matrix (3, 3).

        This is ground truth for the scripted expert; no policy sees it.
        """
        position, quaternion = self._pose(colour)
        return position, matrix_of(quaternion)

    def gripper_rotation(self) -> np.ndarray:
        """Return the gripper's rotation matrix (3, 3) in the base frame."""
        return matrix_of(self._pose('gripper')[1])

    def finger_opening(self) -> float:
        """Return the mean distance of the fingers from the grasp point, metres."""
        return float(np.mean([self._data.qpos[f] for f in self._finger]))

    def outcome(self) -> TabletopOutcome:
        """Return the present state of the episode."""
        lifted = None
        for colour in self._present:
            if self._pose(colour)[0][2] > BLOCK_HALF_SIZE[2] + LIFT_HEIGHT:
                lifted = colour
        tilt = np.arccos(np.clip(self.gripper_rotation()[2, 2], -1.0, 1.0))
        return TabletopOutcome(
            success=lifted == self._colour and bool(tilt < LEVEL_TOLERANCE),
            wrong_object=lifted not in (None, self._colour),
            lifted=lifted,
        )

    def intrinsics(self) -> np.ndarray:
        """Return the camera matrix K (3, 3), pixels."""
        fovy = np.deg2rad(self._model.camera(CAMERA).fovy[0])
        focal = self._image_size / (2 * np.tan(fovy / 2))
        centre = self._image_size / 2
        return np.array([[focal, 0, centre], [0, focal, centre], [0, 0, 1.0]])

    def close(self) -> None:
        """Free the rendering context."""
        self._renderer.close()

    def _pose(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        address = self._joint[name]
        pose = self._data.qpos[address : address + 7]
        return pose[:3].copy(), pose[3:].copy()


def _spread(rng: np.random.Generator, count: int) -> list[np.ndarray]:
    """Draw positions (2,) on the table, metres, at least `_MIN_SEPARATION` apart."""
    positions: list[np.ndarray] = []
    while len(positions) < count:
        candidate = rng.uniform((-0.11, -0.12), (0.11, 0.12))
        if all(np.linalg.norm(candidate - p) > _MIN_SEPARATION for p in positions):
            positions.append(candidate)
    return positions
