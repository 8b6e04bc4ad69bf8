# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The policy: an observation goes in, an action comes out."""

from __future__ import annotations

import copy
import logging
import time
from dataclasses import fields, replace
from pathlib import Path
from threading import RLock
from typing import Any

import numpy as np
import torch
from torch import Tensor

from spec_vla_ros.action_codec import ActionCodec
from spec_vla_ros.action_decoder import ActionDecoder
from spec_vla_ros.decoding.cuda.graph_runner import runner_for
from spec_vla_ros.decoding.draft_tree import TreeShape
from spec_vla_ros.device import PhaseTimer
from spec_vla_ros.models.checkpoint import OpenVLACheckpoint, load_openvla
from spec_vla_ros.models.checkpoint_files import codec_of, read_config
from spec_vla_ros.models.drafter import Drafter
from spec_vla_ros.models.drafter_files import (
    check_drafter,
    drafter_beside,
    load_drafter_beside,
)
from spec_vla_ros.models.files.folders import folder_path
from spec_vla_ros.models.files.safetensors_files import Progress
from spec_vla_ros.models.files.weight_files import fingerprint_of_checkpoint
from spec_vla_ros.models.layouts.packed import PackedDrafter, PackedLlama, pack_maps
from spec_vla_ros.models.layouts.quantised import check_stored_as
from spec_vla_ros.models.observation_encoder import ObservationEncoder
from spec_vla_ros.models.recipe_checks import hints
from spec_vla_ros.models.recipe_pictures import RecipePicture
from spec_vla_ros.models.recipes import read_recipe
from spec_vla_ros.models.text_tokenizers import require_tokenizer
from spec_vla_ros.planning.plan import TreePlan
from spec_vla_ros.policy_config import PolicyConfig
from spec_vla_ros.types import (
    Action,
    Decoding,
    NotAnActionError,
    Observation,
    PolicyInfo,
)

_LOG = logging.getLogger(__name__)

_DEFAULT_CONFIG, _DEFAULT_DECODING = PolicyConfig(), Decoding()


class SpecVlaPolicy:
    """An OpenVLA checkpoint that turns observations into actions.

    It runs one inference at a time: calls from several threads wait for each other. Several
    cameras or tasks side by side need a `sibling` each, since temporal drafts follow one motion.

    Args:
        checkpoint: what `load_openvla` returns; with `stored_as` in the configuration it cannot
            be used for another policy.
        config: only `unnorm_key`, `recipe`, `stored_as`, `cuda_graphs` and `tree` are used; the
            other fields are for loading, which has been done before.
        drafter: needed by the speculative modes.

    Raises:
        ValueError: key or recipe is unknown, or they do not go together; the message lists the
            valid ones. Or torchao is missing.
    """

    def __init__(
        self,
        checkpoint: OpenVLACheckpoint,
        *,
        config: PolicyConfig = _DEFAULT_CONFIG,
        drafter: Drafter | None = None,
    ) -> None:
        self._checkpoint = checkpoint
        self._model = checkpoint.model
        # Counted now, because packing may take weights out of the model.
        self._parameters = sum(p.numel() for p in checkpoint.model.parameters())
        self._recipe = recipe = read_recipe(config.recipe)
        self._files = fingerprint_of_checkpoint(checkpoint.folder)
        codec = codec_of(checkpoint.folder, checkpoint.config, recipe, config.unnorm_key)
        self._codec = codec
        target = PackedLlama(checkpoint.model.language_model, stored_as=config.stored_as)
        packed = None if drafter is None else PackedDrafter(drafter)
        pack_maps(self._model.vision_backbone)
        pack_maps(self._model.projector)

        def make_stateful_parts() -> tuple[ActionDecoder, ObservationEncoder]:
            """Return new ones of the parts that remember something from action to action.

            A closure and not a method: it does not refer to the policy, so the memory of a policy
            is freed as soon as nothing refers to it.
            """
            runner = runner_for(checkpoint.model.device, cuda_graphs=config.cuda_graphs)
            decoder = ActionDecoder(
                target,
                codec,
                drafter=packed,
                rates=None if drafter is None else drafter.rates,
                tree=config.tree,
                runner=runner,
                action_scale=recipe.action_scale,
            )
            encoder = ObservationEncoder(
                checkpoint,
                num_tokens=codec.stats.dimensions,
                run=runner.run,
                prepare=RecipePicture(recipe, side=max(checkpoint.config.image_sizes)),
            )
            return decoder, encoder

        self._make_stateful_parts = make_stateful_parts
        self._decoder, self._encoder = make_stateful_parts()
        self._lock = RLock()  # two inferences at once would write into one KV cache
        self._has_drafter = drafter is not None
        _LOG.info(
            '%s, weights in %s, %s',
            self._model.device,
            config.stored_as or self._dtype,
            'no drafter' if drafter is None else 'with a drafter',
        )
        self._log_recipe()

    def _log_recipe(self) -> None:
        recipe, stats, folder = self._recipe, self._codec.stats, self._checkpoint.folder
        _LOG.info('norm stats %r, recipe %s', stats.key, recipe)
        for line in hints(recipe, stats, folder, files=self._checkpoint.config.norm_stats_files):
            _LOG.warning('%s: %s', folder, line)

    @property
    def _dtype(self) -> str:
        return str(self._model.dtype).removeprefix('torch.')

    @property
    def info(self) -> PolicyInfo:
        """What it is and where it runs; may be read from any thread."""
        device = self._model.device
        memory: dict[str, float] = {}
        if device.type == 'cuda':
            memory['device_memory_mb'] = torch.cuda.memory_allocated(device) / 1e6
            memory['device_memory_peak_mb'] = torch.cuda.max_memory_allocated(device) / 1e6
        return PolicyInfo(
            checkpoint=str(self._checkpoint.folder),
            unnorm_key=self._codec.stats.key,
            recipe=str(self._recipe),
            files=self._files,
            device=str(device),
            dtype=self._dtype,
            parameters=self._parameters,
            has_drafter=self._has_drafter,
            **memory,
        )

    @property
    def codec(self) -> ActionCodec:
        """Its action tokens and norm stats."""
        return self._codec

    def tree(self, decoding: Decoding) -> TreeShape | TreePlan:
        """Return the shape or plan of draft trees that is now in force for a speculative mode."""
        return self._decoder.tree(decoding)

    @torch.inference_mode()
    def infer(
        self,
        observation: Observation,
        decoding: Decoding = _DEFAULT_DECODING,
        *,
        refuse_words: bool = True,
    ) -> Action:
        """Return the action for this observation.

        Args:
            observation: an image and an instruction.
            decoding: how to decode.
            refuse_words: whether an answer in words is an error. Otherwise words become the
                nearest bins, which mostly mean the fastest motion: check `Action.tokens`, and
                never let a robot execute such an action.

        Raises:
            NotAnActionError: some of the answer's tokens are no action tokens. This is raised if
                words are refused, and in any case if the model computed NaN or infinity.
            InstructionError: the instruction has unknown words, or is refused.
            ValueError: the image is not (H, W, 3) uint8, the instruction is too long, or
                the decoding does not fit the policy.
        """
        if not isinstance(decoding, Decoding):
            raise ValueError(f"decoding {decoding!r}: give a Decoding, such as Decoding('strict')")
        with self._lock:
            timer = PhaseTimer(self._model.device)
            with timer.phase('vision'):
                prompt = self.prompt(observation)
            decoded = self._decoder.decode(
                prompt,
                decoding,
                instruction=observation.instruction,
                stamp_ns=observation.stamp_ns,
                timer=timer,
            )
            tokens = decoded.tokens.numpy()
            self._check_answer(tokens, prompt, refuse_words=refuse_words)
        normalised = self._codec.tokens_to_normalised(tokens)
        return Action(
            values=self._recipe.in_si_units(self._codec.stats.unnormalise(normalised)),
            normalised=normalised,
            tokens=tokens,
            stats=decoded.stats,
        )

    def _check_answer(self, tokens: np.ndarray, prompt: Tensor, *, refuse_words: bool) -> None:
        try:
            self._codec.check_actions(tokens)
        except NotAnActionError as error:
            if self._decoder.finite and prompt.isfinite().all():
                if refuse_words:
                    raise
                return
            raise NotAnActionError(
                f'the model computed NaN or infinity in {self._dtype}, so that its answer is no '
                'action. Weights of bfloat16 overflow in float16: load them with dtype bfloat16 '
                'or float32; if it is so there too, the weights are damaged',
                tokens=error.tokens,
            ) from error

    def reset(self, *, situations: bool = False) -> None:
        """Forget the motion and the instruction.

        situations: also forget what was chosen in which situation, which temporal drafts use.
            Then, if the draft tree is fixed, nothing depends on earlier actions any more.
        """
        with self._lock:
            self._encoder.reset()
            self._decoder.reset(situations=situations)

    def sibling(self) -> SpecVlaPolicy:
        """Return another policy that shares the weights in memory, and remembers nothing."""
        twin = copy.copy(self)
        twin._decoder, twin._encoder = self._make_stateful_parts()
        twin._lock = RLock()
        return twin

    @torch.inference_mode()
    def prompt(self, observation: Observation) -> Tensor:
        """Return the embeddings that the language model is prefilled with, (1, S, H).

        Raises:
            InstructionError: the instruction has unknown words, or is refused.
            ValueError: the image is not (H, W, 3) uint8, or the instruction is too long.
        """
        if not isinstance(observation, Observation):
            raise ValueError(
                f'the observation is of type {type(observation).__name__}: give an '
                'Observation(image, instruction)'
            )
        with self._lock:
            return self._encoder(observation)

    @torch.inference_mode()
    def warm_up(self, decoding: Decoding = _DEFAULT_DECODING) -> None:
        """Run on an empty image and prompt, so that the first real action is not slower."""
        began = time.monotonic()
        with self._lock:
            prompt = self._encoder.warm_up()
            self._decoder.measure(prompt)
            for stamp_ns in range(2):  # the second action has temporal drafts
                self._decoder.decode(prompt, decoding, instruction='', stamp_ns=stamp_ns)
            self._decoder.reset(situations=True)
        _LOG.info('warmed up in %.1f s', time.monotonic() - began)


def check_before_weights(checkpoint: str | Path, config: PolicyConfig) -> ActionCodec:
    """Make sure of what can be known before weights are read, which may take minutes.

    Returns:
        Its action tokens and norm stats.

    Raises:
        ValueError: as `load_policy`.
    """
    folder = folder_path(checkpoint)
    described = read_config(folder)
    codec = codec_of(folder, described, read_recipe(config.recipe), config.unnorm_key)
    require_tokenizer(folder)
    drafter = drafter_beside(folder) if config.drafter is None else config.drafter
    if drafter is not None:
        check_drafter(drafter, described.text, position_mode=config.draft_position_mode)
    if config.stored_as is not None:
        check_stored_as(config.stored_as)
    return codec


def load_policy(
    checkpoint: str | Path,
    *,
    config: PolicyConfig = _DEFAULT_CONFIG,
    progress: Progress | None = None,
    **options: Any,
) -> SpecVlaPolicy:
    """Load a policy from an OpenVLA checkpoint folder.

    Args:
        checkpoint: the folder, see `load_openvla`.
        config: norm stats, device, drafter and so on.
        progress: called with (bytes loaded, bytes in all); None writes progress to the log.
        options: single fields of the configuration, such as `load_policy(folder, device='cpu')`.
            They replace those of `config`.

    Raises:
        CheckpointError: the folder cannot be used; the message says why.
        ValueError: unknown `unnorm_key`, recipe or device, or a word that `PolicyConfig` does not
            know; the message lists the valid ones.
        TypeError: there is no such option; the message lists those that there are.
    """
    if not isinstance(config, PolicyConfig):
        raise ValueError(f'config {config!r:.60}: give a PolicyConfig, or its fields by name')
    known = [field.name for field in fields(PolicyConfig)]
    if unknown := sorted(options.keys() - {*known}):
        raise TypeError(f'there is no option {", ".join(unknown)}: give {", ".join(known)}')
    config = replace(config, **options)
    folder = folder_path(checkpoint)
    check_before_weights(folder, config)
    loaded = load_openvla(folder, device=config.device, dtype=config.dtype, progress=progress)
    drafter = load_drafter_beside(loaded, config.drafter, position_mode=config.draft_position_mode)
    return SpecVlaPolicy(loaded, config=config, drafter=drafter)
