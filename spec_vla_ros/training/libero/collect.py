# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Collects frames of LIBERO: of the disturbed expert, and of the hand set to various poses.

While the gripper holds nothing, a frame is labelled for every instruction of the suite whose thing
is in the scene. So one image teaches several instructions, and the policy must read the words.
Layouts are drawn from seeds; official initial states are not used.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from spec_vla_ros.sim.libero.env import LiberoEnv
from spec_vla_ros.sim.libero.expert import CLOSED, FULL_SPEED, OPEN, Phase
from spec_vla_ros.sim.libero.grasps import Grasp, clearance, downwards
from spec_vla_ros.sim.libero.motion import Disturbance
from spec_vla_ros.sim.libero.scene import Scene
from spec_vla_ros.sim.libero.suites import Task, read_goals
from spec_vla_ros.training.frames import shrink
from spec_vla_ros.training.libero.experts import LabellingExperts
from spec_vla_ros.training.libero.frames import IMAGE_SIZE, LiberoFrames

NOISE = (0.0, 0.1, 0.25)
"""Levels of disturbance, of which each episode draws one; see `Disturbance`."""

MAX_STEPS = 240
EVERY = 2
"""Actions from one stored frame to the next; neighbouring frames are nearly alike."""

_SWITCHES, _SWITCH_AT = 0.25, (5, 90)  # share of episodes with another instruction midway; step

_GLIMPSES, _ASKED = 10, 3  # poses of the hand in each layout; instructions labelled for each

# How far from a grasp the hand is set, as standard deviations: sideways and upwards in metres,
# turned in radians. The second line says how often each of the three is drawn.
_SPREAD = ((0.004, 0.004, 0.04), (0.015, 0.03, 0.3), (0.05, 0.08, 0.8))
_HOW_OFTEN = (0.25, 0.45, 0.3)

_LEAST_ROOM = -0.002  # free space that the hand needs at a pose, metres

# Of empty hands: share that is on the way to the place, not beside the thing; of these, share with
# open fingers; and how far they are lifted at most, metres.
_ON_THE_WAY, _OPENED, _LIFTED = 0.65, 0.4, 0.15


def named_things(tasks: tuple[Task, ...]) -> tuple[str, ...]:
    """Return the name of the thing that each instruction of a suite is about.

    Raises:
        ValueError: a task is more than to place one thing.
    """
    goals = [read_goals(task) for task in tasks]
    for task, conditions in zip(tasks, goals, strict=True):
        if len(conditions) != 1 or len(conditions[0]) != 3:
            raise ValueError(f'{task.instruction!r} is more than placing one thing: {conditions}')
    return tuple(conditions[0][1] for conditions in goals)


Records = list[dict[str, np.ndarray]]
"""Frames, each as name of a field of `LiberoFrames` -> its value in this frame."""

RecordLayout = Callable[[LiberoEnv, int, int, tuple[str, ...]], Records]
"""Records frames of one layout: (simulator, task, seed, result of `named_things`) -> frames."""


def collect_libero(
    env: LiberoEnv, task: int, seeds: range, *, record: RecordLayout
) -> LiberoFrames:
    """Record a layout of a task's scene for each seed, and return the frames of all.

    record: how each is recorded: `episode`, `glimpses` or `empty_hands`.
    """
    named = named_things(env.tasks)
    records = [r for seed in seeds for r in record(env, task, seed, named)]
    return LiberoFrames(**{key: np.stack([r[key] for r in records]) for key in records[0]})


def episode(env: LiberoEnv, task: int, seed: int, named: tuple[str, ...]) -> Records:
    """Record an episode of the expert, which is disturbed in two of three episodes."""
    rng = np.random.default_rng((seed, task, 1))
    env.reset(instruction=env.tasks[task].instruction, seed=seed)
    scene = env.scene()
    here = _instructions_for(scene, task, named)
    experts = LabellingExperts(here, task)
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
    """Record a layout with the hand at various poses near its things.

    Episodes show few layouts, with the hand only where the expert passes. Here the hand is near
    grasps: beside one, above it, turned, or exactly there.
    """
    rng = np.random.default_rng((seed, task, 3))
    env.reset(instruction=env.tasks[task].instruction, seed=seed)
    here = _instructions_for(env.scene(), task, named)
    at_rest = env.scene()
    records: Records = []
    for _ in range(_GLIMPSES):
        wanted = rng.permutation(list(here))[:_ASKED].tolist()
        experts = LabellingExperts({number: here[number] for number in wanted}, wanted[0])
        experts.act(at_rest)
        grasp = experts.grasp
        if grasp is None or not env.place_hand(*_nearby(grasp, rng)):
            continue
        scene = env.scene()
        if _has_room(scene):
            experts = LabellingExperts({number: here[number] for number in wanted}, wanted[0])
            experts.act(scene)
            labels = experts.labels(scene, instructions=len(named))
            records.append(_record(env, scene, seed) | labels)
    return records


def empty_hands(env: LiberoEnv, task: int, seed: int, named: tuple[str, ...]) -> Records:
    """Record a layout with an empty hand near the thing and on the way to its place.

    The expert hardly ever misses a grasp. A policy does, and would then carry nothing to the
    place, or open its fingers there and wait. Near the thing the fingers are closed, on the way
    open or closed.
    """
    rng = np.random.default_rng((seed, task, 4))
    env.reset(instruction=env.tasks[task].instruction, seed=seed)
    at_rest, driving = env.scene(), {task: named[task]}
    planning = LabellingExperts(driving, task)
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
        experts, scene = LabellingExperts(driving, task), env.scene()
        experts.act(scene)
        if _has_room(scene) and experts.phase is Phase.REACH:
            labels = experts.labels(scene, instructions=len(named))
            records.append(_record(env, scene, seed) | labels)
    return records


def _has_room(scene: Scene) -> bool:
    """Return whether the hand, where it is, collides with nothing."""
    around = np.concatenate([thing.points for thing in scene.things.values()])
    room = clearance(around, scene.position, scene.rotation, opening=scene.opening / 2)
    return room >= _LEAST_ROOM


def _nearby(grasp: Grasp, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return a random position (3,) and rotation (3, 3) of the hand near a grasp."""
    across, up, turn = _SPREAD[rng.choice(len(_SPREAD), p=_HOW_OFTEN)]
    away = np.append(across * rng.standard_normal(2), up * abs(rng.standard_normal()))
    angle = np.arctan2(grasp.rotation[1, 1], grasp.rotation[0, 1])
    return grasp.position + away, downwards(angle + turn * rng.standard_normal())


def _instructions_for(scene: Scene, task: int, named: tuple[str, ...]) -> dict[int, str]:
    """Return number of an instruction -> its thing, for the instructions that fit a task's scene.

    If several instructions of the suite are about the same thing, which is then told by where it
    lies, only the task's own instruction fits.
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
