# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Collect frames of LIBERO: of the scripted expert, disturbed, and of hands put here and there.

While the gripper holds nothing, a frame is labelled for every instruction of the suite whose thing
lies in the scene, so that one picture teaches several instructions, and words must be heeded.
Layouts are drawn from seeds; no official initial state is among them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from spec_vla_ros.sim.libero.env import LiberoEnv
from spec_vla_ros.sim.libero.expert import CLOSED, FULL_SPEED, OPEN, LiberoExpert, Phase
from spec_vla_ros.sim.libero.grasps import Grasp, clearance, downwards
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

_GLIMPSES, _ASKED = 10, 3  # of each layout, and instructions that each is labelled for
_SPREAD = ((0.004, 0.004, 0.04), (0.015, 0.03, 0.3), (0.05, 0.08, 0.8))
_HOW_OFTEN = (0.25, 0.45, 0.3)
"""How far from a grasp the hand is put across and above it, metres, and turned, radians."""

_LEAST_ROOM = -0.002

_ON_THE_WAY, _OPENED, _LIFTED = 0.65, 0.4, 0.15
"""Share of the empty hands that are not beside the thing, of these share with open fingers; how
high they are at most, metres."""


class _Experts:
    """An expert for each instruction of the suite, of which one drives."""

    def __init__(self, wanted: dict[int, str], driving: int) -> None:
        self._wanted, self.driving = wanted, driving
        self._experts = {number: LiberoExpert() for number in wanted}

    @property
    def phase(self) -> Phase:
        return self._experts[self.driving].phase

    @property
    def grasp(self) -> Grasp | None:
        """How the driving expert is about to grasp."""
        return self._experts[self.driving].grasp

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


Records = list[dict[str, np.ndarray]]
"""Frames: names of fields of `LiberoFrames`, and what each has there."""

Look = Callable[[LiberoEnv, int, int, tuple[str, ...]], Records]
"""What to record of a layout: simulator, task, seed, see `named_things` -> frames."""


def collect_libero(env: LiberoEnv, task: int, seeds: range, *, look: Look) -> LiberoFrames:
    """Lay a task's scene out once a seed, and return what is recorded of all.

    look: `episode`, `glimpses` or `empty_hands`.
    """
    named = named_things(env.tasks)
    records = [r for seed in seeds for r in look(env, task, seed, named)]
    return LiberoFrames(**{key: np.stack([r[key] for r in records]) for key in records[0]})


def episode(env: LiberoEnv, task: int, seed: int, named: tuple[str, ...]) -> Records:
    """Record an episode of the expert, disturbed in two of three."""
    rng = np.random.default_rng((seed, task, 1))
    env.reset(instruction=env.tasks[task].instruction, seed=seed)
    scene = env.scene()
    here = _instructions_for(scene, task, named)
    experts = _Experts(here, task)
    switch_at = int(rng.integers(*_SWITCH_AT)) if rng.random() < _SWITCHES else -1
    disturbed = Disturbance(rng, level=float(rng.choice(NOISE)), full=FULL_SPEED)
    records: Records = []
    for step in range(MAX_STEPS):
        scene, before = env.scene(), experts.phase
        if step == switch_at:
            experts.switch(int(rng.choice(list(here))))
        action = experts.act(scene)
        if step % EVERY == 0:
            labels = experts.labels(scene, instructions=len(named))
            records.append(_record(env, scene, seed) | labels)
        env.step(disturbed(action))
        placed = before is Phase.OPEN and experts.phase is Phase.RETREAT
        if placed or (experts.driving == task and env.outcome().success):
            break
    return records


def glimpses(env: LiberoEnv, task: int, seed: int, named: tuple[str, ...]) -> Records:
    """Record a layout with the hand here and there.

    Episodes show few layouts, and each from where the expert comes by. Here the hand is put near
    things, where grasps are decided: aside of one, above it, turned, or there.
    """
    rng = np.random.default_rng((seed, task, 3))
    env.reset(instruction=env.tasks[task].instruction, seed=seed)
    here = _instructions_for(env.scene(), task, named)
    at_rest = env.scene()
    records: Records = []
    for _ in range(_GLIMPSES):
        wanted = rng.permutation(list(here))[:_ASKED].tolist()
        experts = _Experts({number: here[number] for number in wanted}, wanted[0])
        experts.act(at_rest)
        grasp = experts.grasp
        if grasp is None or not env.place_hand(*_nearby(grasp, rng)):
            continue
        scene = env.scene()
        if _has_room(scene):
            experts = _Experts({number: here[number] for number in wanted}, wanted[0])
            experts.act(scene)
            labels = experts.labels(scene, instructions=len(named))
            records.append(_record(env, scene, seed) | labels)
    return records


def empty_hands(env: LiberoEnv, task: int, seed: int, named: tuple[str, ...]) -> Records:
    """Record a layout with nothing in the hand, near the thing and on to its place.

    The expert hardly ever grasps in vain. A policy does, and would carry nothing to the place, or
    open its fingers there and wait. On the way they are open or closed, near the thing closed.
    """
    rng = np.random.default_rng((seed, task, 4))
    env.reset(instruction=env.tasks[task].instruction, seed=seed)
    at_rest, driving = env.scene(), {task: named[task]}
    planning = _Experts(driving, task)
    planning.act(at_rest)
    grasp, place = planning.grasp, at_rest.goals[0].place
    assert grasp is not None
    assert place is not None
    records: Records = []
    for _ in range(_GLIMPSES):
        position, rotation = _nearby(grasp, rng)
        opening = CLOSED
        if rng.random() < _ON_THE_WAY:
            opening = OPEN if rng.random() < _OPENED else CLOSED
            position = position + rng.random() * (place - grasp.position)
            position[2] += _LIFTED * rng.random()
        if not env.place_hand(position, rotation, opening=opening):
            continue
        experts, scene = _Experts(driving, task), env.scene()
        experts.act(scene)
        if _has_room(scene) and experts.phase is Phase.REACH:
            labels = experts.labels(scene, instructions=len(named))
            records.append(_record(env, scene, seed) | labels)
    return records


def _has_room(scene: Scene) -> bool:
    """Return whether the hand is in nothing."""
    around = np.concatenate([thing.points for thing in scene.things.values()])
    room = clearance(around, scene.position, scene.rotation, opening=scene.opening / 2)
    return room >= _LEAST_ROOM


def _nearby(grasp: Grasp, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return a position (3,) and rotation (3, 3) of the hand at a grasp, or near it."""
    across, up, turn = _SPREAD[rng.choice(len(_SPREAD), p=_HOW_OFTEN)]
    away = np.append(across * rng.standard_normal(2), up * abs(rng.standard_normal()))
    angle = np.arctan2(grasp.rotation[1, 1], grasp.rotation[0, 1])
    return grasp.position + away, downwards(angle + turn * rng.standard_normal())


def _instructions_for(scene: Scene, task: int, named: tuple[str, ...]) -> dict[int, str]:
    """Return the instructions that a task's scene has an answer to, and the thing of each.

    Those whose things are told apart by where they lie are for their own scenes alone.
    """
    shared = len(set(named)) == len(named)
    return {
        i: name for i, name in enumerate(named) if i == task or (shared and name in scene.things)
    }


def _record(env: LiberoEnv, scene: Scene, seed: int) -> dict[str, np.ndarray]:
    rotation = scene.rotation
    end_effector = [*scene.position, *rotation[:, 0], *rotation[:, 1], scene.opening]
    return {
        'images': shrink(env.render(), side=IMAGE_SIZE),
        'end_effector': np.array(end_effector, np.float32),
        'tasks': np.array(env.task.number),
        'episodes': np.array(seed),
    }
