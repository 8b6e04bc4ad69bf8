# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The files of a checkpoint folder besides its weights: read, checked, and refused by name."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from spec_vla_ros.action_codec import ActionCodec
from spec_vla_ros.models.files.checkpoint_kind import (
    refuse_other_files,
    refuse_other_tensors,
)
from spec_vla_ros.models.files.config_checks import check_sizes
from spec_vla_ros.models.files.config_kind import refuse_other_configs
from spec_vla_ros.models.files.folders import (
    CheckpointError,
    check_enterable,
    folder_path,
    from_the_hub,
    is_there,
    looked_for,
    read_json,
    shorten,
)
from spec_vla_ros.models.files.safetensors_files import StoredTensor, find_tensors
from spec_vla_ros.models.image_processor import ImageProcessor
from spec_vla_ros.models.openvla import OpenVLAConfig
from spec_vla_ros.models.prompts import PromptProcessor
from spec_vla_ros.models.recipe_checks import check_dimensions
from spec_vla_ros.models.recipes import Recipe
from spec_vla_ros.models.text_tokenizers import id_of, largest_id, read_tokenizer
from spec_vla_ros.norm_stats import STATISTICS, STATS_FORMAT

_LARGEST_IMAGE = 4096
_STATISTICS = re.compile(r'dataset[-_ ]?stat.*\.(json|txt|ya?ml)', re.IGNORECASE)
_MAYBE_STATISTICS = re.compile(r'((norm|action)[-_ ]?)?stat(istic)?s\.(json|ya?ml)', re.IGNORECASE)
"""Files with such names count only if they hold bounds; others may be figures of a training."""
_STRATEGY = 'image_resize_strategy'
_BEGIN = '<s>'
"""Llama's first token of a prompt."""
_PREPROCESSOR, _PROCESSOR = 'preprocessor_config.json', 'processor_config.json'


def read_config(folder: str | Path) -> OpenVLAConfig:
    """Read config.json, and merge the norm stats of a fine-tune's dataset_statistics.json into it.

    Raises:
        CheckpointError: the folder is no OpenVLA checkpoint; the message says what it is.
    """
    folder = folder_path(folder)
    check_enterable(folder)
    if folder.is_file():
        raise CheckpointError(f'{folder} is a file: give the folder of the checkpoint')
    if not folder.is_dir():
        raise CheckpointError(
            f'{folder} is not a folder{looked_for(folder)}: give the path of a downloaded '
            f'checkpoint{from_the_hub(folder)}'
        )
    refuse_other_files(folder)
    raw = read_json(folder / 'config.json')
    refuse_other_configs(folder, raw)
    with blaming(f'{folder} is not an OpenVLA checkpoint'):
        config = OpenVLAConfig.from_dict(raw)
        _check_sizes(config)
    return _with_statistics(folder, config)


def read_image_processor(folder: Path, config: OpenVLAConfig) -> ImageProcessor:
    """Read preprocessor_config.json, or processor_config.json, where transformers 5 writes it.

    Raises:
        CheckpointError: both are missing, or they differ, or one is malformed, contradicts itself
            or config.json, or prepares no pictures as the vision towers see them.
    """
    plain, nesting = folder / _PREPROCESSOR, folder / _PROCESSOR
    nested = read_json(nesting).get('image_processor') if is_there(nesting) else None
    if nested is None and not is_there(plain) and nesting.exists():
        raise CheckpointError(
            f'{plain} is missing, and {_PROCESSOR} has no image_processor: add the file of the '
            'model that was fine-tuned'
        )
    raw = nested if nested is not None and not plain.exists() else read_json(plain)
    with blaming(f'{folder}'):
        processor = ImageProcessor.from_dict(raw)
        if nested is not None and ImageProcessor.from_dict(nested) != processor:
            raise CheckpointError(
                f'{folder}: {_PREPROCESSOR} and {_PROCESSOR} prepare images differently: remove '
                'the one that the model was not trained with'
            )
        processor.check_sizes(config.image_sizes)
    said = read_json(folder / 'config.json').get(_STRATEGY)
    theirs = raw.get(_STRATEGY)
    if None not in (said, theirs) and said != theirs:
        raise CheckpointError(
            f'{folder}: {_STRATEGY} is {said!r} in config.json and {theirs!r} for the image '
            'processor: make both what the model was trained with'
        )
    return processor


def read_prompt_processor(folder: Path, config: OpenVLAConfig) -> PromptProcessor:
    """Read the tokenizer and the first token of every prompt.

    Raises:
        ValueError: a file cannot be read, or the tokenizer or the first token is not that of the
            checkpoint's language model; the message says which file.
    """
    generation = folder / 'generation_config.json'
    said = read_json(generation).get('bos_token_id') if is_there(generation) else None
    bos = 1 if said is None else said
    if type(bos) is not int or not 0 <= bos < config.text.vocab_size:
        raise ValueError(f'bos_token_id in {generation.name} is {bos!r}, which is no token id')
    tokenizer, rows = read_tokenizer(folder), config.text.vocab_size
    if tokenizer is not None and largest_id(tokenizer) >= rows:
        raise ValueError(
            "the tokenizer is another language model's, or tokens were added to it: it says ids "
            f'up to {largest_id(tokenizer)}, and the model knows {rows}; put the tokenizer of '
            'this checkpoint there'
        )
    begin = None if tokenizer is None else id_of(tokenizer, _BEGIN)
    if begin not in (None, bos):
        raise ValueError(
            f"bos_token_id in {generation.name} is {bos}, and the tokenizer's {_BEGIN} is "
            f'{begin}, with which every prompt of the training began: write {begin} there'
        )
    return PromptProcessor(
        tokenizer,
        vocab_size=config.vocab_size,
        bos_token_id=bos,
        template=config.prompt,
    )


def read_tensors(folder: Path) -> dict[str, StoredTensor]:
    """List the weights of an OpenVLA; see `find_tensors`.

    Raises:
        CheckpointError: as `find_tensors` and `refuse_other_tensors`.
    """
    tensors = find_tensors(folder)
    refuse_other_tensors(folder, tensors)
    return tensors


def codec_of(
    folder: Path, config: OpenVLAConfig, recipe: Recipe, unnorm_key: str | None
) -> ActionCodec:
    """Return the codec with the norm stats that were asked for, or that the recipe is for.

    Args:
        folder: the checkpoint's folder, for error messages.
        config: the checkpoint's config.
        recipe: the recipe in force.
        unnorm_key: the norm stats that were asked for; None if none were.

    Raises:
        CheckpointError: there are no such norm stats, or they do not fit the recipe.
    """
    with blaming(f'{folder}'):
        codec = config.codec(recipe.key_among(config.keys_unasked, unnorm_key))
        check_dimensions(recipe, codec.stats)
    return codec


@contextmanager
def blaming(culprit: str) -> Iterator[None]:
    """Turn any error that a malformed file causes into a CheckpointError with the culprit."""
    try:
        yield
    except CheckpointError:
        raise
    except ValueError as error:
        raise CheckpointError(f'{culprit}: {error}') from error
    except Exception as error:  # a value of a wrong type fails where it is first used
        kind = type(error).__name__
        raise CheckpointError(f'{culprit}: a value is malformed ({kind}: {error})') from error


def _check_sizes(config: OpenVLAConfig) -> None:
    """Refuse impossible numbers, see `config_checks`."""
    largest = config.text.vocab_size
    check_sizes(
        [
            ('n_action_bins', config.num_bins, largest),
            ('vocab_size without padding', config.vocab_size, largest),
            *((f'image_sizes[{i}]', n, _LARGEST_IMAGE) for i, n in enumerate(config.image_sizes)),
        ]
    )
    if config.num_bins > config.vocab_size:
        raise ValueError(f'{config.num_bins} action bins in {config.vocab_size} token ids')


def _are_others(path: Path, own: Mapping[str, Any]) -> bool:
    """Whether a file seems to hold norm stats, by its name or content, that are not in `own`."""
    if _STATISTICS.match(path.name):
        return True
    try:
        if not _MAYBE_STATISTICS.fullmatch(path.name) or b'q01' not in path.read_bytes():
            return False
        content = read_json(path) if path.suffix == '.json' else {}
    except OSError:  # a folder, or a file that this user may not read
        return False
    except CheckpointError:
        return True
    content = content.get('norm_stats', content)
    known = isinstance(content, Mapping) and all(own.get(k) == v for k, v in content.items())
    return not content or not known


def _with_statistics(folder: Path, config: OpenVLAConfig) -> OpenVLAConfig:
    """Add the norm stats of dataset_statistics.json to those of config.json.

    If the statistics in the file are not inside a data set's name, they are those of the only data
    set.
    """
    own = config.norm_stats
    if not isinstance(own, Mapping):
        raise CheckpointError(f'{folder}: norm_stats in config.json are no object of data sets')
    file = folder / STATISTICS
    meant = [path.name for path in folder.iterdir() if _are_others(path, own)]
    if meant and not is_there(file):
        raise CheckpointError(
            f'{folder} has {shorten(meant)} and no {STATISTICS}, so its actions would be '
            'un-normalised by those of another robot: give it this name, and write it as JSON'
        )
    extra = read_json(file) if is_there(file) else {}
    if own and not extra and is_there(file):
        raise CheckpointError(
            f'{file} holds no data set, so that the actions would be un-normalised by those of '
            f'{shorten(own)} in config.json: copy the file of the training, or remove it if these '
            'are its own'
        )
    action = extra.get('action')
    if isinstance(action, Mapping) and 'action' not in action:
        extra, own = {next(iter(own)) if len(own) == 1 else file.stem: extra}, {}
    for key, entry in extra.items():
        if not isinstance(entry, Mapping):
            raise CheckpointError(
                f"{file}: {key!r} is {entry!r:.40} and no data set's statistics; {STATS_FORMAT}"
            )
    files = {**dict.fromkeys(own, 'config.json'), **dict.fromkeys(extra, file.name)}
    return replace(config, norm_stats={**own, **extra}, norm_stats_files=files)
