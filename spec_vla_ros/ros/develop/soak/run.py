# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""A soak: episodes one after the other, a fault in each, for a stated time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from spec_vla_ros.programs import all_of
from spec_vla_ros.ros.children import ChildFailedError, Children
from spec_vla_ros.ros.develop.soak.faults import NODE, Fault, Hands, all_faults
from spec_vla_ros.ros.develop.soak.growth import MemorySample
from spec_vla_ros.ros.develop.soak.parts import Parts
from spec_vla_ros.ros.develop.soak.trial import RECOVERY, Trial, try_fault
from spec_vla_ros.ros.develop.soak.watch import Watch
from spec_vla_ros.ros.free_domain import free_domain
from spec_vla_ros.ros.remote import RemoteNode
from spec_vla_ros.settings.nodes import PolicySettings
from spec_vla_ros.sim.scene import HELD_OUT_SEEDS
from spec_vla_ros.srv import ResetEpisode

KILLING_SHARE = 1 / 2
"""Processes are killed in this part of the run only, so that they can be seen to grow after it."""

EPISODE_TIME = 15.0  # seconds an episode gets after its fault
RATE_WINDOW = 1.0  # seconds, at least


class SoakError(RuntimeError):
    """The soak cannot go on; says why."""


@dataclass(slots=True)
class SoakRun:
    """What a soak has seen.

    rates: commands per second, in windows without a fault. ended_early: why it could not go on;
    empty where it ran to its end.
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
    """Run the loop for so long and return what was seen; leaves no process behind.

    check: called a few times a second; raises to end it. say: told what goes on.

    Raises:
        SoakError, ChildFailedError: the nodes do not start; what comes later ends the soak early.
    """
    outcome = SoakRun(control_rate=PolicySettings().control_rate)
    with free_domain() as domain_id, Children() as children:
        parts = Parts(children, domain_id=domain_id, logs=logs)
        check_all = all_of(check, parts.check)
        say(f'ROS domain {domain_id}, on this machine only; logs in {logs}')
        parts.start_all()
        try:
            with RemoteNode('soak', domain_id=domain_id, while_waiting=check_all) as remote:
                if not (remote.configure(NODE) and remote.activate(NODE)):
                    raise SoakError(f'the policy node does not start, see {logs}')
                watch = Watch(remote, check=check_all)
                inject_faults(
                    outcome,
                    (remote, watch, parts, np.random.default_rng(seed)),
                    seconds=seconds,
                    say=say,
                )
        finally:
            parts.close()
            outcome.samples = dict(parts.samples)
    return outcome


def inject_faults(
    outcome: SoakRun,
    world: tuple[RemoteNode, Watch, Parts, np.random.Generator],
    *,
    seconds: float,
    say: Callable[[str], None],
) -> None:
    """Run episodes with a fault in each, for so long or until the loop does not run again.

    What has been seen until then is kept in the outcome, and why it ended.
    """
    remote, watch, _, rng = world
    faults = all_faults(remote)
    kills = _in_turn([f for f in faults if f.kills], rng)
    others = _in_turn([f for f in faults if not f.kills], rng)
    began = time.monotonic()
    try:
        while time.monotonic() - began < seconds:
            killing = time.monotonic() - began < KILLING_SHARE * seconds
            hands = _begin_episode(*world, number=outcome.episodes)
            fault = next(kills if killing and len(outcome.trials) % 2 == 0 else others)
            trial = try_fault(fault, hands, began=began)
            outcome.trials.append(trial)
            say(_line(trial))
            if trial.recovered_after is None:
                raise SoakError(f'the loop does not run again after: {fault.name}')
            _end_episode(watch, outcome)
    except (SoakError, ChildFailedError, TimeoutError) as error:
        outcome.ended_early = str(error)
    outcome.seconds = time.monotonic() - began
    outcome.commands = watch.commands


def _in_turn(faults: list[Fault], rng: np.random.Generator) -> Iterator[Fault]:
    """Give the faults in random order, each as often as any other."""
    while True:
        for i in rng.permutation(len(faults)):
            yield faults[i]


def _begin_episode(
    remote: RemoteNode, watch: Watch, parts: Parts, rng: np.random.Generator, *, number: int
) -> Hands:
    """Lay out a new scene, give its instruction, and wait until the arm moves.

    Raises:
        SoakError: there is no new scene, or the arm does not move.
    """
    watch.instruct('')
    seed = HELD_OUT_SEEDS.start + 60_000 + number % 30_000
    response = remote.call(ResetEpisode, 'reset', ResetEpisode.Request(seed=seed))
    if not response.success:
        raise SoakError(f'the robot lays out no scene for seed {seed}: {response.message}')
    begun = time.monotonic()
    watch.instruct(response.instruction)
    if watch.until(lambda: watch.moves_since(begun), timeout=RECOVERY) is None:
        status = watch.status
        raise SoakError(f'the arm does not move: {status.reason_text if status else "no status"}')
    time.sleep(float(rng.uniform(0.0, 0.8)))
    return Hands(remote, watch, parts, rng, response.instruction)


def _end_episode(watch: Watch, outcome: SoakRun) -> None:
    """Let the policy finish what the fault interrupted, and see how often it commands."""
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
    verdict = f' WRONG: {"; ".join(trial.faults)}' if trial.faults else ''
    return f'{trial.at:7.1f} s  {trial.name}{halted}{again}{verdict}'
