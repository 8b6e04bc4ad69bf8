# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The ways of decoding that evaluations compare, and their names in the results."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass

from spec_vla_ros.types import MOST_METRES, MOST_RADIANS, RELAXED, STRICT, Decoding


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptanceTolerances:
    """Tolerances of relaxed acceptance in units of the action, instead of a threshold in bins.

    metres, radians: tolerance along and about each axis; None if it is not in force.
    """

    metres: float | None = None
    radians: float | None = None

    def __str__(self) -> str:
        parts = {
            'mm': None if self.metres is None else 1e3 * self.metres,
            'mrad': None if self.radians is None else 1e3 * self.radians,
        }
        return ' '.join(f'{name}={value:g}' for name, value in parts.items() if value is not None)


NO_TOLERANCES = AcceptanceTolerances()


@dataclass(frozen=True, slots=True)
class Way:
    """A way of decoding speculatively.

    r: the acceptance threshold of every dimension but the gripper's, in bins; 0 without
        tolerances is strict decoding.
    temporal: whether there are temporal drafts as well.
    tolerances: used instead of r in the dimensions that they are for.
    """

    r: int
    temporal: bool
    tolerances: AcceptanceTolerances = NO_TOLERANCES

    @property
    def name(self) -> str:
        """Its name in the results."""
        bins = f'r={self.r}' if self.r else ''
        words = ' '.join(word for word in ('relaxed', bins, str(self.tolerances)) if word)
        mode = words if self.decoding.mode == RELAXED else 'strict'
        return f'{mode} + temporal' if self.temporal else mode

    @property
    def decoding(self) -> Decoding:
        """What a policy is asked for."""
        return Decoding(
            RELAXED if self.r or self.tolerances != NO_TOLERANCES else STRICT,
            self.r,
            temporal=self.temporal,
            acceptance_tolerance_translation=self.tolerances.metres,
            acceptance_tolerance_rotation=self.tolerances.radians,
        )


def _ways(*thresholds: int) -> tuple[Way, ...]:
    return tuple(Way(r, temporal) for temporal in (False, True) for r in thresholds)


EVALUATED = _ways(0, 1, 3, 5, 9, 15)
"""What `spec-vla evaluate` compares, r ascending."""

HEADLINES = tuple(Way(r, temporal) for r in (0, 9) for temporal in (False, True))
"""What `evaluate --benchmark` compares: the paper's ways, with and without temporal drafts."""

REPLAYED = _ways(0, 1, 3, 5, 9, 15, 25)
"""What `spec-vla tune` and `spec-vla evaluate --benchmark SUITE --sweep` compare, r ascending."""


def add_tolerances(parser: argparse.ArgumentParser) -> None:
    """Declare the options that add ways with acceptance tolerances, see `tolerance_ways`."""
    group = parser.add_argument_group(
        'also compare acceptance tolerances, rounded down to bins by the norm stats'
    )
    group.add_argument('--acceptance-mm', type=float, help='along each of x, y and z')
    group.add_argument('--acceptance-mrad', type=float, help='about each of these axes')


def tolerance_ways(args: argparse.Namespace) -> tuple[Way, ...]:
    """Return the ways that the options of `add_tolerances` ask for; none if they are not given.

    Raises:
        ValueError: a tolerance is negative or above its maximum.
    """
    given = {'--acceptance-mm': args.acceptance_mm, '--acceptance-mrad': args.acceptance_mrad}
    for (name, value), most in zip(given.items(), (MOST_METRES, MOST_RADIANS), strict=True):
        if value is not None and not 0 <= value <= 1e3 * most:
            raise ValueError(f'{name} {value}: give a number from 0 to {1e3 * most:g}')
    metres, radians = (None if value is None else value / 1e3 for value in given.values())
    tolerances = AcceptanceTolerances(metres=metres, radians=radians)
    if tolerances == NO_TOLERANCES:
        return ()
    return tuple(Way(0, temporal, tolerances) for temporal in (False, True))


def by_threshold(
    results: Mapping[str, Mapping], ways: tuple[Way, ...], *, temporal: bool
) -> list[tuple[int, Mapping]]:
    """Return (r, results) of each way that has results, in the order of the ways.

    Args:
        results: name of a way -> its results.
        ways: `EVALUATED` or `REPLAYED`.
        temporal: whether to return the ways with temporal drafts, or those without.
    """
    return [
        (way.r, results[way.name])
        for way in ways
        if way.temporal is temporal and way.name in results
    ]
