# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Plots the effect of the acceptance threshold while the robot moves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

PREFILL_ONLY_LENGTH = 7
"""Accept length drawn for an action that the prefill decided alone, which has no verify round."""

PANELS = (
    ('accept_length', 'accept length\n[tokens / round]'),
    ('target_passes', 'target passes\nper action'),
    ('inference_ms', 'inference\n[ms]'),
)


@dataclass(frozen=True, slots=True)
class ActionSample:
    """One action, see DecodeStatistics.

    seconds: when its statistics came, since the first threshold was set.
    threshold: acceptance threshold in force, in bins.
    accept_length: None without verify rounds.
    """

    seconds: float
    threshold: int
    accept_length: float | None
    target_passes: int
    inference_ms: float


@dataclass(frozen=True, slots=True)
class EpisodeEnd:
    """The end of an episode; seconds: since the first threshold was set."""

    seconds: float
    success: bool


def spans(samples: Sequence[ActionSample]) -> list[tuple[int, float, float]]:
    """Return (threshold, first second, last second) of each stretch with the same threshold."""
    found: list[tuple[int, float, float]] = []
    for sample in samples:
        if found and found[-1][0] == sample.threshold:
            found[-1] = (*found[-1][:2], sample.seconds)
        else:
            found.append((sample.threshold, sample.seconds, sample.seconds))
    return found


def write_plot(samples: Sequence[ActionSample], ended: Sequence[EpisodeEnd], path: Path) -> None:
    """Plot each action, and the threshold in force, into a PNG file.

    Bars show each threshold's mean, or the median of the milliseconds.

    Raises:
        ValueError: there are no samples.
    """
    if not samples:
        raise ValueError('there are no actions to draw')
    figure = Figure(figsize=(9, 7), layout='constrained')
    axes = figure.subplots(4, 1, sharex=True, height_ratios=(1, 2, 2, 2))
    stretches = spans(samples)
    for threshold, begin, end in stretches:
        axes[0].hlines(threshold, begin, end, color='black', linewidth=2)
        axes[0].annotate(
            f'r = {threshold}',
            ((begin + end) / 2, threshold),
            xytext=(0, 5),
            textcoords='offset points',
            ha='center',
        )
    axes[0].set_ylabel('r in force\n[bins]')
    axes[0].margins(y=0.4)
    for axis, (name, label) in zip(axes[1:], PANELS, strict=True):
        _panel(axis, samples, stretches, name)
        axis.set_ylabel(label)
    for axis in axes:
        for _, begin, _ in stretches[1:]:
            axis.axvline(begin, color='0.8', linewidth=1, zorder=0)
        axis.spines[['top', 'right']].set_visible(False)
    for episode in ended:
        axes[3].plot(
            episode.seconds,
            0.02,
            marker='^' if episode.success else 'x',
            color='tab:green' if episode.success else 'tab:red',
            transform=axes[3].get_xaxis_transform(),
            clip_on=False,
        )
    axes[3].set_xlabel('seconds (triangle: an episode succeeded; cross: it failed)')
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def _panel(
    axis: Axes,
    samples: Sequence[ActionSample],
    stretches: list[tuple[int, float, float]],
    name: str,
) -> None:
    seconds = np.array([s.seconds for s in samples])
    values = np.array([getattr(s, name) for s in samples], dtype=float)  # None becomes NaN
    values = np.where(np.isnan(values), PREFILL_ONLY_LENGTH, values)
    axis.plot(seconds, values, '.', color='tab:blue', alpha=0.4, markersize=4)
    for _, begin, end in stretches:
        there = values[(begin <= seconds) & (seconds <= end)]
        middle = np.median(there) if name == 'inference_ms' else np.mean(there)
        axis.hlines(middle, begin, end, color='tab:blue', linewidth=2)
        axis.annotate(
            f'{middle:.1f}', (begin, middle), xytext=(3, 4), textcoords='offset points', fontsize=9
        )
    if name == 'inference_ms':  # so that single outliers do not flatten the rest
        axis.set_ylim(0, 1.3 * np.percentile(values, 97))
