# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Times the shipped policy, with its own drafter, on images of the simulator."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial

import torch

from spec_vla_ros.benchmark.floor import Pass
from spec_vla_ros.benchmark.random_case import FIRST_TOKEN, GENERATE, passes_of
from spec_vla_ros.benchmark.timing import Measured, Method, TimedAction
from spec_vla_ros.benchmark.trace import WAYS, ActionTrace, WayTrace, decoding_of
from spec_vla_ros.decoding.draft_tree import TreeShape
from spec_vla_ros.evaluation.closed_loop import episodes
from spec_vla_ros.evaluation.transformers_generate import TransformersGenerate
from spec_vla_ros.models.checkpoint import OpenVLACheckpoint
from spec_vla_ros.models.drafter_files import load_drafter_beside
from spec_vla_ros.models.observation_encoder import ObservationEncoder
from spec_vla_ros.policy import SpecVlaPolicy
from spec_vla_ros.sim.environment import Environment
from spec_vla_ros.types import AUTOREGRESSIVE, Decoding, Observation


def decodings(acceptance_threshold: int) -> dict[str, Decoding]:
    """Return the ways of decoding that are compared, by name.

    acceptance_threshold: of the relaxed ones, in bins.
    """
    ways = {way: decoding_of(way, acceptance_threshold) for way in WAYS}
    return {AUTOREGRESSIVE: Decoding(), **ways}


def record_frames(
    checkpoint: OpenVLACheckpoint, env: Environment, seeds: Iterable[int], *, count: int
) -> list[Observation]:
    """Return `count` observations of episodes in which the policy decodes autoregressively."""
    policy = SpecVlaPolicy(checkpoint)
    frames: list[Observation] = []
    for frame in episodes(env, seeds, lambda seen: policy.infer(seen).values):
        frames.append(frame)
        if len(frames) == count:
            break
    return frames


class ShippedPolicy:
    """Decodes recorded frames in every way.

    Each way has a policy of its own over the same weights, which plans its draft trees by measured
    costs.

    Args:
        checkpoint: of the policy.
        frames: in the order in which they were seen; each episode begins at stamp 0.
        acceptance_threshold: of relaxed decoding, in bins.
    """

    def __init__(
        self,
        checkpoint: OpenVLACheckpoint,
        frames: list[Observation],
        *,
        acceptance_threshold: int,
    ) -> None:
        self._checkpoint, self._frames = checkpoint, frames
        self._decodings = decodings(acceptance_threshold)
        self._policies: dict[str, SpecVlaPolicy] = {}
        for name, decoding in self._decodings.items():
            policy = SpecVlaPolicy(checkpoint, drafter=load_drafter_beside(checkpoint))
            policy.warm_up(decoding)
            self._policies[name] = policy
        self._generate = TransformersGenerate(checkpoint.model.language_model)
        self._encoder = ObservationEncoder(
            checkpoint, num_tokens=checkpoint.config.codec().stats.dimensions
        )

    @property
    def prompt_length(self) -> int:
        """Tokens of image and text of the first frame."""
        ids = self._checkpoint.prompt_processor(self._frames[0].instruction)
        return ids.shape[1] + self._checkpoint.model.vision_backbone.num_patches

    def passes(self, measured: Mapping[str, Measured]) -> dict[str, list[list[Pass]]]:
        """Return name of a way -> the target's passes in each measured action.

        The rows that guesses add to the prefill are not counted.

        measured: name of a method -> its times.
        """
        found: dict[str, list[list[Pass]]] = {}
        for name in self._decodings:
            actions = tuple(ActionTrace((), c) for c in measured[name].commits)
            way = WayTrace(self._shapes(name), actions)
            found[name] = [
                passes_of(way, a, prompt_length=self.prompt_length) for a in way.actions
            ]
        return found

    def _shapes(self, name: str) -> tuple[TreeShape | None, ...]:
        """Return the trees that a way drafts with 1, 2, ... tokens left."""
        dimensions = self._checkpoint.config.codec().stats.dimensions
        decoding = self._decodings[name]
        if decoding.mode == AUTOREGRESSIVE:
            return (None,) * dimensions
        tree = self._policies[name].tree(decoding)
        return tuple(tree(left) for left in range(1, dimensions + 1))

    def methods(self) -> dict[str, Method]:
        """Return the methods to time: transformers' generate and every way of decoding, by name.

        For generate, too, this package's code makes the prompt.
        """
        dimensions = self._checkpoint.config.codec().stats.dimensions
        found: dict[str, Method] = {
            GENERATE: lambda i: self._reference(i, dimensions),
            FIRST_TOKEN: lambda i: self._reference(i, 1),
        }
        for name in self._decodings:
            found[name] = partial(self._ours, name)
        return found

    def _ours(self, name: str, index: int) -> TimedAction:
        frame, policy = self._frames[index], self._policies[name]
        if not frame.stamp_ns:
            policy.reset()
        action = policy.infer(frame, self._decodings[name])
        return TimedAction(tuple(action.tokens.tolist()), action.stats)

    @torch.inference_mode()
    def _reference(self, index: int, num_tokens: int) -> TimedAction:
        prompt = self._encoder(self._frames[index])
        return TimedAction(tuple(self._generate(prompt, num_tokens=num_tokens).tolist()))
