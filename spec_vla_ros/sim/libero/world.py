# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Loads a task of LIBERO with its scene into the simulator."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import mujoco
import numpy as np

from spec_vla_ros.sim.libero.installed import quiet_import
from spec_vla_ros.sim.libero.placing import ArmPlacer
from spec_vla_ros.sim.libero.scene import SceneReader
from spec_vla_ros.sim.libero.suites import Task, problem_file

CONTROL_RATE = 20
"""Actions per second."""

_LINEAR_TEXTURES = 1  # a value of mjtColorSpace, in MuJoCo 3.3.3 and later


class World:
    """A loaded task.

    task: the task.
    sim: LIBERO's own environment of it.
    model, data: MuJoCo's.
    reader: reads where things are.
    placer: sets the arm's joints.
    """

    def __init__(self, task: Task) -> None:
        with quiet_import():
            from libero.libero.envs.env_wrapper import ControlEnv
        self.task = task
        with _seeded(0):
            self.sim = ControlEnv(
                bddl_file_name=str(problem_file(task)),
                control_freq=CONTROL_RATE,
                hard_reset=False,  # a reset keeps the model
                ignore_done=True,
                use_camera_obs=False,
                has_offscreen_renderer=False,  # `LiberoEnv.render` has its own
            )
        inside = self.sim.env
        # Its observations are not used, and computing them would take most of the time.
        for name in inside.observation_names:
            inside.modify_observable(name, 'enabled', modifier=False)
            inside.modify_observable(name, 'active', modifier=False)
        self.model, self.data = inside.sim.model._model, inside.sim.data._data
        if hasattr(self.model, 'tex_colorspace'):
            self.model.tex_colorspace[:] = _LINEAR_TEXTURES  # before anything is drawn
        self.reader, self.placer = SceneReader(inside, self.model), ArmPlacer(self.model)
        loaded = mujoco.MjModel.from_xml_string(inside.model.get_xml())
        self._places = loaded.body_pos.copy(), loaded.body_quat.copy()

    def lay_out(self, seed: int) -> None:
        """Draw a new layout of the scene, as if the model had just been loaded.

        LIBERO moves the bodies of furniture, but places things in a drawer as if it had not, and
        its gripper starts from the last episode's command. So both are set back before.
        """
        for robot in self.sim.env.robots:
            robot.gripper.current_action = np.zeros(robot.gripper.dof)
        self.model.body_pos[:], self.model.body_quat[:] = self._places
        with _seeded(seed):
            self.sim.reset()


@contextlib.contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Seed numpy's global generator, which LIBERO uses; restore its state afterwards."""
    before = np.random.get_state()
    np.random.seed(seed % 2**32)
    try:
        yield
    finally:
        np.random.set_state(before)
