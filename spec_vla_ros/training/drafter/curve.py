# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The learning curve of a drafter: points in a file of JSON lines, and their plot."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from spec_vla_ros.evaluation.episode_log import cut_off_torn_line, whole_lines


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """The state of a training after some iterations.

    loss: of the latest batch.
    validation_loss: of the held-out episodes, for one step of the drafter.
    exact: for each drafted dimension, how often the most probable draft is the target's choice.
    accept_lengths: name of a tree's shape -> accept length with strict acceptance.
    """

    iteration: int
    loss: float
    validation_loss: float
    exact: tuple[float, ...]
    accept_lengths: Mapping[str, float]


def append_point(history: Path, point: CurvePoint) -> None:
    """Add a line to the history file."""
    cut_off_torn_line(history)
    with history.open('a') as file:
        file.write(json.dumps(dataclasses.asdict(point)) + '\n')


def read_points(history: Path) -> list[CurvePoint]:
    """Return the points of a history file, which may be missing; an incomplete line is ignored.

    Raises:
        ValueError: the file holds something other than points.
    """
    if not history.exists():
        return []
    try:
        return [CurvePoint(**json.loads(line)) for line in whole_lines(history)]
    except (ValueError, TypeError) as error:
        raise ValueError(
            f'{history} is no history of a training ({error}): remove it, which costs the '
            'beginning of the curve only'
        ) from error


def write_curve(points: Sequence[CurvePoint], folder: Path) -> None:
    """Write curve.json and curve.png into a folder."""
    content = [dataclasses.asdict(point) for point in points]
    (folder / 'curve.json').write_text(json.dumps(content, indent=2) + '\n')
    at = [point.iteration for point in points]
    figure = Figure(figsize=(13, 4), layout='constrained')
    left, middle, right = figure.subplots(1, 3)
    left.plot(at, [point.loss for point in points], '.-', label='training')
    left.plot(at, [point.validation_loss for point in points], '.-', label='validation')
    left.set(ylabel='loss', yscale='log')
    for dimension in range(len(points[0].exact)):
        rates = [100 * point.exact[dimension] for point in points]
        name = f'dimension {dimension + 2}'  # the prefill gives the first
        middle.plot(at, rates, '.-', label=name)
    middle.set(ylabel="first draft is the target's choice, %", ylim=(0, 100))
    for name in points[0].accept_lengths:
        right.plot(at, [point.accept_lengths[name] for point in points], '.-', label=name)
    right.set(ylabel='accept length, strict', ylim=(1, None))
    for axes in (left, middle, right):
        axes.set_xlabel('iterations')
        axes.grid(alpha=0.3)
        axes.legend(fontsize='small')
    figure.savefig(folder / 'curve.png', dpi=120)
