# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""A table without physics for LIBERO's expert: a hand that goes where it is told, a box."""

import numpy as np

from spec_vla_ros.sim.libero.grasps import downwards
from spec_vla_ros.sim.libero.motion import INTERVAL, RESPONSE
from spec_vla_ros.sim.libero.scene import Goal, Scene, Thing, lattice

FINGER_SPEED = 0.02


class ToyTable:
    """A box is to be placed on a plate.

    A box that the fingers close around goes with the hand until they open; then it falls to the
    table or onto the plate. `slips` are the steps at which it falls whatever the fingers do.
    """

    def __init__(self, *, box=(0.05, 0.05, 0.06), at=(0.05, -0.15), slips=()):
        self.position, self.rotation = np.array([-0.1, 0.0, 0.25]), downwards(0.0)
        self.opening, self.steps, self.held = 0.08, 0, None
        self.box = np.array([*at, box[2] / 2])
        self.plate = np.array([0.05, 0.2, 0.005])
        self.shapes = {'box': lattice(np.array(box) / 2), 'plate': lattice([0.07, 0.07, 0.005])}
        self.slips, self.highest = slips, 0.0

    def scene(self):
        things = {
            'box': Thing(self.box.copy(), self.box + self.shapes['box']),
            'plate': Thing(self.plate, self.plate + self.shapes['plate']),
        }
        goal = Goal('on', 'box', self.plate, 'plate', self.success)
        base = np.array([-0.6, 0.0, 0.0])
        return Scene(self.position.copy(), self.rotation, self.opening, base, things, (goal,))

    @property
    def success(self):
        near = np.linalg.norm((self.box - self.plate)[:2]) < 0.03
        return bool(near and self.held is None and self.box[2] < 0.05)

    def step(self, action):
        self.steps += 1
        self.position += action[:3] * RESPONSE[:3] * INTERVAL
        self.position[2] = max(self.position[2], 0.01)
        angle = action[5] * RESPONSE[5] * INTERVAL
        now = np.arctan2(self.rotation[1, 1], self.rotation[0, 1])
        self.rotation = downwards(now + angle)
        width = np.ptp(self.shapes['box'] @ self.rotation[:, 1])
        around = np.all(np.abs((self.box - self.position) @ self.rotation) < [0.02, 0.04, 0.035])
        least = width if around else 0.0
        move = FINGER_SPEED if action[6] > 0.5 else -FINGER_SPEED
        self.opening = float(np.clip(self.opening + move, least, 0.08))
        if action[6] > 0.5 or self.steps in self.slips:
            self.held = None
        elif around and self.held is None and self.opening == least:
            self.held = self.box - self.position
        if self.held is not None:
            self.box = self.position + self.held
        else:
            half = self.shapes['box'][:, 2].max()
            on_plate = np.linalg.norm((self.box - self.plate)[:2]) < 0.07
            self.box[2] = half + (0.01 if on_plate else 0.0)
        self.highest = max(self.highest, self.box[2])
