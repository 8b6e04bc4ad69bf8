# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""On which simulated robots the demo can be shown, and which episodes each has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from spec_vla_ros.checkpoints import libero_checkpoint
from spec_vla_ros.models.recipes import PLAIN, libero_rotation, read_recipe
from spec_vla_ros.sim.libero.suites import INITIAL_STATES, MAX_STEPS, find_task, read_tasks
from spec_vla_ros.sim.scene import HELD_OUT_SEEDS


@dataclass(frozen=True, slots=True)
class Start:
    """How an episode begins, as `ResetEpisode` has it."""

    seed: int
    instruction: str
    initial_state: int = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulator:
    """A simulated robot, and how episodes on it go.

    results: name of the files with figures and pictures, without what says their kind.
    node: the robot's, and the name of its parameter file. module: its program. parameters: what
    differs from that file. policy_file: parameter file of the policy. checkpoint: folder of the
    policy, empty for the shipped tabletop's. recipe: of the policy; empty: as the file says.
    simulated_time: whether its time is on /clock. upside_down: whether its pictures are, which the
    demo turns for whoever looks on.
    starts: how many episodes there are. start: the one of this number, from 0.
    time_limit: of an episode, seconds by the robot's time. most_actions: of an episode.
    loading: seconds that a reset may take to load what is not loaded yet.
    required_success: share of the episodes.
    """

    results: str
    node: str
    module: str
    policy_file: str
    starts: int
    start: Callable[[int], Start]
    time_limit: float
    required_success: float
    parameters: tuple[str, ...] = ()
    checkpoint: str = ''
    recipe: str = ''
    simulated_time: bool = False
    upside_down: bool = False
    most_actions: int | None = None
    loading: float = 0.0


def tabletop(*, checkpoint: str = '', recipe: str = '', instruction: str = '') -> Simulator:
    """Return the simulated table; its episodes begin from held-out seeds.

    checkpoint, instruction: empty for the shipped policy, and to have the seed choose.
    """
    return Simulator(
        results='demo',
        node='sim_robot',
        module='spec_vla_ros.ros.sim_node',
        policy_file='spec_vla',
        checkpoint=checkpoint,
        recipe=recipe,
        starts=len(HELD_OUT_SEEDS),
        start=lambda number: Start(HELD_OUT_SEEDS[number], instruction),
        time_limit=20.0,
        required_success=0.8,
    )


def libero(
    suite: str, *, checkpoint: str = '', recipe: str = '', instruction: str = ''
) -> Simulator:
    """Return LIBERO's robot; its episodes begin in official initial states, task after task.

    An action takes two or three control periods of 50 ms: one in which the arm rests until it is
    inferred, sometimes another, and one in which it moves.

    Args:
        suite: whose tasks.
        checkpoint: folder; empty: the policy that is shipped for the suite.
        recipe: of the policy; empty: as its parameter file says.
        instruction: of the one task to do; empty: all of them.

    Raises:
        ValueError: no such suite, instruction or recipe, no policy, or LIBERO is not installed.
    """
    tasks = read_tasks(suite)
    if instruction:
        tasks = (find_task(tasks, instruction),)
    folder = Path(checkpoint) if checkpoint else libero_checkpoint(suite)

    turn = libero_rotation(read_recipe(recipe or PLAIN))

    def start(number: int) -> Start:
        state, task = divmod(number, len(tasks))
        return Start(seed=0, instruction=tasks[task].instruction, initial_state=state)

    return Simulator(
        results=f'demo_{suite}',
        node='libero_robot',
        module='spec_vla_ros.ros.libero_node',
        parameters=(f'suite:={suite}', f'image_rotation:={turn}'),
        policy_file='libero_policy',
        checkpoint=str(folder),
        recipe=recipe,
        simulated_time=True,
        upside_down=turn == 0,
        starts=len(tasks) * INITIAL_STATES,
        start=start,
        time_limit=0.15 * MAX_STEPS[suite],
        most_actions=MAX_STEPS[suite],
        loading=30.0,
        required_success=0.7,
    )
