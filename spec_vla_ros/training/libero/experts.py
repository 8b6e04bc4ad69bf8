# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Labels a moment in LIBERO for every instruction that fits, by an expert for each."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from spec_vla_ros.sim.libero.expert import LiberoExpert, Phase
from spec_vla_ros.sim.libero.grasps import Grasp
from spec_vla_ros.sim.libero.scene import Scene

_EMPTY_HANDED = 0.07  # opening from which on the hand holds nothing, metres


class LabellingExperts:
    """An expert for each instruction that fits the scene; one of them drives.

    Args:
        wanted: number of an instruction -> name of its thing.
        driving: number of the instruction whose expert drives.
    """

    def __init__(self, wanted: dict[int, str], driving: int) -> None:
        self._wanted, self.driving = wanted, driving
        self._experts = {number: LiberoExpert() for number in wanted}

    @property
    def phase(self) -> Phase:
        """What the driving expert is doing."""
        return self._experts[self.driving].phase

    @property
    def grasp(self) -> Grasp | None:
        """The grasp that the driving expert has planned."""
        return self._experts[self.driving].grasp

    def switch(self, number: int) -> None:
        """Let another instruction's expert drive."""
        self.driving = number
        self._experts[number] = LiberoExpert()

    def act(self, scene: Scene) -> np.ndarray:
        """Return the driving expert's action (7,)."""
        return self._experts[self.driving].act(self._seen(scene, self.driving))

    def labels(self, scene: Scene, *, instructions: int) -> dict[str, np.ndarray]:
        """Return the labels of a frame; `act` must have been called with this scene.

        instructions: number of instructions of the suite.
        """
        actions = np.full((instructions, 7), np.nan, np.float32)
        things, places = np.full((2, instructions, 3), np.nan, np.float32)
        for number, name in self._wanted.items():
            things[number], places[number] = scene.things[name].origin, scene.goals[0].place
        for number, aim in self._aims(scene).items():
            actions[number] = aim
        return {
            'actions': actions,
            'things': things,
            'places': places,
            'wanted': np.array(self.driving),
            'phases': np.array(self.phase.value),
        }

    def _aims(self, scene: Scene) -> dict[int, np.ndarray]:
        """Return number of an instruction -> label (7,), for those that fit this moment."""
        driving = self._experts[self.driving]
        aims = {} if self.phase is Phase.RETREAT else {self.driving: driving.aim}
        if self.phase is not Phase.REACH or scene.opening < _EMPTY_HANDED:
            return aims
        for number in self._wanted.keys() - {self.driving}:
            self._experts[number].act(self._seen(scene, number))
            aims[number] = self._experts[number].aim
            if self._experts[number].phase is not Phase.REACH:
                self._experts[number] = LiberoExpert()
        return aims

    def _seen(self, scene: Scene, number: int) -> Scene:
        """Return the scene with the goal of another instruction."""
        (goal,) = scene.goals
        if goal.thing == self._wanted[number]:
            return scene
        return replace(scene, goals=(replace(goal, thing=self._wanted[number], done=False),))
