# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""What a checkpoint folder is, told from its names and its config.json before anything is built.

A folder that is something else than an autoregressive OpenVLA could load and move the arm all the
same. So it is refused by what it is, with the way on.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from spec_vla_ros.models.folders import CheckpointError, shorten

_OFT_FILES = (
    'action_head--*',
    'proprio_projector--*',
    'noisy_action_projector--*',
    'vision_backbone--*',
)
_OFT_KEYS = ('use_l1_regression', 'use_diffusion', 'num_actions_chunk', 'action_chunk_size')
_OFT_TENSORS = ('action_head.', 'proprio_projector.', 'noisy_action_projector.')

_UNIVLA_FILES = ('action_decoder*',)

_SEVERAL_IMAGES = ('num_images_in_input', 'image_sequence_len')
_MORE_INPUTS = ('use_wrist_image', 'use_proprio')
_TOKENIZERS = (None, 'action_tokenizer')
_ARCHITECTURES: tuple[list[str] | None, ...] = (None, [], ['OpenVLAForActionPrediction'])

_ADAPTER_FILES = ('adapter_config.json', 'adapter_model*')
_WRAPPERS = {
    'base_model.model.': (
        'as the peft library names those of a model with an adapter: call `merge_and_unload()` '
        'on the model, and save what that returns'
    ),
    'module.': (
        'as torch names those of a model that is trained in parallel: save `model.module`, not '
        '`model`'
    ),
}
"""What the keys of weights begin with that were saved with a wrapper around the model."""

_TRAINER_STATE = (
    *('optimizer*', 'scheduler.*', 'trainer_state.json', 'training_args.bin', 'rng_state*'),
    *('random_states_*', 'scaler.pt', 'global_step*', 'zero_pp_rank_*', 'mp_rank_*', '*.distcp'),
)
_PICKLED = ('*.bin', '*.pt', '*.pth', '*.ckpt')

_OTHER_NAMES = {
    r'(?<![a-z])(ecot|embodied[-_ ]?(cot|chain)|cot)(?![a-z])': (
        'a reasoning checkpoint (embodied chain of thought): it writes a plan in words before '
        'each action, which takes hundreds of tokens and is not decoded here'
    ),
    r'(?<![a-z])oft(?![a-z])': (
        'an OpenVLA-OFT checkpoint, whose actions come from a head of its own, in *.pt files that '
        'are not here'
    ),
}
"""What of a name says what a checkpoint is, though nothing else in its folder may."""

_LEROBOT = ('act', 'diffusion', 'groot', 'pi0', 'pi05', 'pi0_fast', 'sac', 'smolvla', 'tdmpc')
_FAMILIES = {
    'prismatic': 'a Prismatic vision-language model, which was not taught actions',
    'moe_openvla': 'an OpenVLA variant with experts',
    'openvla_oft': 'an OpenVLA-OFT checkpoint, whose actions come from a head of their own',
    'spatialvla': 'a SpatialVLA policy',
    'paligemma': 'a PaliGemma model',
    'llava': 'a LLaVA model',
    'llama': 'a language model or a drafter, which only runs beside its target',
}
_WAY_ON = 'Only OpenVLA and its fine-tunes run here; run it with the code that it came with'


def refuse_other_files(folder: Path) -> None:
    """Refuse a folder whose files show that it is something else.

    Raises:
        CheckpointError: OpenVLA-OFT, UniVLA, LoRA adapters, a Prismatic training run, a folder of
            several checkpoints.
    """
    names = _names(folder)
    oft = _matching(names, _OFT_FILES)
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
    adapters = _adapters(folder)
    if adapters:
        raise CheckpointError(_adapter(folder, adapters))
    if 'checkpoints' in names and not _has_weights(names):
        raise CheckpointError(
            f'{folder} is the folder of a training run, as OpenVLA writes it (checkpoints/): '
            'convert the checkpoint with `vla-scripts/extern/convert_openvla_weights_to_hf.py` of '
            "OpenVLA's code, and give the folder that it writes"
        )
    inside = [] if 'config.json' in names else _checkpoints_inside(folder)
    if inside:
        raise CheckpointError(
            f'{folder} has no config.json, but holds checkpoints: give one of {shorten(inside)}'
        )


def refuse_other_configs(folder: Path, config: Mapping[str, Any]) -> None:
    """Refuse a config.json of something else than OpenVLA.

    Raises:
        CheckpointError: the family, and the way on.
    """
    kind = config.get('model_type')
    if kind != 'openvla':
        raise CheckpointError(_family(kind, config))
    oft = [key for key in _OFT_KEYS if config.get(key)]
    if oft:
        raise CheckpointError(
            f'config.json has {shorten(oft)}, as OpenVLA-OFT has: its actions do not come token '
            'by token. Run it with the code of OpenVLA-OFT'
        )
    _refuse_quantised(config.get('quantization_config'))
    _refuse_other_inputs(config)
    _refuse_other_names(folder, config.get('_name_or_path'))


def _refuse_quantised(how: object) -> None:
    """Refuse weights that were saved in few bits, each library in a way of its own."""
    if how:
        method = how.get('quant_method') if isinstance(how, Mapping) else how
        raise CheckpointError(
            f'config.json has a quantization_config ({method}): the weights were quantised, and '
            'are no longer those of the model. Use the checkpoint before that, and store it as '
            'int8 or int4 here (stored_as) where memory is short; if these weights are plain '
            'again, remove quantization_config'
        )


def _refuse_other_inputs(config: Mapping[str, Any]) -> None:
    """Refuse what was trained on more than it would get here, or says its actions otherwise."""
    more = [key for key in _SEVERAL_IMAGES if config.get(key) not in (None, 0, 1)]
    more += [key for key in _MORE_INPUTS if config.get(key)]
    if more:
        raise CheckpointError(
            f'config.json has {", ".join(f"{key} {config[key]!r}" for key in more)}: this model '
            'was trained on more than one image and an instruction, and would act without seeing '
            'the rest. Run it with the code that it came with'
        )
    tokenizer = config.get('action_tokenizer')
    if tokenizer not in _TOKENIZERS:
        raise CheckpointError(
            f'config.json has action_tokenizer {tokenizer!r}: its tokens stand for other actions '
            "than OpenVLA's. Run it with the code that it came with"
        )
    architectures = config.get('architectures')
    if architectures not in _ARCHITECTURES:
        raise CheckpointError(
            f"config.json has architectures {architectures!r}, an OpenVLA's has "
            f'{_ARCHITECTURES[-1]}: another class may read or answer otherwise. {_WAY_ON}; if '
            'only the name is another, write the usual one there'
        )


def _refuse_other_names(folder: Path, came_from: object) -> None:
    """Refuse what only its name tells, in the folder's or where config.json says it came from."""
    place = folder.resolve()
    cached = place.parent.name == 'snapshots'  # of a download cache: the name is two folders up
    here = place.parents[1].name if cached else place.name
    for name, change in ((here, 'rename the folder'), (came_from, 'change _name_or_path')):
        for pattern, what in _OTHER_NAMES.items():
            if isinstance(name, str) and re.search(pattern, Path(name).name, re.IGNORECASE):
                raise CheckpointError(
                    f'{name!r} names {what}. Give an OpenVLA checkpoint that answers with the '
                    f'tokens of one action at once; if this one does, {change}'
                )


def refuse_other_tensors(keys: Iterable[str]) -> None:
    """Refuse weights whose names show that they are something else.

    Raises:
        CheckpointError: an adapter that is not merged, an OpenVLA-OFT with its head, or a model
            that was saved with what was around it.
    """
    keys = sorted(keys)
    lora = [key for key in keys if '.lora_' in key]
    if lora:
        raise CheckpointError(
            f'the weights hold a LoRA adapter that is not merged ({shorten(lora)}): merge it with '
            '`merge_and_unload()` of the peft library, and save the model again'
        )
    heads = [key for key in keys if key.startswith(_OFT_TENSORS)]
    if heads:
        raise CheckpointError(
            f'the weights hold an action head ({shorten(heads)}), as OpenVLA-OFT has: its actions '
            'do not come token by token. Run it with the code that it came with'
        )
    for prefix, how in _WRAPPERS.items():
        wrapped = [key for key in keys if key.startswith(prefix)]
        if wrapped:
            raise CheckpointError(
                f'the names of the weights begin with {prefix!r} ({shorten(wrapped)}), {how}'
            )


def left_aside(folder: Path) -> list[str]:
    """Say what else is in a checkpoint's folder and is not used, a sentence each."""
    names = _names(folder)
    state = _matching(names, _TRAINER_STATE)
    pickled = [name for name in _matching(names, _PICKLED) if name not in state]
    inside = _checkpoints_inside(folder)
    notes = []
    if state:
        notes.append(
            f"a trainer's state is here too ({shorten(state)}) and not used: the weights may be "
            'those of a run that had not ended'
        )
    if pickled:
        notes.append(f'other weights are here too ({shorten(pickled)}), pickled, and not used')
    if inside:
        notes.append(f'other checkpoints are inside ({shorten(inside)}) and not used')
    return notes


def _family(kind: object, config: Mapping[str, Any]) -> str:
    found = f'config.json has model_type {kind!r}'
    lerobot = config.get('type')
    if kind is None and isinstance(lerobot, str) and lerobot in _LEROBOT:
        return f'config.json is of a LeRobot policy ({lerobot!r}). {_WAY_ON}'
    if isinstance(kind, str) and kind in _FAMILIES:
        return f'{found}: this is {_FAMILIES[kind]}. {_WAY_ON}'
    if kind is None and isinstance(config.get('vla'), Mapping):
        return (
            'config.json is of an OpenVLA training run: convert its checkpoint with '
            "`vla-scripts/extern/convert_openvla_weights_to_hf.py` of OpenVLA's code"
        )
    architectures = config.get('architectures')
    more = f' and architectures {architectures}' if architectures else ''
    return f"{found}{more}: an OpenVLA's has 'openvla'. {_WAY_ON}"


def _adapters(folder: Path) -> list[Path]:
    """List where a LoRA adapter is: in the folder itself, or in those inside."""
    if _matching(_names(folder), _ADAPTER_FILES):
        return [folder]
    return sorted({file.parent for name in _ADAPTER_FILES for file in folder.glob(f'*/{name}')})


def _adapter(folder: Path, places: list[Path]) -> str:
    """Say of which base model the adapters in `places` are, and how the two become one."""
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
    inside = shorten(place.name for place in places)
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
    return any(n.endswith('.safetensors') and not n.startswith('adapter_') for n in names)


def _checkpoints_inside(folder: Path) -> list[str]:
    """List the folders inside, as trainers and download caches make them; a drafter is none."""
    patterns = ('*/config.json', 'snapshots/*/config.json')
    found = {file.parent for pattern in patterns for file in folder.glob(pattern)}
    return sorted(str(place.relative_to(folder)) for place in found if place.name != 'drafter')


def _matching(names: Iterable[str], patterns: Iterable[str]) -> list[str]:
    patterns = tuple(patterns)
    return [name for name in names if any(Path(name).match(pattern) for pattern in patterns)]
