# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The options of `spec-vla` that choose a recipe."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from typing import Any

from spec_vla_ros.models.recipe_checks import require_choice
from spec_vla_ros.models.recipes import (
    PLAIN,
    RECIPES,
    Recipe,
    fields_said,
    read_recipe,
)
from spec_vla_ros.strict_yaml import merged, read_yaml


def add_recipe_options(parser: argparse.ArgumentParser) -> None:
    """Add the options --recipe and --set."""
    parser.add_argument(
        '--recipe',
        metavar='R',
        help=f'what it was trained on: {", ".join(RECIPES)}, or a YAML file (default: plain)',
    )
    parser.add_argument(
        '--set',
        action='append',
        default=[],
        metavar='FIELD=VALUE',
        help="a field of the recipe, such as image_crop=1 or 'action_scale=[0.05, 0.5]'",
    )


def recipe_from(args: argparse.Namespace) -> Recipe:
    """Return the recipe that --recipe and --set describe.

    Raises:
        ValueError: as `read_recipe`; or --set gives a field no value, or two.
    """
    changes: dict[str, Any] = {}
    for text in args.set:
        name, equals, value = text.partition('=')
        if not equals:
            raise ValueError(f'--set {text}: give FIELD=VALUE')
        try:
            said = read_yaml(value)
        except ValueError as error:
            raise ValueError(f'--set {text}: {value!r} is no YAML value') from error
        try:
            changes = merged(changes, {name.strip(): said})
        except ValueError as twice:
            raise ValueError(f'--set {text}: {twice}') from twice
    return read_recipe(args.recipe or PLAIN, **changes)


def check_chosen(args: argparse.Namespace, keys: Iterable[str], asked: str | None) -> None:
    """Raise ValueError if a recipe should be given and none was, see `require_choice`.

    A mere warning would be read only after hours of work, or overlooked beside an action.
    """
    said = None
    if args.recipe is not None:
        said = fields_said(args.recipe) | {text.partition('=')[0].strip() for text in args.set}
    require_choice(keys, asked, option='--recipe ', said=said)
