# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The simulated robots that the demo can use, and the episodes of each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from spec_vla_ros.checkpoints import libero_checkpoint
from spec_vla_ros.models.recipes import PLAIN, libero_rotation, read_recipe
from spec_vla_ros.sim.libero.suites import INITIAL_STATES, MAX_STEPS, find_task, read_tasks
from spec_vla_ros.sim.scene import HELD_OUT_SEEDS, colour_in


@dataclass(frozen=True, slots=True)
class EpisodeStart:
    """How an episode begins: the fields of a `ResetEpisode` request."""

    seed: int
    instruction: str
    initial_state: int = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulator:
    """A simulated robot with its policy, and its episodes.

    results: name of the files of results, without suffix.
    node: name of the robot's node and of its parameter file.
    module: Python module that runs the robot's node.
    policy_file: name of the policy's parameter file.
    starts: number of episodes.
    start: number of an episode, from 0 -> how it begins.
    time_limit: of an episode, seconds of the robot's time.
    required_success: share of the episodes that must succeed.
    parameters: of the robot's node, where they differ from its file.
    checkpoint: folder of the policy; empty for the shipped tabletop policy.
    recipe: of the policy; empty for that of its parameter file.
    simulated_time: whether the robot publishes its time on /clock.
    upside_down: whether the camera's images are upside down; the demo shows them upright.
    most_actions: limit of an episode; None for no limit.
    loading: seconds that a reset may take in addition, to load a task.
    """

    results: str
    node: str
    module: str
    policy_file: str
    starts: int
    start: Callable[[int], EpisodeStart]
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
    """Return the tabletop, whose episodes begin from held-out seeds.

    Args:
        checkpoint: folder; empty for the shipped policy.
        recipe: of the policy; empty for that of its parameter file.
        instruction: of every episode; empty to let the seed choose.

    Raises:
        ValueError: nothing on the table answers the instruction.
    """
    if instruction:
        colour_in(instruction)
    return Simulator(
        results='demo',
        node='sim_robot',
        module='spec_vla_ros.ros.robots.sim_node',
        policy_file='spec_vla',
        checkpoint=checkpoint,
        recipe=recipe,
        starts=len(HELD_OUT_SEEDS),
        start=lambda number: EpisodeStart(HELD_OUT_SEEDS[number], instruction),
        time_limit=20.0,
        required_success=0.8,
    )


def libero(
    suite: str, *, checkpoint: str = '', recipe: str = '', instruction: str = ''
) -> Simulator:
    """Return LIBERO's robot, whose episodes begin in official initial states.

    The first initial state of every task comes first, then the second one of every task.

    The time limit is three control periods of 50 ms for each action: one or two in which the arm
    rests until the action is inferred, and one in which it moves.

    Args:
        suite: name of the suite.
        checkpoint: folder; empty for the policy that is shipped for the suite.
        recipe: of the policy; empty for that of its parameter file.
        instruction: of the only task to run; empty for all tasks.

    Raises:
        ValueError: there is no such suite, instruction or recipe, no policy is shipped for the
            suite, or LIBERO is not installed.
    """
    tasks = read_tasks(suite)
    if instruction:
        tasks = (find_task(tasks, instruction),)
    folder = Path(checkpoint) if checkpoint else libero_checkpoint(suite)

    turn = libero_rotation(read_recipe(recipe or PLAIN))

    def start(number: int) -> EpisodeStart:
        state, task = divmod(number, len(tasks))
        return EpisodeStart(seed=0, instruction=tasks[task].instruction, initial_state=state)

    return Simulator(
        results=f'demo_{suite}',
        node='libero_robot',
        module='spec_vla_ros.ros.robots.libero_node',
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
