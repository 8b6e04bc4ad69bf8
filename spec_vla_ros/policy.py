# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The policy: an observation goes in, an action comes out."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch

from spec_vla_ros.action_codec import ActionCodec
from spec_vla_ros.decoding.cuda import runner_for
from spec_vla_ros.decoding.decoder import ActionDecoder
from spec_vla_ros.decoding.draft_tree import TreeShape
from spec_vla_ros.decoding.plan import TreePlan
from spec_vla_ros.device import PhaseTimer
from spec_vla_ros.models.checkpoint import OpenVLACheckpoint, load_openvla
from spec_vla_ros.models.checkpoint_files import read_config
from spec_vla_ros.models.drafter import Drafter, load_drafter
from spec_vla_ros.models.observation_encoder import ObservationEncoder
from spec_vla_ros.models.packed import PackedDrafter, PackedLlama
from spec_vla_ros.models.prompts import require_tokenizer
from spec_vla_ros.models.safetensors_files import Progress
from spec_vla_ros.types import Action, Decoding, Observation, PolicyInfo

_LOG = logging.getLogger(__name__)

AUTOREGRESSIVE = Decoding()
DRAFTER_FOLDER = 'drafter'


@dataclass(frozen=True, slots=True)
class CheckpointInfo:
    """What is loaded, for logs and diagnostics."""

    folder: Path
    unnorm_key: str
    unnorm_keys: tuple[str, ...]
    action_dimensions: int
    parameters: int
    device: str
    dtype: str


class SpecVlaPolicy:
    """An OpenVLA checkpoint that turns observations into actions.

    One inference at a time: call it from one thread.

    Args:
        checkpoint: what `load_openvla` returns.
        unnorm_key: which norm stats to un-normalise with, see `NormStats.select`.
        drafter: needed by the speculative modes.
        tree: how large a draft tree may grow; None lets `warm_up` choose by measured costs.
        stored_as: 'int8' or 'int4' stores the language model's weights so, see `PackedLlama`; the
            checkpoint cannot be used for another policy then.
        graphs: what is recorded on CUDA, see `runner_for`.

    Raises:
        ValueError: the key is unknown; the message lists the valid ones. Or torchao is missing.
    """

    def __init__(
        self,
        checkpoint: OpenVLACheckpoint,
        *,
        unnorm_key: str | None = None,
        drafter: Drafter | None = None,
        tree: TreeShape | TreePlan | None = None,
        stored_as: str | None = None,
        graphs: str = 'action',
    ) -> None:
        self._checkpoint = checkpoint
        self._model = checkpoint.model
        self._codec = checkpoint.config.codec(unnorm_key)
        runner = runner_for(self._model.device, graphs=graphs)
        self._decoder = ActionDecoder(
            PackedLlama(checkpoint.model.language_model, stored_as=stored_as),
            self._codec,
            drafter=None if drafter is None else PackedDrafter(drafter),
            tree=tree,
            runner=runner,
        )
        self._encoder = ObservationEncoder(
            checkpoint, num_tokens=self._codec.stats.dimensions, run=runner.run
        )
        self._has_drafter = drafter is not None
        _LOG.info(
            '%s, weights in %s, %s',
            self._model.device,
            stored_as or self.checkpoint_info.dtype,
            'no drafter' if drafter is None else 'with a drafter',
        )

    @cached_property
    def checkpoint_info(self) -> CheckpointInfo:
        """What is loaded."""
        config = self._checkpoint.config
        return CheckpointInfo(
            folder=self._checkpoint.folder,
            unnorm_key=self._codec.stats.key,
            unnorm_keys=tuple(sorted(config.norm_stats)),
            action_dimensions=self._codec.stats.dimensions,
            parameters=sum(p.numel() for p in self._model.parameters()),
            device=str(self._model.device),
            dtype=str(self._model.dtype).removeprefix('torch.'),
        )

    @property
    def info(self) -> PolicyInfo:
        """What it is and where it runs; may be read from any thread."""
        loaded, device = self.checkpoint_info, self._model.device
        memory: dict[str, float] = {}
        if device.type == 'cuda':
            memory['device_memory_mb'] = torch.cuda.memory_allocated(device) / 1e6
            memory['device_memory_peak_mb'] = torch.cuda.max_memory_allocated(device) / 1e6
        return PolicyInfo(
            checkpoint=str(loaded.folder),
            unnorm_key=loaded.unnorm_key,
            device=loaded.device,
            dtype=loaded.dtype,
            parameters=loaded.parameters,
            has_drafter=self._has_drafter,
            **memory,
        )

    @property
    def codec(self) -> ActionCodec:
        """Its action tokens and norm stats."""
        return self._codec

    def tree(self, mode: str) -> TreeShape | TreePlan:
        """Return how large draft trees grow in a mode, 'strict' or 'relaxed'."""
        return self._decoder.tree(mode)

    @torch.inference_mode()
    def infer(
        self,
        observation: Observation,
        decoding: Decoding = AUTOREGRESSIVE,
        *,
        refuse_words: bool = True,
    ) -> Action:
        """Return the action for this observation.

        Args:
            observation: an image and an instruction.
            decoding: how.
            refuse_words: whether an answer that is no action is an error. Otherwise its words
                become the nearest bins, the fastest motion mostly: look at `Action.tokens`, and
                never let a robot execute it.

        Raises:
            NotAnActionError: some of the answer's tokens are no actions.
            ValueError: the image is not (H, W, 3) uint8, the instruction has unknown words or is
                too long, or the decoding does not fit the policy.
        """
        timer = PhaseTimer(self._model.device)
        with timer.phase('vision'):
            prompt = self._encoder(observation)
        decoded = self._decoder.decode(
            prompt,
            decoding,
            instruction=observation.instruction,
            stamp_ns=observation.stamp_ns,
            timer=timer,
        )
        tokens = decoded.tokens.numpy()
        if refuse_words:
            self._codec.check_actions(tokens)
        normalised = self._codec.tokens_to_normalised(tokens)
        return Action(
            values=self._codec.stats.unnormalise(normalised),
            normalised=normalised,
            tokens=tokens,
            stats=decoded.stats(decoding.mode, phases_ms=timer.milliseconds()),
        )

    def reset(self) -> None:
        """Forget everything kept from earlier observations."""
        self._encoder.reset()
        self._decoder.reset()

    @torch.inference_mode()
    def warm_up(self, decoding: Decoding = AUTOREGRESSIVE) -> None:
        """Run on an empty image and prompt, so that the first real action is not slower."""
        began = time.monotonic()
        prompt = self._encoder.warm_up()
        self._decoder.measure(prompt)
        for stamp_ns in range(2):  # from the second on with guesses
            self._decoder.decode(prompt, decoding, instruction='', stamp_ns=stamp_ns)
        self._decoder.reset()
        _LOG.info('warmed up in %.1f s', time.monotonic() - began)


def load_policy(
    checkpoint: str | Path,
    *,
    unnorm_key: str | None = None,
    device: str = 'auto',
    dtype: str = 'auto',
    drafter: str | Path | None = None,
    draft_position_mode: str | None = None,
    tree: TreeShape | TreePlan | None = None,
    stored_as: str | None = None,
    graphs: str = 'action',
    progress: Progress | None = None,
) -> SpecVlaPolicy:
    """Load a policy from an OpenVLA checkpoint folder.

    Args:
        checkpoint: the folder, see `load_openvla`.
        unnorm_key: which norm stats to un-normalise with; may be None where there is only one.
        device: 'auto', 'cpu', 'cuda', 'cuda:1' and so on.
        dtype: 'auto', 'float32', 'float16', 'bfloat16'.
        drafter: the folder of its drafter, see `load_drafter`; None takes the folder `drafter`
            inside the checkpoint's, if there is one.
        draft_position_mode: see `load_drafter`.
        tree: how large a draft tree may grow; None lets `warm_up` choose by measured costs.
        stored_as: None, or 'int8' or 'int4' for the language model's weights, see `PackedLlama`.
        graphs: what is recorded on CUDA, see `runner_for`.
        progress: called with (bytes loaded, bytes in all); None writes it to the log.

    Raises:
        CheckpointError: the folder cannot be used; the message says why.
        ValueError: unknown `unnorm_key`, device or dtype; the message lists the valid ones.
    """
    read_config(checkpoint).codec(unnorm_key)  # a wrong key is told before the weights are read
    require_tokenizer(Path(checkpoint))
    loaded = load_openvla(checkpoint, device=device, dtype=dtype, progress=progress)
    found = load_drafter_beside(loaded, drafter, position_mode=draft_position_mode)
    return SpecVlaPolicy(
        loaded,
        unnorm_key=unnorm_key,
        drafter=found,
        tree=tree,
        stored_as=stored_as,
        graphs=graphs,
    )


def load_drafter_beside(
    checkpoint: OpenVLACheckpoint,
    folder: str | Path | None = None,
    *,
    position_mode: str | None = None,
) -> Drafter | None:
    """Load the drafter of a checkpoint: from a folder, or the one named `drafter` inside its own.

    Args:
        checkpoint: the loaded target.
        folder: the drafter's; None looks inside the checkpoint's, and gives None if none is there.
        position_mode: see `load_drafter`.

    Raises:
        CheckpointError: it cannot be used; the message says why.
    """
    if folder is None:
        folder = checkpoint.folder / DRAFTER_FOLDER
        if not folder.is_dir():
            return None
    model = checkpoint.model
    return load_drafter(
        folder,
        model.language_model,
        num_patches=model.vision_backbone.num_patches,
        position_mode=position_mode,
    )
