# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Recipes: the conventions of the pictures and actions with which a fine-tune was trained.

A checkpoint does not say them. A policy that is shown other pictures, or whose actions are taken
in other units, moves the arm wrongly without any error. `recipe_pictures` prepares pictures by a
recipe, and `recipe_checks` finds recipes that cannot fit a checkpoint's norm stats.
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

from spec_vla_ros.files import no_file
from spec_vla_ros.models.files.folders import looked_for
from spec_vla_ros.strict_yaml import read_yaml
from spec_vla_ros.types import check_choice

RESAMPLING = ('', 'lanczos')
"""Filters that resize a picture before the checkpoint's processor does; '' leaves it to that."""


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
    """Conventions of a fine-tune's training; the defaults change neither picture nor action.

    name: its name in logs.
    image_rotation: counter-clockwise turn of the camera's picture: 0, 90, 180 or 270 degrees.
    jpeg_quality: quality of the JPEG as which the picture is encoded and decoded, 1 to 100; 0 for
        no JPEG.
    resampling: one of `RESAMPLING`.
    image_crop: the part of the AREA that is kept, in the middle, and resized back; 1 for all.
    gripper_range: the policy's values for the two ends of the gripper's travel, the lower first.
    gripper_inverted: whether the higher value means closed.
    gripper_binary: whether the gripper is only ever open or closed.
    action_scale: what 1.0 of a displacement is in metres, and 1.0 of a rotation in radians.
    unnorm_key: pattern (as for file names) of the norm stats that it is for; empty for none.

    Raises:
        ValueError: a value is invalid; the message says which, and what is valid.
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
        """Whether actions must be converted to metres, radians and an opening in [0, 1]."""
        return bool(_differences(self, OF_ACTIONS))

    def in_si_units(self, values: np.ndarray) -> np.ndarray:
        """Un-normalised actions (..., 7) -> metres, radians, opening (0 closed, 1 open).

        The opening may lie outside [0, 1], unless the gripper is binary.
        """
        if not self.changes_actions:
            return values
        metres, radians = self.action_scale
        low, high = self.gripper_range
        opening = (values[..., 6:] - low) / (high - low)
        if self.gripper_inverted:
            opening = 1.0 - opening
        if self.gripper_binary:
            opening = np.heaviside(opening - 0.5, 0.0)  # NaN stays NaN
        return np.concatenate(
            (metres * values[..., :3], radians * values[..., 3:6], opening), axis=-1
        )

    def key_among(self, keys: Iterable[str], asked: str | None = None) -> str | None:
        """Return the key of the norm stats to use: the one asked for, or the only one it is for.

        None if nothing was asked for and it is for none of the keys, or for several.
        """
        mine = [key for key in keys if self.is_for(key)]
        return mine[0] if asked is None and len(mine) == 1 else asked

    def is_for(self, key: str) -> bool:
        """Whether it is for norm stats of this name; case does not count."""
        return fnmatchcase(key.lower(), self.unnorm_key.lower())

    def __str__(self) -> str:
        changes = _differences(self, (*_OF_PICTURES, *OF_ACTIONS))
        said = ', '.join(f'{name} {_in_words(value)}' for name, value in changes.items())
        return f'{self.name} ({said or "pictures and actions as they are"})'


_OF_PICTURES = ('image_rotation', 'jpeg_quality', 'resampling', 'image_crop')
OF_ACTIONS = ('gripper_range', 'gripper_inverted', 'gripper_binary', 'action_scale')
"""Fields about actions."""

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
"""OpenVLA's fine-tunes for LIBERO's suites, as experiments/robot/libero in its code runs them.

1.0 means 0.05 m or 0.5 rad for robosuite's OSC_POSE controller. In the training data, the values
of the gripper are the opposite of the simulator's: 1 is open.
"""

BRIDGE = Recipe(name='bridge', jpeg_quality=95, resampling='lanczos', unnorm_key='bridge*')
"""OpenVLA on the WidowX of BridgeData V2, as experiments/robot/bridge in its code runs it."""

RECIPES = {recipe.name: recipe for recipe in (PLAIN, LIBERO, BRIDGE)}
"""The named recipes."""


def read_recipe(recipe: Recipe | str | Path = PLAIN, **changes: Any) -> Recipe:
    """Return a recipe with some of its fields changed.

    Args:
        recipe: a recipe, the name of one, or a YAML file with the fields that differ from `plain`.
        changes: the fields to change, by name.

    Raises:
        ValueError: there is no such recipe or field, or a value is invalid; the message says what
            is valid.
    """
    if not isinstance(recipe, Recipe):
        named = RECIPES.get(str(recipe))
        recipe = _from_file(Path(recipe).expanduser()) if named is None else named
    return _changed(recipe, changes)


def libero_rotation(recipe: Recipe) -> int:
    """Return by how many degrees LIBERO's node should turn its picture for a policy.

    All policies see the picture turned by 180. If the recipe turns it, the node should not.
    """
    return 0 if recipe.image_rotation else 180


def suggested_recipe(unnorm_key: str) -> Recipe | None:
    """Return the recipe that is for norm stats of this name; None if none is."""
    named = (recipe for recipe in RECIPES.values() if recipe.is_for(unnorm_key))
    return next(named, None)


def fields_said(recipe: str | Path) -> frozenset[str]:
    """Return the fields that a recipe specifies: all if it is a named one, else those in the file.

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
            f'recipe {str(path)!r} is none of {", ".join(RECIPES)}, and '
            f'{no_file(path)}{looked_for(path)}'
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
    """Return a list as a tuple, with floats for whole numbers; anything else as it is."""
    if isinstance(value, list | tuple):
        return tuple(float(v) if type(v) is int else v for v in value)
    return value


def _differences(recipe: Recipe, names: Iterable[str]) -> dict[str, Any]:
    """Return those of the named fields that differ from the defaults, with their values."""
    defaults = {field.name: field.default for field in dataclasses.fields(Recipe)}
    values = {name: getattr(recipe, name) for name in names}
    return {name: value for name, value in values.items() if value != defaults[name]}


def _in_words(value: Any) -> str:
    if isinstance(value, tuple):
        return ' '.join(f'{v:g}' for v in value)
    return {True: 'yes', False: 'no'}[value] if isinstance(value, bool) else str(value)
