# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The ways of decoding that are compared, their names, and their results by threshold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from spec_vla_ros.types import Decoding


@dataclass(frozen=True, slots=True)
class Way:
    """A way of decoding speculatively.

    r: the acceptance threshold of every dimension but the gripper's, in bins; 0 is strict.
    temporal: whether drafts are made from the previous actions as well.
    """

    r: int
    temporal: bool

    @property
    def name(self) -> str:
        """Its name in the results."""
        mode = f'relaxed r={self.r}' if self.r else 'strict'
        return f'{mode} + temporal' if self.temporal else mode

    @property
    def decoding(self) -> Decoding:
        """What a policy is asked for."""
        return Decoding('relaxed' if self.r else 'strict', self.r, temporal=self.temporal)


def _ways(*thresholds: int) -> tuple[Way, ...]:
    return tuple(Way(r, temporal) for temporal in (False, True) for r in thresholds)


EVALUATED = _ways(0, 1, 3, 5, 9, 15)
"""What `spec-vla evaluate` compares, r ascending."""

REPLAYED = _ways(0, 1, 3, 5, 9, 15, 25)
"""What `spec-vla tune` compares, r ascending."""


def by_threshold(
    results: Mapping[str, Mapping], ways: tuple[Way, ...], *, temporal: bool
) -> list[tuple[int, Mapping]]:
    """Return r and the results of those ways that have some, in the order of the ways.

    Args:
        results: by the ways' names.
        ways: `EVALUATED` or `REPLAYED`.
        temporal: of the ways with temporal drafts, or of those without.
    """
    return [
        (way.r, results[way.name])
        for way in ways
        if way.temporal is temporal and way.name in results
    ]
