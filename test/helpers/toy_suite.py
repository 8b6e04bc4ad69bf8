# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""A suite of two tasks without a simulator, and a policy that knows its words."""

import zlib
from typing import ClassVar

import numpy as np
import torch
from toy_checkpoint import write_tiny

from spec_vla_ros.models.checkpoint import load_openvla
from spec_vla_ros.models.drafter import Drafter
from spec_vla_ros.models.drafter_files import save_drafter
from spec_vla_ros.sim.libero.suites import Task

SUITE = 'libero_object'
TASKS = tuple(
    Task(SUITE, number, name.replace(' ', '_'), name)
    for number, name in enumerate(
        f'pick up the {thing} and place it in the basket'
        for thing in ('alphabet soup', 'cream cheese')
    )
)


def write_suite_policy(folder):
    """Write a random checkpoint with a random drafter, and return its folder."""
    write_tiny(folder, words=' '.join(task.instruction for task in TASKS).split())
    torch.manual_seed(0)
    drafter = Drafter(load_openvla(folder, device='cpu').model.language_model.config)
    save_drafter(drafter, folder / 'drafter')
    return folder


class ToyEnv:
    """Pictures follow from the actions so far; state 0 succeeds at the fifth step, others fail.

    made: every environment. begun: task and state of each episode.
    """

    made: ClassVar[list] = []
    begun: ClassVar[list] = []
    interval, max_steps = 0.05, 8

    def __init__(self, suite, *, image_rotation):
        assert suite == SUITE
        self.tasks, self.image_rotation, self.open = TASKS, image_rotation, True
        self.made.append(self)

    def reset(self, *, seed=0, instruction=None, initial_state=None):
        (task,) = (t for t in self.tasks if t.instruction == instruction)
        self.begun.append((task.number, initial_state))
        self._state, self._steps = initial_state, 0
        self._position = np.array([task.number, initial_state, seed], float)
        return instruction

    def step(self, action):
        self._steps += 1
        self._position += action[:3]

    def render(self):
        seed = zlib.crc32(np.round(self._position, 6).tobytes())
        return np.random.default_rng(seed).integers(0, 256, (32, 32, 3), np.uint8)

    def end_effector_pose(self):
        return self._position.copy(), np.array([0.0, 0, 0, 1])

    def outcome(self):
        success = self._state == 0 and self._steps == 5
        return type('Outcome', (), {'success': success, 'wrong_object': False})

    def close(self):
        self.open = False
