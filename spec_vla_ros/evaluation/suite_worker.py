# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Runs episodes of a LIBERO suite in one process, which loads policy and simulator once."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from spec_vla_ros.decoding.draft_tree import TreeShape
from spec_vla_ros.device import device_name
from spec_vla_ros.evaluation.closed_loop import ClosedLoop, Start
from spec_vla_ros.evaluation.film import Film
from spec_vla_ros.evaluation.summary import EpisodeFigures, episode_figures
from spec_vla_ros.models.checkpoint import load_openvla, resolve_device
from spec_vla_ros.models.drafter_files import load_drafter_beside
from spec_vla_ros.models.recipes import Recipe, libero_rotation
from spec_vla_ros.policy import SpecVlaPolicy
from spec_vla_ros.policy_config import PolicyConfig
from spec_vla_ros.sim.libero.env import LiberoEnv
from spec_vla_ros.types import STRICT, Action, Decoding, Observation, PolicyInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What every episode of a run is run with.

    suite: name of the LIBERO suite.
    modes: name -> way of decoding.
    checkpoint, drafter, recipe, unnorm_key, device, dtype, stored_as, tree: of the policy, see
        `PolicyConfig`.
    compare_every: every Nth observation is decoded autoregressively, too.
    generate: whether transformers' `generate` decodes these as well; it needs memory for the
        language model a second time.
    max_steps: ends episodes earlier than the suite does; None for the suite's own limit.
    """

    suite: str
    modes: Mapping[str, Decoding]
    checkpoint: Path
    drafter: Path | None
    recipe: Recipe
    unnorm_key: str | None
    device: str
    dtype: str
    stored_as: str | None
    tree: TreeShape
    compare_every: int
    generate: bool
    max_steps: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One episode to run.

    task: number of the task.
    state: number of its initial state.
    mode: name of the way of decoding.
    films: the outcomes, 'success' or 'failure', of which a film is wanted.
    """

    task: int
    state: int
    mode: str
    films: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a job gave.

    ran_on: device, precision of the weights and version of torch, in words.
    film: WebP, if one of this outcome was wanted.
    """

    job: Job
    figures: EpisodeFigures
    ran_on: str
    film: bytes | None


class SuiteWorker:
    """Runs one episode at a time; the task of the last one stays loaded.

    Raises:
        CheckpointError: the checkpoint or the drafter cannot be used.
        ValueError: there is no such device or precision, or LIBERO is not installed.
    """

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        if resolve_device(setup.device).type == 'cpu':
            torch.set_num_threads(1)  # cores are used best by as many workers
        checkpoint = load_openvla(setup.checkpoint, device=setup.device, dtype=setup.dtype)
        self._policy = SpecVlaPolicy(
            checkpoint,
            config=PolicyConfig(
                unnorm_key=setup.unnorm_key,
                recipe=setup.recipe,
                stored_as=setup.stored_as,
                tree=setup.tree,
            ),
            drafter=load_drafter_beside(checkpoint, setup.drafter),
        )
        self._reference = self._policy.sibling()
        self._generate: Callable[[Observation], np.ndarray] | None = None
        if setup.generate:
            from spec_vla_ros.evaluation.transformers_generate import TransformersGenerate

            self._generate = functools.partial(
                _generated_tokens,
                TransformersGenerate(checkpoint.model.language_model),
                self._reference,
            )
        for decoding in setup.modes.values():
            self._policy.warm_up(decoding)
        self._reference.warm_up()
        self._env = LiberoEnv(setup.suite, image_rotation=libero_rotation(setup.recipe))

    def run(self, job: Job) -> Result:
        """Run an episode."""
        setup, env = self._setup, self._env
        decoding, reference = setup.modes[job.mode], _PublishedPolicy(self._reference)
        loop = ClosedLoop(
            _PublishedPolicy(self._policy),
            reference,
            env,
            own=reference if decoding.mode == STRICT else None,
            generate=self._generate,
            compare_every=setup.compare_every,
            max_steps=setup.max_steps,
        )
        instruction = env.tasks[job.task].instruction
        film = Film(
            f'{instruction}\n{job.mode}, initial state {job.state}',
            rotation=setup.recipe.image_rotation,
            interval=env.interval,
        )
        start = Start(instruction=instruction, initial_state=job.state)
        episode = loop.run(start, decoding, watch=film.watch if job.films else None)
        outcome = 'success' if episode.success else 'failure'
        return Result(
            job=job,
            figures=episode_figures(episode, self._policy.codec),
            ran_on=self._ran_on(),
            film=film.webp(outcome) if outcome in job.films else None,
        )

    def close(self) -> None:
        """Free the simulator."""
        self._env.close()

    def _ran_on(self) -> str:
        info = self._policy.info
        device = device_name(torch.device(info.device))
        return f'{device}, {self._setup.stored_as or info.dtype}, torch {torch.__version__}'


class _PublishedPolicy:
    """A policy as published evaluations run it.

    Nothing is kept from one episode to the next, so their order does not matter. An answer in
    words counts as the nearest bins; a robot would refuse it.
    """

    def __init__(self, policy: SpecVlaPolicy) -> None:
        self._policy = policy

    @property
    def info(self) -> PolicyInfo:
        return self._policy.info

    def infer(self, observation: Observation, decoding: Decoding) -> Action:
        return self._policy.infer(observation, decoding, refuse_words=False)

    def reset(self) -> None:
        self._policy.reset(situations=True)


@torch.inference_mode()
def _generated_tokens(
    generate: Callable[..., torch.Tensor], policy: SpecVlaPolicy, observation: Observation
) -> np.ndarray:
    """Return the tokens (D,) of `generate`, whose prompt this package's own code makes."""
    prompt = policy.prompt(observation)
    return generate(prompt, num_tokens=policy.codec.stats.dimensions).numpy()
