# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Refuses folders of other kinds of models, by the names of their files and weights.

A model that is not an autoregressive OpenVLA could still load, and move the arm. So it is refused
before anything is built, with the name of its kind and what to do. `config_kind` does the same by
config.json.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path

from spec_vla_ros.models.files.config_kind import way_on_of_run
from spec_vla_ros.models.files.folders import CheckpointError, missing, read_json, shorten
from spec_vla_ros.norm_stats import STATISTICS

_OFT_FILES = (
    *('action_head*', 'diffusion_head*', 'proprio_projector*', 'noisy_action_projector*'),
    'vision_backbone--*',
)
_MODELLING = 'modeling_prismatic.py'
_OFT_CODE = ('NUM_ACTIONS_CHUNK', 'L1RegressionActionHead')
_OFT_TENSORS = ('action_head.', 'proprio_projector.', 'noisy_action_projector.')

_UNIVLA_FILES = ('action_decoder*',)

_ADAPTER_FILES = ('adapter_config.json', 'adapter_model*')
_PEFT = re.compile(r'\.(lora_|ia3_l|hada_w|lokr_w|(base_layer|modules_to_save|original_module)\.)')
"""Parts of the names that the peft library gives to weights of a model with an adapter."""
_WRAPPERS = {
    'base_model.model.': (
        'as the peft library names those of a model with an adapter: call `merge_and_unload()` '
        'on the model, and save what that returns'
    ),
    'module.': (
        'as torch names those of a model that is trained in parallel: save `model.module`, not '
        '`model`'
    ),
    '_orig_mod.': (
        'as torch.compile names those of what it compiled: save `model._orig_mod`, not `model`'
    ),
    '_fsdp_wrapped_module.': (
        'as torch names those of a model that is trained in shards: save its full state dict, and '
        'leave that part out of the names'
    ),
    '_checkpoint_wrapped_module.': (
        'as torch names those of layers that are computed again while training: leave that part '
        'out of the names'
    ),
}
"""Part of the names of weights that were saved with a wrapper around a module -> what to do."""
_PARTS = ('vision_backbone.', 'projector.', 'language_model.', 'fc.', 'layers.')
"""Beginnings of the names of a target's and a drafter's weights."""

_TRAINER_STATE = (
    *('optimizer*', 'scheduler.*', 'trainer_state.json', 'training_args.bin', 'rng_state*'),
    *('random_states_*', 'scaler.pt', 'global_step*', 'zero_pp_rank_*', 'mp_rank_*', '*.distcp'),
)
_BESIDE = ('preprocessor_config.json', STATISTICS)
_DEPTH = 3  # levels of folders in a download cache: models--*/snapshots/*
_PICKLED = ('*.bin', '*.pt', '*.pth', '*.ckpt')


def refuse_other_files(folder: Path) -> None:
    """Refuse a folder whose files show that it is no OpenVLA checkpoint.

    Raises:
        CheckpointError: it is an OpenVLA-OFT, a UniVLA, LoRA adapters, a Prismatic training run,
            or a folder with several checkpoints; the message says what to do.
    """
    names = _names(folder)
    oft = _matching(names, _OFT_FILES) or _parts_inside(folder)
    if not oft and (code := _oft_code(folder)):
        kept = _matching(names, (f'{_MODELLING}.back*',))
        restore = f'move {kept[-1]} to {_MODELLING}' if kept else f'remove {_MODELLING}'
        raise CheckpointError(
            f'{folder} has the code of OpenVLA-OFT ({shorten(code)}) and no head of it: its '
            'weights may be of an OpenVLA-OFT, which is not autoregressive and does not run here, '
            'or of the OpenVLA that one began with, into which its training script writes its '
            f'code, too. If these are plain OpenVLA weights, {restore}; no code there is run'
        )
    if oft:
        raise CheckpointError(
            f'{folder} is an OpenVLA-OFT checkpoint ({shorten(oft)}): a head of its own gives its '
            'actions, all at once and as numbers, so it is not autoregressive and speculative '
            'decoding does not apply. Run it with the code of OpenVLA-OFT, or give a fine-tune '
            'that answers with action tokens'
        )
    univla = _matching(names, _UNIVLA_FILES)
    if univla:
        raise CheckpointError(
            f'{folder} is a UniVLA checkpoint ({shorten(univla)}): its tokens are no actions, and '
            'a decoder of its own makes these of them. Run it with the code that it came with'
        )
    inside = [] if 'config.json' in names else _inside(folder, ('config.json',), depth=_DEPTH)
    if not inside or _matching(names, _ADAPTER_FILES):
        refuse_adapters(folder)
    if 'checkpoints' in names and not inside and not _has_weights(names):
        config = read_json(folder / 'config.json') if 'config.json' in names else {}
        raise CheckpointError(
            f'{folder} is the folder of a training run, as OpenVLA writes it (checkpoints/): '
            f'{way_on_of_run(config)}'
        )
    if inside:
        there = shorten(str(place.relative_to(folder)) for place in inside)
        raise CheckpointError(
            f'{folder} has no config.json, but holds checkpoints: give one of {there}'
        )
    if 'config.json' not in names and _matching(names, _BESIDE):
        raise CheckpointError(
            f'{missing(folder / "config.json")}; where a fine-tune by LoRA wrote it, it has no '
            'model until the adapter is merged into the base model'
        )


def refuse_adapters(folder: Path) -> None:
    """Refuse a folder that holds LoRA adapters, also in folders inside it or beside weights.

    Raises:
        CheckpointError: there are adapters; the message names their base model, and how to merge.
    """
    names = _names(folder)
    depth = 1 if 'config.json' in names else _DEPTH
    here = [folder] if _matching(names, _ADAPTER_FILES) else []
    adapters = here or _inside(folder, _ADAPTER_FILES, depth=depth)
    if adapters:
        raise CheckpointError(_adapter(folder, adapters))


def refuse_other_tensors(folder: Path, keys: Iterable[str]) -> None:
    """Refuse weights whose names show that they are not a plain OpenVLA's.

    Raises:
        CheckpointError: they hold an adapter that is not merged or an OpenVLA-OFT's head, or the
            model was saved together with a wrapper around it.
    """
    keys = sorted(keys)
    adapted = [key for key in keys if _PEFT.search(key)]
    if adapted:
        raise CheckpointError(
            f'the weights in {folder} hold an adapter, as of LoRA, that is not merged '
            f'({shorten(adapted)}): merge it with `merge_and_unload()` of the peft library, and '
            'save the model again'
        )
    heads = [key for key in keys if key.startswith(_OFT_TENSORS)]
    if heads:
        raise CheckpointError(
            f'the weights in {folder} hold an action head ({shorten(heads)}), as OpenVLA-OFT has: '
            'its actions do not come token by token. Run it with the code that it came with'
        )
    for prefix, how in _WRAPPERS.items():
        wrapped = [key for key in keys if f'.{prefix}' in f'.{key}']
        if wrapped:
            raise CheckpointError(
                f'names of the weights in {folder} hold {prefix!r} ({shorten(wrapped)}), {how}'
            )
    outer = keys[0].partition('.')[0] if keys else ''
    inside = tuple(f'{outer}.{part}' for part in _PARTS)
    if keys and all(key.startswith(inside) for key in keys):
        raise CheckpointError(
            f"all names of the weights in {folder} begin with '{outer}.' ({shorten(keys)}): save "
            f'the model inside, `model.{outer}`, or leave that part out of the names'
        )


def left_aside(folder: Path) -> list[str]:
    """Return a sentence for each other thing in a checkpoint's folder that is not used."""
    names = _names(folder)
    state = _matching(names, _TRAINER_STATE)
    pickled = [name for name in _matching(names, _PICKLED) if name not in state]
    checkpoints = _inside(folder, ('config.json',), depth=1)
    notes = []
    if state:
        notes.append(
            f"a trainer's state is here too ({shorten(state)}) and not used: the weights may be "
            'those of a run that had not ended'
        )
    if pickled:
        notes.append(f'other weights are here too ({shorten(pickled)}), pickled, and not used')
    if checkpoints:
        inside = shorten(place.name for place in checkpoints)
        notes.append(f'other checkpoints are inside ({inside}) and not used')
    return notes


def _adapter(folder: Path, places: list[Path]) -> str:
    """Say which base model the adapters in the folders `places` belong to, and how to merge."""
    place = places[0]
    try:
        config = json.loads((place / 'adapter_config.json').read_text(encoding='utf-8'))
        base = config.get('base_model_name_or_path')
    except (OSError, ValueError, AttributeError):
        base = None
    model = f'of {base!r}' if base else 'of a base model that it does not name'
    merge = (
        f'load the base model, then the adapter with `PeftModel.from_pretrained(base, "{place}")` '
        'of the peft library, and give the folder that `.merge_and_unload()'
        ".save_pretrained(folder)` writes, with the base's tokenizer and preprocessor files and "
        "the adapter's dataset_statistics.json"
    )
    inside = shorten(str(place.relative_to(folder)) for place in places)
    if _has_weights(_names(folder)):
        what = 'the adapter_* files' if place == folder else inside
        return (
            f'{folder} holds weights and a LoRA adapter {model} ({what}), and nothing says '
            f'whether the adapter is merged into them. If it is, move {what} elsewhere; if not, '
            f'merge it: {merge}. OpenVLA-OFT writes such folders, too, and does not run here'
        )
    what = (
        'is a LoRA adapter' if place == folder else f'has no weights but LoRA adapters ({inside})'
    )
    return (
        f'{folder} {what} {model}: an adapter changes that model and is none by itself. '
        f'Merge {"it" if len(places) == 1 else "one of them"}: {merge}'
    )


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def _has_weights(names: Iterable[str]) -> bool:
    return any(n.endswith('.safetensors') and not n.startswith(('adapter_', '.')) for n in names)


def _inside(folder: Path, patterns: Iterable[str], *, depth: int) -> list[Path]:
    """List the folders inside a folder that hold such a file, except those of drafters.

    depth: how many levels of folders to search; trainers and download caches make several.
    """
    places = ('*/' * level + pattern for pattern in patterns for level in range(1, depth + 1))
    found = {file.parent for place in places for file in folder.glob(place)}
    return sorted(p for p in found if 'drafter' not in p.relative_to(folder).parts)


def _parts_inside(folder: Path) -> list[str]:
    """List OpenVLA-OFT's files in the folders inside a checkpoint, except other checkpoints."""
    if not (folder / 'config.json').is_file():
        return []
    found = (file for pattern in _OFT_FILES for file in folder.glob(f'*/{pattern}'))
    own = (file for file in found if not (file.parent / 'config.json').exists())
    return sorted(str(file.relative_to(folder)) for file in own)


def _oft_code(folder: Path) -> list[str]:
    """Return words of OpenVLA-OFT that the code in the folder has; it is read, but never run."""
    try:
        code = (folder / _MODELLING).read_text(encoding='utf-8', errors='replace')
    except OSError:  # none, as usual
        return []
    return [f'{word} in {_MODELLING}' for word in _OFT_CODE if word in code]


def _matching(names: Iterable[str], patterns: Iterable[str]) -> list[str]:
    patterns = tuple(patterns)
    return [name for name in names if any(Path(name).match(pattern) for pattern in patterns)]
