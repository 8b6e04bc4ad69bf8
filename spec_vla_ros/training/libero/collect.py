# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Collect frames of LIBERO, driven by the scripted expert and by noise, or by what was learned.

While the gripper holds nothing, a frame is labelled for every instruction of the suite whose thing
lies in the scene, so that one picture teaches several instructions, and words must be heeded.
Layouts are drawn from seeds; no official initial state is among them.

What was learned from such frames makes mistakes, and meets what no expert would. Where it drives,
the expert still says at each step what it would do there (DAgger, arXiv 1011.0686).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from spec_vla_ros.sim.libero.env import LiberoEnv
from spec_vla_ros.sim.libero.expert import FULL_SPEED, LiberoExpert, Phase
from spec_vla_ros.sim.libero.motion import Disturbance
from spec_vla_ros.sim.libero.scene import Scene
from spec_vla_ros.sim.libero.suites import Task, read_goals
from spec_vla_ros.training.frames import shrink
from spec_vla_ros.training.libero.frames import IMAGE_SIZE, LiberoFrames

NOISE = (0.0, 0.1, 0.25)
"""Levels of disturbance, of which each episode draws one."""

MAX_STEPS = 240
EVERY = 2
"""Actions from one stored frame to the next: neighbours show nearly the same."""

_SWITCHES, _SWITCH_AT = 0.25, (5, 90)
_EMPTY_HANDED = 0.07  # metres between the fingers
_STRETCH, _ITS_SHARE = 20, 0.75  # steps that one drives; of the stretches the learner's

Learner = Callable[[np.ndarray, int], np.ndarray]
"""Drives instead of the expert: picture (128, 128, 3), instruction's number -> action (7,)."""


class _Experts:
    """An expert for each instruction of the suite, of which one drives."""

    def __init__(self, wanted: dict[int, str], driving: int) -> None:
        self._wanted, self.driving = wanted, driving
        self._experts = {number: LiberoExpert() for number in wanted}

    @property
    def phase(self) -> Phase:
        return self._experts[self.driving].phase

    def switch(self, number: int) -> None:
        """Let another instruction's expert drive."""
        self.driving = number
        self._experts[number] = LiberoExpert()

    def act(self, scene: Scene) -> np.ndarray:
        """Return the driving expert's action (7,)."""
        return self._experts[self.driving].act(self._seen(scene, self.driving))

    def labels(self, scene: Scene, *, instructions: int) -> dict[str, np.ndarray]:
        """Return what a frame is labelled with; the driving expert has acted on this scene."""
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
        (goal,) = scene.goals
        if goal.thing == self._wanted[number]:
            return scene
        return replace(scene, goals=(replace(goal, thing=self._wanted[number], done=False),))


def named_things(tasks: tuple[Task, ...]) -> tuple[str, ...]:
    """Return the thing that each instruction of a suite is about.

    Raises:
        ValueError: a task does more than to place one thing.
    """
    goals = [read_goals(task) for task in tasks]
    for task, conditions in zip(tasks, goals, strict=True):
        if len(conditions) != 1 or len(conditions[0]) != 3:
            raise ValueError(f'{task.instruction!r} is more than placing one thing: {conditions}')
    return tuple(conditions[0][1] for conditions in goals)


def collect_libero(
    env: LiberoEnv,
    task: int,
    seeds: range,
    *,
    named: tuple[str, ...],
    learner: Learner | None = None,
) -> LiberoFrames:
    """Run one episode of a task a seed, and return the frames.

    named: see `named_things`. learner: drives most of the time, where there is one.
    """
    records = [r for seed in seeds for r in _episode(env, task, seed, named, learner)]
    return LiberoFrames(**{key: np.stack([r[key] for r in records]) for key in records[0]})


def _episode(
    env: LiberoEnv, task: int, seed: int, named: tuple[str, ...], learner: Learner | None
) -> list[dict[str, np.ndarray]]:
    rng = np.random.default_rng((seed, task, 1))
    env.reset(instruction=env.tasks[task].instruction, seed=seed)
    scene = env.scene()
    # Instructions whose things are told apart by where they lie are for their own scenes alone.
    shared = len(set(named)) == len(named)
    here = {
        i: name for i, name in enumerate(named) if i == task or (shared and name in scene.things)
    }
    experts = _Experts(here, task)
    switch_at = int(rng.integers(*_SWITCH_AT)) if rng.random() < _SWITCHES else -1
    disturbed = Disturbance(rng, level=float(rng.choice(NOISE)), full=FULL_SPEED)
    stretches = MAX_STEPS // _STRETCH
    its = np.random.default_rng((seed, task, 2)).random(stretches) < _ITS_SHARE
    records: list[dict[str, np.ndarray]] = []
    for step in range(MAX_STEPS):
        scene, before = env.scene(), experts.phase
        if step == switch_at:
            experts.switch(int(rng.choice(list(here))))
        action = experts.act(scene)
        drive = learner if its[step // _STRETCH] else None
        if drive or step % EVERY == 0:
            picture = shrink(env.render(), side=IMAGE_SIZE)
        if step % EVERY == 0:
            labels = experts.labels(scene, instructions=len(named))
            seen = {'images': picture, 'end_effector': _end_effector(scene)}
            episode = {'tasks': np.array(task), 'episodes': np.array(seed)}
            records.append(seen | labels | episode)
        env.step(drive(picture, experts.driving) if drive else disturbed(action))
        placed = before is Phase.OPEN and experts.phase is Phase.RETREAT
        if placed or (experts.driving == task and env.outcome().success):
            break
    return records


def _end_effector(scene: Scene) -> np.ndarray:
    rotation = scene.rotation
    numbers = [*scene.position, *rotation[:, 0], *rotation[:, 1], scene.opening]
    return np.array(numbers, np.float32)
