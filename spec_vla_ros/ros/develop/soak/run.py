# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Runs a soak: episodes with a fault in each, for a given time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from spec_vla_ros.programs import all_of
from spec_vla_ros.ros.children import ChildFailedError, Children
from spec_vla_ros.ros.develop.soak.faults import NODE, Fault, FaultTools, all_faults
from spec_vla_ros.ros.develop.soak.growth import MemorySample
from spec_vla_ros.ros.develop.soak.processes import SoakProcesses
from spec_vla_ros.ros.develop.soak.trial import RECOVERY, Trial, try_fault
from spec_vla_ros.ros.develop.soak.watch import TopicWatch
from spec_vla_ros.ros.free_domain import free_domain
from spec_vla_ros.ros.remote import RemoteNode
from spec_vla_ros.settings.nodes import PolicySettings
from spec_vla_ros.sim.scene import HELD_OUT_SEEDS
from spec_vla_ros.srv import ResetEpisode

KILLING_SHARE = 1 / 2
"""Processes are killed in this first share of the run only, so that some live long enough to show
whether they grow."""

EPISODE_TIME = 15.0  # seconds an episode has after its fault
RATE_WINDOW = 1.0  # seconds over which the rate of commands is measured, at least


class SoakError(RuntimeError):
    """The soak cannot go on; the message says why."""


@dataclass(slots=True)
class SoakRun:
    """The results of a soak.

    seconds: how long it ran.
    episodes, successes, commands: how many.
    trials: the faults that were injected.
    rates: commands per second, in windows without a fault.
    samples: name of a part -> samples of its processes.
    control_rate: of the node, Hz.
    ended_early: why it could not go on; empty if it ran to its end.
    """

    seconds: float = 0.0
    episodes: int = 0
    successes: int = 0
    commands: int = 0
    trials: list[Trial] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    samples: dict[str, list[MemorySample]] = field(default_factory=dict)
    control_rate: float = 0.0
    ended_early: str = ''


def soak(
    *,
    seconds: float,
    seed: int,
    logs: Path,
    check: Callable[[], None],
    say: Callable[[str], None] = lambda text: None,
) -> SoakRun:
    """Run a soak for some seconds, end all processes, and return the results.

    Args:
        seconds: how long it runs, without starting the nodes.
        seed: of the faults and their times.
        logs: folder for the output of the processes.
        check: called a few times a second; may raise to end the soak.
        say: called with lines of progress.

    Raises:
        SoakError, ChildFailedError: the nodes do not start. Later failures end the soak early.
    """
    outcome = SoakRun(control_rate=PolicySettings().control_rate)
    with free_domain() as domain_id, Children() as children:
        parts = SoakProcesses(children, domain_id=domain_id, logs=logs)
        check_all = all_of(check, parts.check)
        say(f'ROS domain {domain_id}, on this machine only; logs in {logs}')
        parts.start_all()
        try:
            with RemoteNode('soak', domain_id=domain_id, while_waiting=check_all) as remote:
                if not (remote.configure(NODE) and remote.activate(NODE)):
                    raise SoakError(f'the policy node does not start, see {logs}')
                watch = TopicWatch(remote, check=check_all)
                tools = FaultTools(remote, watch, parts, np.random.default_rng(seed))
                inject_faults(outcome, tools, seconds=seconds, say=say)
        finally:
            parts.close()
            outcome.samples = dict(parts.samples)
    return outcome


def inject_faults(
    outcome: SoakRun,
    tools: FaultTools,
    *,
    seconds: float,
    say: Callable[[str], None],
) -> None:
    """Run episodes with a fault in each, for some seconds or until the arm does not move again.

    outcome: filled with the results, also if it ends early.
    """
    faults = all_faults(tools.remote)
    kills = _in_turn([f for f in faults if f.kills], tools.rng)
    others = _in_turn([f for f in faults if not f.kills], tools.rng)
    began = time.monotonic()
    try:
        while time.monotonic() - began < seconds:
            killing = time.monotonic() - began < KILLING_SHARE * seconds
            instruction = _begin_episode(tools, number=outcome.episodes)
            fault = next(kills if killing and len(outcome.trials) % 2 == 0 else others)
            in_episode = replace(tools, instruction=instruction)
            trial = try_fault(fault, in_episode, began=began)
            outcome.trials.append(trial)
            say(_line(trial))
            if trial.recovered_after is None:
                raise SoakError(f'the loop does not run again after: {fault.name}')
            _end_episode(tools.watch, outcome)
    except (SoakError, ChildFailedError, TimeoutError) as error:
        outcome.ended_early = str(error)
    outcome.seconds = time.monotonic() - began
    outcome.commands = tools.watch.commands


def _in_turn(faults: list[Fault], rng: np.random.Generator) -> Iterator[Fault]:
    """Yield the faults in random order for ever, all of them before any again."""
    while True:
        for i in rng.permutation(len(faults)):
            yield faults[i]


def _begin_episode(tools: FaultTools, *, number: int) -> str:
    """Begin an episode, wait until the arm moves, and return the instruction.

    Raises:
        SoakError: the robot refuses the episode, or the arm does not move.
    """
    watch = tools.watch
    watch.instruct('')
    seed = HELD_OUT_SEEDS.start + 60_000 + number % 30_000
    response = tools.remote.call(ResetEpisode, 'reset', ResetEpisode.Request(seed=seed))
    if not response.success:
        raise SoakError(f'the robot lays out no scene for seed {seed}: {response.message}')
    begun = time.monotonic()
    watch.instruct(response.instruction)
    if watch.until(lambda: watch.moves_since(begun), timeout=RECOVERY) is None:
        status = watch.status
        raise SoakError(f'the arm does not move: {status.reason_text if status else "no status"}')
    time.sleep(float(tools.rng.uniform(0.0, 0.8)))
    instruction: str = response.instruction
    return instruction


def _end_episode(watch: TopicWatch, outcome: SoakRun) -> None:
    """Let the policy finish the episode, and measure the rate of its commands."""
    begun = time.monotonic()
    done = watch.until(lambda: watch.succeeded, timeout=EPISODE_TIME)
    outcome.episodes += 1
    outcome.successes += done is not None
    time.sleep(max(0.0, begun + RATE_WINDOW - time.monotonic()))
    ended = time.monotonic()
    outcome.rates.append(watch.commands_between(begun, ended) / (ended - begun))


def _line(trial: Trial) -> str:
    halted = '' if trial.halted_after is None else f', halted after {trial.halted_after:.2f} s'
    again = '' if trial.recovered_after is None else f', moved {trial.recovered_after:.1f} s later'
    verdict = f' WRONG: {"; ".join(trial.violations)}' if trial.violations else ''
    return f'{trial.at:7.1f} s  {trial.name}{halted}{again}{verdict}'
