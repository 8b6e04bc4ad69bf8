# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Finds, reads and writes the folder of a drafter."""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from spec_vla_ros.models.checkpoint import OpenVLACheckpoint
from spec_vla_ros.models.checkpoint_files import blaming
from spec_vla_ros.models.drafter import Drafter
from spec_vla_ros.models.files.checkpoint_kind import refuse_adapters
from spec_vla_ros.models.files.config_checks import check_llama
from spec_vla_ros.models.files.drafter_checks import (
    BIAS,
    EMBEDDING,
    check_shapes,
    check_sizes,
    check_target,
    refuse_others,
    refuse_states,
)
from spec_vla_ros.models.files.drafter_weights import drafter_shapes, read_drafter_weights
from spec_vla_ros.models.files.folders import (
    CheckpointError,
    check_enterable,
    folder_path,
    is_there,
    read_json,
    shorten,
)
from spec_vla_ros.models.files.safetensors_files import check_finite, refuse_zeros, save_tensors
from spec_vla_ros.models.files.weight_files import files_of_a_model, fingerprint_of_weights
from spec_vla_ros.models.llama import Llama
from spec_vla_ros.models.llama_config import LlamaConfig
from spec_vla_ros.planning.rates import RateTable

DRAFTER_FOLDER = 'drafter'
"""The folder of a checkpoint's own drafter, inside the checkpoint's folder."""

_LOG = logging.getLogger(__name__)

_OWN = 'draft_position_mode'  # key of config.json that only `save_drafter` writes
_TARGET = 'draft_target'  # key of config.json: fingerprint of the weights it was trained for


def drafter_beside(checkpoint: Path) -> Path | None:
    """Return the folder of a checkpoint's own drafter; None if it has none.

    Raises:
        CheckpointError: it is a link to nothing.
    """
    folder = checkpoint / DRAFTER_FOLDER
    return folder if is_there(folder) else None


def load_drafter_beside(
    checkpoint: OpenVLACheckpoint,
    folder: str | Path | None = None,
    *,
    position_mode: str | None = None,
) -> Drafter | None:
    """Load a checkpoint's drafter from a folder, or its own one; None if it has none.

    Warns in the log if the drafter notes that it was trained for other weights.

    Args:
        checkpoint: the loaded target.
        folder: the drafter's folder; None for the one inside the checkpoint's folder.
        position_mode: see `load_drafter`.

    Raises:
        CheckpointError: the drafter cannot be used; the message says why.
    """
    if folder is None:
        folder = drafter_beside(checkpoint.folder)
        if folder is None:
            return None
    model = checkpoint.model
    drafter = load_drafter(
        folder,
        model.language_model,
        num_patches=model.vision_backbone.num_patches,
        position_mode=position_mode,
    )
    learnt_from = read_drafter_config(folder)[1].get(_TARGET)
    if learnt_from is not None and learnt_from != fingerprint_of_weights(checkpoint.folder):
        _LOG.warning(
            '%s was trained for other weights than those in %s, which it drafts worse for: use '
            'the drafter that belongs to this checkpoint',
            *(folder, checkpoint.folder),
        )
    return drafter


def read_drafter_config(folder: str | Path) -> tuple[Path, dict[str, Any]]:
    """Return a drafter's folder and the content of its config.json; no weights are read.

    Raises:
        CheckpointError: it is no folder, or holds something other than a drafter; the message
            says what.
    """
    folder = folder_path(folder)
    check_enterable(folder)
    if is_there(folder) and not folder.is_dir():
        raise CheckpointError(f'{folder} is not a folder: a drafter is one, with its config.json')
    if folder.is_dir():
        refuse_adapters(folder)
        refuse_states(folder)
    raw = read_json(folder / 'config.json')
    refuse_others(folder, raw, ())
    return folder, raw


def check_drafter(
    folder: str | Path, target: LlamaConfig, *, position_mode: str | None = None
) -> None:
    """Make sure that a drafter fits a target, as far as its sizes tell; no weights are read.

    Raises:
        CheckpointError: as `load_drafter`.
    """
    folder, raw = read_drafter_config(folder)
    drafter = _without_weights(folder, raw, num_patches=0, position_mode=position_mode)
    check_sizes(folder, drafter.config, target)
    check_shapes(folder, raw, _shapes(drafter), drafter_shapes(folder))


def load_drafter(
    folder: str | Path,
    target: Llama,
    *,
    num_patches: int,
    position_mode: str | None = None,
) -> Drafter:
    """Load a drafter folder: config.json and model.safetensors, or a published pytorch_model.bin.

    Args:
        folder: the drafter's folder.
        target: the language model that it drafts for; gives device, dtype, embedding and head.
        num_patches: image patches in the prompt.
        position_mode: 'reference' or 'correct'; None for `draft_position_mode` of config.json, or
            'correct' if that is missing, too.

    Raises:
        CheckpointError: a file is missing, keys or shapes do not fit, weights are NaN or infinite,
            or the drafter was made for another target; the message says which.
    """
    folder, raw = read_drafter_config(folder)
    drafter = _without_weights(folder, raw, num_patches=num_patches, position_mode=position_mode)
    config = drafter.config
    check_sizes(folder, config, target.config)
    read = read_drafter_weights(folder)
    weights = {key: weight for key, (weight, _) in read.items()}
    expected = _shapes(drafter)
    check_shapes(folder, raw, expected, {key: tuple(w.shape) for key, w in weights.items()})
    check_target(folder, config, weights.pop(EMBEDDING, None), target, num_patches=num_patches)
    weights.setdefault(BIAS, torch.zeros(expected[BIAS]))
    head = target.lm_head.weight
    weights = {key: weight.to(head.device, head.dtype) for key, weight in weights.items()}
    for key, (_, file) in read.items():
        if key in weights:
            check_finite(key, weights[key], file)
    refuse_zeros(folder, weights.items())
    drafter.load_state_dict(weights, strict=True, assign=True)
    return drafter.to(head.device).eval().requires_grad_(requires_grad=False)


def save_drafter(
    drafter: Drafter,
    folder: str | Path,
    *,
    temperature: float = 1.0,
    rates: RateTable | None = None,
    target: str | None = None,
) -> None:
    """Write a drafter folder that `load_drafter` reads: config.json and model.safetensors.

    Args:
        drafter: the drafter to write.
        folder: where to write it.
        temperature: see `Drafter`.
        rates: see `Drafter`.
        target: fingerprint of the weights that it was trained for; None to note none.

    Raises:
        CheckpointError: see `check_place`.
    """
    folder = Path(folder)
    check_place(folder)
    folder.mkdir(parents=True, exist_ok=True)
    config = {
        'model_type': 'llama',
        **dataclasses.asdict(drafter.config),
        _OWN: drafter.position_mode,
        'draft_window': drafter.window,
        'draft_temperature': temperature,
    }
    if target is not None:
        config[_TARGET] = target
    if rates is not None:
        config['draft_acceptance'] = rates.to_dict()
    weights = {name: p.detach().cpu().contiguous() for name, p in drafter.named_parameters()}
    save_tensors(weights, folder / 'model.safetensors')
    (folder / 'config.json').write_text(json.dumps(config, indent=2) + '\n')


def check_place(folder: Path) -> None:
    """Make sure that writing a drafter into a folder overwrites at most one of our own drafters.

    Raises:
        CheckpointError: the folder holds another model. That happens if the checkpoint's folder
            is given instead of the folder `drafter` inside it.
    """
    config = folder / 'config.json'
    if not folder.is_dir() or (config.exists() and _OWN in read_json(config)):
        return
    there = files_of_a_model(folder)
    if there:
        raise CheckpointError(
            f'{folder} holds another model ({shorten(there)}), which a drafter would overwrite: '
            f'give {folder / DRAFTER_FOLDER}, or another folder'
        )


def _shapes(drafter: Drafter) -> dict[str, tuple[int, ...]]:
    return {name: tuple(parameter.shape) for name, parameter in drafter.named_parameters()}


def _without_weights(
    folder: Path, raw: Mapping[str, Any], *, num_patches: int, position_mode: str | None
) -> Drafter:
    """Build the drafter that a config.json describes, on the meta device."""
    stored = raw.get('draft_acceptance')
    with blaming(f'{folder}'):
        config = LlamaConfig.from_dict(raw, within='')
        check_llama(config)
        with torch.device('meta'):
            return Drafter(
                config,
                position_mode=position_mode or raw.get(_OWN, 'correct'),
                num_patches=num_patches,
                window=raw.get('draft_window'),
                temperature=float(raw.get('draft_temperature', 1.0)),
                rates=None if stored is None else RateTable.from_dict(stored),
            )
