# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Refuses checkpoints of other kinds of models, by their config.json and their name.

`checkpoint_kind` does the same by the names of files and weights.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spec_vla_ros.models.files.folders import CheckpointError, shorten
from spec_vla_ros.models.prompts import other_language_model

_OFT_KEYS = (
    'use_l1_regression',
    'use_diffusion',
    'use_film',
    'num_actions_chunk',
    'action_chunk_size',
)
_CHUNKS = ('num_action_chunks', 'action_chunk', 'action_horizon')
"""Keys for the number of actions that the model gives at once; 1 is as in OpenVLA."""
_SEVERAL_IMAGES = ('num_images_in_input', 'image_sequence_len')
_MORE_INPUTS = ('use_wrist_image', 'use_proprio')
_TOKENIZERS = (None, 'action_tokenizer')
_ARCHITECTURES: tuple[list[str] | None, ...] = (None, [], ['OpenVLAForActionPrediction'])

_CLASSES = (
    *('OpenVLAConfig', 'OpenVLAForActionPrediction'),
    *('PrismaticProcessor', 'PrismaticImageProcessor'),
)
"""Classes in OpenVLA's code, as `auto_map` names them after their module."""

_OTHER_NAMES = {
    r'trace[-_ ]?vla': (
        'a TraceVLA checkpoint: it was trained on two images, the second with the traces of '
        'recent motion drawn into it, which are not made here'
    ),
    r'(?<![a-z])openfly': (
        'an OpenFly checkpoint, which flies: it was trained on several images, and its actions '
        'are those of a drone'
    ),
    r'(?<![a-z])vq[-_ ]?vla': (
        'a VQ-VLA checkpoint: its tokens are codes, of which a decoder of its own makes several '
        'actions at once'
    ),
    r'(?<![a-z])univla': (
        'a UniVLA checkpoint: its tokens are no actions, and a decoder of its own makes these of '
        'them'
    ),
    r'(?<![a-z])(ecot|embodied[-_ ]?(cot|chain)|cot|cot[-_ ]?vla|emma[-_ ]?x)(?![a-z])': (
        'a reasoning checkpoint (embodied chain of thought): it writes a plan in words before '
        'each action, which takes hundreds of tokens and is not decoded here'
    ),
    r'(?<![a-z])(oft|openvla[-_ ]?oft)(?![a-z])': (
        'an OpenVLA-OFT checkpoint, whose actions come from a head of its own, in *.pt files that '
        'are not here'
    ),
}
"""Pattern in a checkpoint's name -> its kind, which may be all that tells the kind."""

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


def refuse_other_configs(folder: Path, config: Mapping[str, Any]) -> None:
    """Refuse a config.json that is not an OpenVLA's.

    Raises:
        CheckpointError: the message says what it is, and what to do.
    """
    kind = config.get('model_type')
    if kind != 'openvla':
        raise CheckpointError(_family(kind, config))
    oft = [key for key in _OFT_KEYS if config.get(key)]
    oft += [key for key in _CHUNKS if config.get(key) not in (None, 0, 1)]
    if oft:
        raise CheckpointError(
            f'config.json has {shorten(oft)}, as OpenVLA-OFT has: its actions do not come token '
            'by token. Run it with the code of OpenVLA-OFT'
        )
    refuse_quantised('config.json', config)
    _refuse_other_inputs(config)
    _refuse_other_classes(config.get('auto_map'))
    _refuse_other_names(folder, config.get('_name_or_path'))


def refuse_quantised(file: str | Path, config: Mapping[str, Any]) -> None:
    """Refuse weights that were saved in few bits, since each library has its own way to do so.

    Raises:
        CheckpointError: the config in this file says that they were.
    """
    how = config.get('quantization_config')
    if how:
        method = how.get('quant_method') if isinstance(how, Mapping) else how
        raise CheckpointError(
            f'{file} has a quantization_config ({method}): the weights were quantised, and '
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


def _refuse_other_classes(auto_map: object) -> None:
    """Refuse what transformers would run with another class than OpenVLA's."""
    classes = auto_map.values() if isinstance(auto_map, Mapping) else ()
    names = [name for name in classes if isinstance(name, str)]
    other = [name for name in names if name.rpartition('.')[2] not in _CLASSES]
    if other:
        raise CheckpointError(
            f"config.json has an auto_map to {shorten(other)}, an OpenVLA's is to "
            f'{" and ".join(_CLASSES[:2])}: another class may read or answer otherwise. '
            f'{_WAY_ON}; if only the name is another, write the usual one there'
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


def way_on_of_run(config: Mapping[str, Any]) -> str:
    """Say in words what to do with a training run of OpenVLA; config: its config.json."""
    vla = config.get('vla')
    began_with = vla.get('base_vlm') if isinstance(vla, Mapping) else None
    if other := other_language_model(began_with):
        return (
            f'it began with {began_with!r}, {other}, and no conversion helps. Run it with the '
            'code that it came with'
        )
    return (
        'convert its checkpoint with `vla-scripts/extern/convert_openvla_weights_to_hf.py` of '
        "OpenVLA's code, and give the folder that it writes"
    )


def _family(kind: object, config: Mapping[str, Any]) -> str:
    found = f'config.json has model_type {kind!r}'
    policy = config.get('type')
    if kind is None and isinstance(policy, str):
        return f'config.json is of a LeRobot policy ({policy!r}). {_WAY_ON}'
    if isinstance(kind, str) and kind in _FAMILIES:
        return f'{found}: this is {_FAMILIES[kind]}. {_WAY_ON}'
    if kind is None and isinstance(config.get('vla'), Mapping):
        return f'config.json is of an OpenVLA training run: {way_on_of_run(config)}'
    architectures = config.get('architectures')
    more = f' and architectures {architectures}' if architectures else ''
    return f"{found}{more}: an OpenVLA's has 'openvla'. {_WAY_ON}"
