# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The results of `spec-vla compare` as a table and as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from spec_vla_ros.evaluation.recorded.agreement import GRIPPER, Agreement
from spec_vla_ros.types import DIMENSION_NAMES

_MAX_PLOTTED = 400  # pairs; more could not be told apart


def unit_of(dimension: int) -> tuple[float, str]:
    """Return the unit in which a dimension is shown, and the factor from SI units to it."""
    return (1.0, 'opening') if dimension == GRIPPER else (1e3, 'mm' if dimension < 3 else 'mrad')


def table(found: Sequence[Agreement]) -> str:
    """Return a Markdown table with a row for each dimension."""
    rows = [
        ['dimension', 'recorded', 'predicted', 'correlation', 'same sign', 'median error', 'looks']
    ]
    for each in found:
        factor, unit = unit_of(DIMENSION_NAMES.index(each.name))
        rows.append(
            [
                f'{each.name} [{unit}]',
                *(f'{factor * v:.3g}' for v in (each.recorded, each.predicted)),
                '-' if each.correlation is None else f'{each.correlation:+.2f}',
                '-' if each.same_sign is None else f'{each.same_sign:.0%}',
                f'{factor * each.median_error:.3g}',
                each.suspicion or 'right',
            ]
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [' | '.join(c.ljust(w) for c, w in zip(r, widths, strict=True)) for r in rows]
    lines.insert(1, ' | '.join('-' * w for w in widths))
    return ''.join(f'| {line} |\n' for line in lines)


def plot(
    predicted: np.ndarray, recorded: np.ndarray, found: Sequence[Agreement], path: Path
) -> None:
    """Plot the policy's actions and the arm's motions, (N, 7) each, a panel for each dimension."""
    figure = Figure(figsize=(12, 1.7 * len(found)), layout='constrained')
    panels = figure.subplots(len(found), 1, sharex=True)
    for axes, each in zip(panels, found, strict=True):
        dimension = DIMENSION_NAMES.index(each.name)
        factor, unit = unit_of(dimension)
        for values, label in ((recorded, 'recorded'), (predicted, 'predicted')):
            axes.plot(factor * values[:_MAX_PLOTTED, dimension], label=label, linewidth=1.2)
        axes.set_ylabel(f'{each.name}, {unit}')
        axes.set_title(each.suspicion, fontsize=9, loc='right', color='firebrick')
        axes.grid(alpha=0.3)
    panels[0].legend(loc='upper left', fontsize=8, ncols=2)
    panels[-1].set_xlabel('pictures used')
    figure.savefig(path, dpi=100)
