# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Finds recipes that cannot be right for a checkpoint's norm stats, and suggests others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from spec_vla_ros.models.recipes import (
    OF_ACTIONS,
    PLAIN,
    RECIPES,
    Recipe,
    suggested_recipe,
)
from spec_vla_ros.norm_stats import NormStats
from spec_vla_ros.types import DIMENSION_NAMES, DIMENSIONS

_FARTHEST_STEP = 0.3  # metres; in no data set does an arm move farther between two images
_FARTHEST_TURN = 1.0  # radians, likewise; exceeded by degrees, and reached without un-normalising
_STEP_IN_METRES = 0.1  # if the largest step is smaller than this, it probably is in metres
_SLACK = 0.1  # of the gripper's range, by which the quantiles of a noisy gripper may exceed it
_LEAST_PART = 0.6  # of the gripper's range that data use; [0, 1] taken for [-1, 1] use 0.5
_NEAR_ZERO = 0.01  # of a range, by which the quantiles of an arm that mostly rested may miss 0
_ROUNDING = 1e-6
_CROPPED = '--image_aug'  # in the name of a folder whose fine-tune was trained on crops
_XYZ, _ROTATION = slice(0, 3), slice(3, 6)


def farthest_actions(stats: NormStats) -> np.ndarray:
    """Return the least and the greatest action that the policy can give, (2, D) un-normalised."""
    ends = np.array([[-1.0], [1.0]])
    return np.where(stats.mask, [stats.q01, stats.q99], ends)


def check_dimensions(recipe: Recipe, stats: NormStats) -> None:
    """Raise ValueError if a recipe changes actions that are not those of an end effector."""
    if recipe.changes_actions and stats.dimensions != DIMENSIONS:
        raise ValueError(
            f'recipe {recipe} changes actions of {DIMENSIONS} dimensions, position, rotation and '
            f'gripper; norm stats {stats.key!r} have {stats.dimensions}'
        )


def unit_doubts(recipe: Recipe, stats: NormStats) -> list[str]:
    """Return in words why the actions cannot be in metres and radians; empty if they may be."""
    if stats.dimensions != DIMENSIONS:
        return []
    step, turn = _farthest(recipe, stats)
    found = []
    if step > _FARTHEST_STEP:
        libero = ", as LIBERO's have, which the recipe libero is for"
        found.append(
            f'a step of {step:.2f} cannot be metres: these actions have a scale of their own'
            f'{libero if "libero" in stats.key.lower() else ""}; action_scale says what 1.0 is '
            '(of angles of joints or absolute poses, no scale makes displacements)'
        )
    if turn >= _FARTHEST_TURN:
        found.append(
            f'a turn of {turn:.2f} cannot be radians in one step; action_scale says what 1.0 is'
        )
    return found


def _unmasked(stats: NormStats) -> str | None:
    """Say which dimensions of the arm are not un-normalised but should be; None if there are none.

    They should be if the range of their training data is not about [-1, 1].
    """
    least, most = stats.q01[: DIMENSIONS - 1], stats.q99[: DIMENSIONS - 1]
    other = (most - least < 2 * _LEAST_PART) | (least < -1 - _SLACK) | (most > 1 + _SLACK)
    named = [
        f'{DIMENSION_NAMES[d]} ({least[d]:g} to {most[d]:g})'
        for d in np.flatnonzero(~stats.mask[: DIMENSIONS - 1] & other)
    ]
    if not named:
        return None
    return (
        f'mask is false for {", ".join(named)}, so that the policy says -1 to 1 there whatever '
        'its training data have; right only where it was trained so'
    )


def restless(stats: NormStats) -> str | None:
    """Say which of the arm's ranges do not include 0, so that it could never stand still.

    None if all include it, or the actions are not those of an end effector.
    """
    if stats.dimensions != DIMENSIONS:
        return None
    slack = _NEAR_ZERO * (stats.q99 - stats.q01) + _ROUNDING
    moving = stats.mask & ((stats.q01 > slack) | (stats.q99 < -slack))
    named = [
        f'{DIMENSION_NAMES[d]} ({stats.q01[d]:g} to {stats.q99[d]:g})'
        for d in np.flatnonzero(moving[: DIMENSIONS - 1])
    ]
    if not named:
        return None
    return (
        f'0 is not in the range of {", ".join(named)}, so that the arm could never stand still: '
        'are these absolute poses? An action here is a displacement'
    )


def refuse_restless(stats: NormStats) -> None:
    """Raise ValueError if the arm could never stand still; see `restless`."""
    if found := restless(stats):
        raise ValueError(
            f'norm stats {stats.key!r}: {found}; train on displacements, and take their statistics'
        )


def refuse_other_units(recipe: Recipe, stats: NormStats) -> None:
    """Raise ValueError if the actions cannot be in metres and radians; see `unit_doubts`.

    It is for programs that move an arm, if the user has not said what the actions mean.
    """
    if found := unit_doubts(recipe, stats):
        raise ValueError(
            f'norm stats {stats.key!r}: {"; ".join(found)}. Set action_scale, or '
            'observation_recipe to what the policy was trained on: plain, if it is right as it is'
        )


def doubts(recipe: Recipe, stats: NormStats) -> list[str]:
    """Return what cannot be right and how to mend it; empty for actions of other kinds."""
    if stats.dimensions != DIMENSIONS:
        return []
    step, turn = _farthest(recipe, stats)
    as_said = np.abs(farthest_actions(stats)[:, _XYZ]).max()
    found = unit_doubts(recipe, stats)
    found += filter(None, [restless(stats), _unmasked(stats), stats.contradiction])
    if step == turn == 0:
        found.append('every step and turn is 0: the arm would never move, whatever it is told')
    elif still := np.flatnonzero(stats.without_range[: DIMENSIONS - 1]).tolist():
        found.append(
            f'{", ".join(DIMENSION_NAMES[d] for d in still)}: q01 and q99 are the same, so that '
            'the arm would never move that way; right only where it never did in the training data'
        )
    if recipe.action_scale[0] != 1.0 and as_said < _STEP_IN_METRES:
        found.append(
            f'steps of at most {as_said:.3f} look like metres as they are; with action_scale '
            f'{recipe.action_scale[0]:g} the farthest is {1e3 * step:.2g} mm'
        )
    if stats.without_range[-1]:
        opening = recipe.in_si_units(farthest_actions(stats))[0, -1]
        return [*found, f'the gripper would always be at {opening:g}, whatever the policy says']
    return found + _doubts_of_the_gripper(recipe, float(stats.q01[-1]), float(stats.q99[-1]))


def _farthest(recipe: Recipe, stats: NormStats) -> tuple[float, float]:
    """Return the largest step and turn that the policy can give, converted by the recipe."""
    said = np.abs(recipe.in_si_units(farthest_actions(stats)))
    return float(said[:, _XYZ].max()), float(said[:, _ROTATION].max())


def _doubts_of_the_gripper(recipe: Recipe, least: float, most: float) -> list[str]:
    low, high = recipe.gripper_range
    span, used = high - low, most - least
    if used <= 0:  # it never moved, so nothing is known
        return []
    there = f'the gripper goes from {least:g} to {most:g} in the training data'
    if least < low - _SLACK * span or most > high + _SLACK * span:
        return [f'{there}, outside gripper_range {low:g} {high:g}']
    if used < _LEAST_PART * span:
        return [f'{there}, a part of gripper_range {low:g} {high:g} only']
    return []


def crop_doubt(recipe: Recipe, folder: Path) -> str | None:
    """Return a line if a fine-tune was trained on cropped pictures but is shown whole ones.

    Its folder's name tells: OpenVLA's finetune.py, which crops by default, adds `--image_aug`.
    """
    if recipe.image_crop < 1.0 or _CROPPED not in str(folder):
        return None
    return (
        f'{folder.name} was fine-tuned on random crops, as {_CROPPED} says, and is shown whole '
        'pictures: image_crop 0.9 is what OpenVLA evaluates such models with'
    )


def require_choice(
    keys: Iterable[str], asked: str | None, *, option: str, said: Iterable[str] | None = None
) -> None:
    """Raise ValueError if norm stats belong to a named recipe, but the user chose no recipe.

    Args:
        keys: keys of the norm stats that may be chosen by default.
        asked: the key to use; None for the only one.
        option: how a recipe is chosen, for the message: the text before the recipe's name.
        said: the fields that the chosen recipe specifies; None if none was chosen. A file without
            fields about actions does not count if the named recipe changes actions.
    """
    known = [asked] if asked else list(keys)
    if len(known) != 1:
        return  # others raise an error that asks which to use
    hinted = suggested_recipe(known[0])
    if hinted is None:
        return
    mine = f'norm stats {known[0]!r} are those of the recipe {hinted.name}'
    if said is None:
        raise ValueError(f'{mine}: give {option}{hinted.name}, or {option}{PLAIN.name} for none')
    if hinted.changes_actions and {*OF_ACTIONS}.isdisjoint(said):
        raise ValueError(
            f'{mine}, and the recipe that was given says nothing of actions: write action_scale '
            f'and what differs of the gripper into its file, as in {hinted}'
        )


def suggestion(recipe: Recipe, stats: NormStats) -> str | None:
    """Return a line about the recipe that the norm stats' name suggests; None if one was chosen.

    The recipe is not applied, since nobody asked for a change of pictures or actions.
    """
    hinted = suggested_recipe(stats.key)
    if hinted is None or recipe.name != PLAIN.name:
        return None
    return (
        f'norm stats {stats.key!r} are those of the recipe {hinted}: it is suggested, and not '
        f'applied; in force is {recipe}'
    )


def pattern_doubt(recipe: Recipe, stats: NormStats) -> str | None:
    """Return a line if an own recipe says that it is for other norm stats; None if it does not.

    The named recipes are often chosen on purpose for data sets that are called otherwise.
    """
    pattern = recipe.unnorm_key
    named = RECIPES.get(recipe.name, PLAIN).unnorm_key
    if pattern in ('', named) or recipe.is_for(stats.key):
        return None
    return (
        f'recipe {recipe.name} says that it is for norm stats called {pattern!r} (unnorm_key), '
        f'and in use are {stats.key!r}: is it the recipe, or the checkpoint, of another robot?'
    )


def hints(
    recipe: Recipe, stats: NormStats, folder: Path, *, files: Mapping[str, str]
) -> list[str]:
    """Return all doubts about the recipe and the norm stats used with a checkpoint, as lines.

    Args:
        recipe: the recipe in force.
        stats: the norm stats in use.
        folder: the checkpoint's folder.
        files: data set -> the file that its norm stats are from.
    """
    by_name = (
        suggestion(recipe, stats),
        pattern_doubt(recipe, stats),
        crop_doubt(recipe, folder),
        stats.foreign_warning(files),
    )
    return [*doubts(recipe, stats), *filter(None, by_name)]
