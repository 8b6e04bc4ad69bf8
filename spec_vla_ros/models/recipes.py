# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Recipes: what a fine-tune's pictures and actions were like when it was trained.

A checkpoint folder does not say it, and a policy that is shown another picture, or understood in
another unit, moves wrongly without any error. What is done with a picture stands in
`recipe_pictures`; what of a recipe cannot be right for a checkpoint's norm stats, in
`recipe_checks`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np

from spec_vla_ros.models.folders import looked_for
from spec_vla_ros.strict_yaml import read_yaml
from spec_vla_ros.types import check_choice

RESAMPLING = ('', 'lanczos')
"""What brings a picture to the model's size: the checkpoint's processor, or a filter before it."""


def _check_type(name: str, value: object, *, like: object) -> None:
    numbers = isinstance(like, tuple) and isinstance(value, tuple) and len(value) == len(like)
    right = {
        tuple: numbers and all(type(v) in (int, float) for v in value),  # type: ignore[attr-defined]
        float: type(value) in (int, float),
    }.get(type(like), type(value) is type(like))
    if not right:
        kind = f'{len(like)} numbers' if isinstance(like, tuple) else type(like).__name__
        raise ValueError(f'{name} {value!r} is not {kind}')


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What a fine-tune was trained on; the defaults change neither picture nor action.

    name: what it is called in logs.
    image_rotation: counter-clockwise turn of the camera's picture, 0, 90, 180 or 270 degrees.
    jpeg_quality: the picture is encoded and decoded as a JPEG of this quality, 1 to 100; 0: not.
    resampling: one of `RESAMPLING`.
    image_crop: which part of the AREA is kept, from the middle, and resized back; 1: all.
    gripper_range: what the policy says at the two ends of the gripper, the lower one first.
    gripper_inverted: whether the higher one means closed.
    gripper_binary: whether the gripper is only ever open or closed.
    action_scale: what 1.0 of a displacement is, in metres, and 1.0 of a rotation, in radians.
    unnorm_key: pattern of the norm stats it is for, as of a file's name; empty: of none.

    Raises:
        ValueError: a value cannot be; says which, and what is valid.
    """

    name: str = 'plain'
    image_rotation: int = 0
    jpeg_quality: int = 0
    resampling: str = ''
    image_crop: float = 1.0
    gripper_range: tuple[float, float] = (0.0, 1.0)
    gripper_inverted: bool = False
    gripper_binary: bool = False
    action_scale: tuple[float, float] = (1.0, 1.0)
    unnorm_key: str = ''

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            _check_type(field.name, getattr(self, field.name), like=field.default)
        check_choice('resampling', self.resampling, RESAMPLING)
        low, high = self.gripper_range
        right = {
            'image_rotation': (self.image_rotation in (0, 90, 180, 270), '0, 90, 180 or 270'),
            'jpeg_quality': (0 <= self.jpeg_quality <= 100, '1 to 100, or 0 for none'),
            'image_crop': (0.0 < self.image_crop <= 1.0, 'above 0 and at most 1'),
            'gripper_range': (
                math.isfinite(low) and low < high < math.inf,
                'two numbers, the lower first',
            ),
            'action_scale': (all(0.0 < s < math.inf for s in self.action_scale), 'above 0'),
        }
        for name, (is_right, valid) in right.items():
            if not is_right:
                raise ValueError(f'{name} {getattr(self, name)!r} is not {valid}')

    @property
    def changes_actions(self) -> bool:
        """Whether what the policy says is not yet metres, radians and an opening in [0, 1]."""
        return bool(_differences(self, OF_ACTIONS))

    def in_si_units(self, values: np.ndarray) -> np.ndarray:
        """Un-normalised actions (..., 7) -> metres, radians, opening: 0 closed, 1 open.

        An opening is not clipped, unless the gripper is binary: the policy may exceed its range.
        """
        if not self.changes_actions:
            return values
        metres, radians = self.action_scale
        low, high = self.gripper_range
        opening = (values[..., 6:] - low) / (high - low)
        if self.gripper_inverted:
            opening = 1.0 - opening
        if self.gripper_binary:
            opening = np.heaviside(opening - 0.5, 0.0)  # what is not a number stays so
        return np.concatenate(
            (metres * values[..., :3], radians * values[..., 3:6], opening), axis=-1
        )

    def key_among(self, keys: Iterable[str], asked: str | None = None) -> str | None:
        """Return the norm stats to use: those asked for, else the only ones that it is for.

        None where that does not choose.
        """
        mine = [key for key in keys if self.is_for(key)]
        return mine[0] if asked is None and len(mine) == 1 else asked

    def is_for(self, key: str) -> bool:
        """Whether norm stats of this name are those that it is for; case does not count."""
        return fnmatchcase(key.lower(), self.unnorm_key.lower())

    def __str__(self) -> str:
        changes = _differences(self, (*_OF_PICTURES, *OF_ACTIONS))
        said = ', '.join(f'{name} {_in_words(value)}' for name, value in changes.items())
        return f'{self.name} ({said or "pictures and actions as they are"})'


_OF_PICTURES = ('image_rotation', 'jpeg_quality', 'resampling', 'image_crop')
OF_ACTIONS = ('gripper_range', 'gripper_inverted', 'gripper_binary', 'action_scale')
"""Fields that say what the actions are."""

PLAIN = Recipe()

LIBERO = Recipe(
    name='libero',
    image_rotation=180,
    jpeg_quality=95,
    resampling='lanczos',
    image_crop=0.9,
    gripper_binary=True,
    action_scale=(0.05, 0.5),
    unnorm_key='libero_*',
)
"""OpenVLA's fine-tunes for LIBERO's suites, as experiments/robot/libero of its code asks them.

1.0 is 0.05 m or 0.5 rad of robosuite's OSC_POSE controller. The gripper's training data were
turned round from the simulator's: 1 is open.
"""

BRIDGE = Recipe(name='bridge', jpeg_quality=95, resampling='lanczos', unnorm_key='bridge*')
"""OpenVLA on the WidowX of BridgeData V2, as experiments/robot/bridge of its code asks it."""

RECIPES = {recipe.name: recipe for recipe in (PLAIN, LIBERO, BRIDGE)}
"""The recipes that have a name."""


def read_recipe(recipe: Recipe | str | Path = PLAIN, **changes: Any) -> Recipe:
    """Return a recipe with these fields changed.

    Args:
        recipe: one, the name of one, or a YAML file with the fields that differ from `plain`.
        changes: fields by name.

    Raises:
        ValueError: no such recipe or field, or a value cannot be; the message says what is valid.
    """
    if not isinstance(recipe, Recipe):
        named = RECIPES.get(str(recipe))
        recipe = _from_file(Path(recipe).expanduser()) if named is None else named
    return _changed(recipe, changes)


def libero_rotation(recipe: Recipe) -> int:
    """Return by how many degrees LIBERO's picture is to be turned for a policy of this recipe.

    Policies see it turned by 180. A recipe that turns pictures wants it as the simulator gives it.
    """
    return 0 if recipe.image_rotation else 180


def suggested_recipe(unnorm_key: str) -> Recipe | None:
    """Return the recipe that the name of a checkpoint's norm stats hints at, if any does."""
    named = (recipe for recipe in RECIPES.values() if recipe.is_for(unnorm_key))
    return next(named, None)


def fields_said(recipe: str | Path) -> frozenset[str]:
    """Return the fields that a recipe says: all of one that has a name, of a file its own.

    Raises ValueError: as `read_recipe`.
    """
    if str(recipe) in RECIPES:
        return frozenset(field.name for field in dataclasses.fields(Recipe))
    return frozenset(_said_in(Path(recipe).expanduser()))


def _from_file(path: Path) -> Recipe:
    said = _said_in(path)
    try:
        found = _changed(dataclasses.replace(PLAIN, name=path.stem), said)
        if 'name' in said and found != RECIPES.get(found.name, found):
            raise ValueError(
                f'the recipe {found.name} has other values, and a file is based on plain alone: '
                'write all fields that differ from plain into it, and a name of its own'
            )
    except (ValueError, TypeError) as error:
        raise ValueError(f'{path} is no recipe: {error}') from error
    return found


def _said_in(path: Path) -> dict[Any, Any]:
    if not path.is_file():
        raise ValueError(
            f'recipe {str(path)!r} is none of {", ".join(RECIPES)}, and there is no such file'
            f'{looked_for(path)}'
        )
    try:
        said = read_yaml(path.read_text())
        if not isinstance(said, dict):
            raise ValueError('it holds no fields')
    except (ValueError, OSError) as error:
        raise ValueError(f'{path} is no recipe: {error}') from error
    return said


def _changed(recipe: Recipe, changes: dict[Any, Any]) -> Recipe:
    fields = [field.name for field in dataclasses.fields(Recipe)]
    for name in changes:
        check_choice('field', str(name), fields)
    return dataclasses.replace(recipe, **{k: _as_field(v) for k, v in changes.items()})


def _as_field(value: Any) -> Any:
    """Return a list as the tuple it stands for, whole numbers in it as floats."""
    if isinstance(value, list | tuple):
        return tuple(float(v) if type(v) is int else v for v in value)
    return value


def _differences(recipe: Recipe, names: Iterable[str]) -> dict[str, Any]:
    """Return the fields among these that are not as in the defaults."""
    defaults = {field.name: field.default for field in dataclasses.fields(Recipe)}
    values = {name: getattr(recipe, name) for name in names}
    return {name: value for name, value in values.items() if value != defaults[name]}


def _in_words(value: Any) -> str:
    if isinstance(value, tuple):
        return ' '.join(f'{v:g}' for v in value)
    return {True: 'yes', False: 'no'}[value] if isinstance(value, bool) else str(value)
