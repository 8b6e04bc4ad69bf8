# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""LIBERO's tasks and Panda arm as an `Environment`."""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np

from spec_vla_ros.sim.libero.scene import Scene
from spec_vla_ros.sim.libero.suites import (
    MAX_STEPS,
    SETTLING_STEPS,
    Task,
    find_task,
    read_initial_states,
    read_tasks,
)
from spec_vla_ros.sim.libero.world import CONTROL_RATE, World

CAMERA = 'agentview'
ACTION_SCALE = np.array([0.05, 0.05, 0.05, 0.5, 0.5, 0.5])
"""Largest displacement and rotation of robosuite's OSC_POSE controller, (6,), metres and radians.
Its input 1.0 means these."""

LIFT_HEIGHT = 0.04
"""How far above its resting height an object counts as lifted, metres."""

_OPEN, _CLOSED = -1.0, 1.0


@dataclass(frozen=True, slots=True)
class LiberoOutcome:
    """The state of an episode, see `EpisodeOutcome`.

    success: result of LIBERO's own check of the goal.
    wrong_object: whether a movable object that the goal does not name is lifted.
    lifted: name of a lifted movable object, preferably a wrong one; None if there is none.
    """

    success: bool
    wrong_object: bool
    lifted: str | None


class LiberoEnv:
    """The tasks of one suite: a Panda that takes displacements, seen by the camera `agentview`.

    Images are as in MuJoCo 3.3.2 and before, with which policies were trained and evaluated. Later
    versions interpret textures as sRGB, which makes libero_object's floor darker.

    Not thread-safe: the thread that creates it must also step, render and close it.

    Args:
        suite: one of `suites.MAX_STEPS`.
        image_size: side of the camera's image, pixels.
        image_rotation: by how many degrees robosuite's image is turned. 180 gives what OpenVLA's
            fine-tunes expect (upright, left and right exchanged); 0 is for policies whose recipe
            turns the image.

    Raises:
        ValueError: there is no such suite or rotation, or LIBERO is not installed.
    """

    def __init__(self, suite: str, *, image_size: int = 256, image_rotation: int = 180) -> None:
        if image_rotation not in (0, 180):
            raise ValueError(f'image_rotation {image_rotation} is neither 0 nor 180')
        self._tasks = read_tasks(suite)
        self._image_size, self._image_rotation = image_size, image_rotation
        self._world: World | None = None
        self._renderer: mujoco.Renderer | None = None
        self._rest_heights: dict[str, float] = {}
        self._rest = np.zeros(0)  # qpos at the beginning of the episode

    @property
    def tasks(self) -> tuple[Task, ...]:
        """The tasks of the suite."""
        return self._tasks

    @property
    def task(self) -> Task:
        """The task of the episode.

        Raises:
            ValueError: `reset` has not been called.
        """
        return self._loaded.task

    @property
    def max_steps(self) -> int:
        """How many actions an episode may take: the suite's official limit."""
        return MAX_STEPS[self._tasks[0].suite]

    @property
    def interval(self) -> float:
        """Time from one action to the next, seconds."""
        return 1 / CONTROL_RATE

    def reset(
        self, *, seed: int = 0, instruction: str | None = None, initial_state: int | None = None
    ) -> str:
        """Begin an episode, let the objects come to rest, and return the instruction.

        The first episode of a task takes seconds, since its meshes must be loaded. Even with an
        official initial state, the seed moves furniture (a cabinet, for example) by up to a
        centimetre; this is so in published evaluations, too.

        Args:
            seed: draws the layout in LIBERO's own way, and the task if no instruction is given.
            instruction: of the task.
            initial_state: number of an official initial state.

        Raises:
            ValueError: there is no such instruction or initial state; the message says which
                there are.
        """
        chosen = np.random.default_rng(seed).integers(len(self._tasks))
        task = self._tasks[chosen] if instruction is None else find_task(self._tasks, instruction)
        state = None if initial_state is None else _initial_state(task, initial_state)
        if self._world is None or self._world.task != task:
            self.close()
            self._world = World(task)
        world = self._world
        world.lay_out(seed)
        if state is not None:
            world.sim.set_init_state(state)
        for _ in range(SETTLING_STEPS):
            world.sim.step([0.0] * 6 + [_OPEN])
        self._rest = world.data.qpos.copy()
        things = self.scene().things
        self._rest_heights = {n: t.origin[2] for n, t in things.items() if t.movable}
        return task.instruction

    def step(self, action: np.ndarray) -> None:
        """Apply one action for 50 ms.

        action: (7,) displacement in metres, rotation vector in radians, gripper opening (1 open,
            0 closed). The controller clips motions to `ACTION_SCALE`.
        """
        self._loaded.sim.step(controller_input(action).tolist())

    def place_hand(
        self, position: np.ndarray, rotation: np.ndarray, *, opening: float = 1.0
    ) -> bool:
        """Set the arm's joints so that the hand has this pose, in order to render an image.

        The episode cannot go on from there. If the pose cannot be reached, the arm is where it was
        at the beginning of the episode.

        Args:
            position: (3,) of the grasp point, metres.
            rotation: (3, 3) of the hand, see `Scene`.
            opening: of the fingers, 0 closed, 1 open.

        Returns:
            Whether the pose can be reached.
        """
        world = self._loaded
        world.data.qpos[:] = self._rest
        return world.placer.place(world.data, position, rotation, opening=opening)

    def render(self) -> np.ndarray:
        """Return what the camera sees: (H, W, 3) uint8 RGB, a fresh array."""
        world = self._loaded
        if self._renderer is None:
            side = self._image_size
            self._renderer = mujoco.Renderer(world.model, side, side)
        shown = mujoco.MjvOption()
        shown.geomgroup[0] = 0  # collision shapes
        self._renderer.update_scene(world.data, camera=CAMERA, scene_option=shown)
        return robosuite_image(self._renderer.render(), rotation=self._image_rotation)

    def end_effector_pose(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the grasp point's position (3,) in metres and quaternion (4,) x y z w."""
        scene = self.scene()
        quaternion = np.zeros(4)
        mujoco.mju_mat2Quat(quaternion, scene.rotation.ravel())
        return scene.position, quaternion[[1, 2, 3, 0]]

    def scene(self) -> Scene:
        """Return where everything is. This is ground truth; no policy sees it."""
        world = self._loaded
        return world.reader.read(world.data)

    def intrinsics(self) -> np.ndarray:
        """Return the camera matrix K (3, 3), pixels.

        The image is always mirrored. So one focal length is negative: f_x if left and right are
        exchanged (rotation 180), f_y if top and bottom are (rotation 0).
        """
        half = np.deg2rad(self._loaded.model.camera(CAMERA).fovy[0]) / 2
        centre = self._image_size / 2
        focal = centre / np.tan(half)
        mirrored = (-focal, focal) if self._image_rotation == 180 else (focal, -focal)
        return np.array([[mirrored[0], 0, centre], [0, mirrored[1], centre], [0, 0, 1.0]])

    def outcome(self) -> LiberoOutcome:
        """Return the present state of the episode."""
        scene = self.scene()
        wanted = {goal.thing for goal in scene.goals}
        lifted = [
            name
            for name, height in self._rest_heights.items()
            if scene.things[name].origin[2] > height + LIFT_HEIGHT
        ]
        wrong = [name for name in lifted if name not in wanted]
        success = bool(self._loaded.sim.check_success())
        return LiberoOutcome(success, bool(wrong), next(iter(wrong + lifted), None))

    def close(self) -> None:
        """Free the loaded task and the renderer; `reset` loads them again."""
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None
        if self._world is not None:
            self._world.sim.close()
            self._world = None

    @property
    def _loaded(self) -> World:
        if self._world is None:
            raise ValueError('no episode has begun: reset first')
        return self._world


def _initial_state(task: Task, number: int) -> np.ndarray:
    states = read_initial_states(task)
    if not 0 <= number < len(states):
        raise ValueError(f'initial state {number} is none of 0 .. {len(states) - 1}')
    return states[number]


def controller_input(action: np.ndarray) -> np.ndarray:
    """Return the input (7,) of robosuite's controller for an action (7,), see `LiberoEnv.step`.

    It holds displacement and rotation divided by `ACTION_SCALE`, and -1 to open the gripper or 1
    to close it.
    """
    gripper = _OPEN if action[6] > 0.5 else _CLOSED
    return np.array([*(action[:6] / ACTION_SCALE), gripper])


def robosuite_image(upright: np.ndarray, *, rotation: int) -> np.ndarray:
    """Return the image that robosuite would give, turned by 0 or 180 degrees.

    robosuite's images have top and bottom exchanged.

    upright: (H, W, 3), the image of MuJoCo's renderer.
    """
    raw = upright[::-1]
    return np.ascontiguousarray(raw[::-1, ::-1] if rotation == 180 else raw)
