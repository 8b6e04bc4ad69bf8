# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The results of `spec-vla tune`: tables, a plot, and the recommended parameters of the node."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from spec_vla_ros.evaluation.recorded.tuning import DeviationTolerance
from spec_vla_ros.evaluation.report import markdown_rows
from spec_vla_ros.evaluation.ways import REPLAYED, Way, by_threshold
from spec_vla_ros.types import AUTOREGRESSIVE, DIMENSION_NAMES

NODE = '/spec_vla'

OPEN_LOOP = (
    'The replay is open loop: every way saw the recorded images, not those its own actions would '
    'have led to. It says how far actions deviate and how long they take, not how often the task '
    'succeeds; try the threshold on the robot, slowly, or in the simulator (spec-vla evaluate).'
)

MAX_DRIFT = 1.15
"""Ratio of the slowest to the fastest AR measurement above which the times are doubted."""

ENOUGH_ACTIONS = 100
"""With fewer, a 95th percentile rests on less than five actions beyond it."""

_TEMPORAL = {False: 'drafter', True: 'drafter + temporal'}


def markdown_tables(results: Mapping[str, Mapping]) -> str:
    """Return two tables: speed and deviations of each way, and its deviations by dimension.

    results: name of a way -> its figures, see `tuning.way_figures`.
    """
    arm = _is_arm(results)
    head = ['decoding', 'ms', 'x AR', 'passes', 'accept length', 'same as AR', 'off, bins']
    head += ['off, mm', 'off, mrad'] if arm else []
    head += ['gripper differs']
    rows = [[name, *_cells(row, arm=arm)] for name, row in results.items()]
    axes = [f'{name} [{unit}]' for name, unit, _ in _axes(results)]
    by_axis = [
        [name, *(f'{scale * v:.2f}' for v, scale in _p95_by_axis(row, results))]
        for name, row in results.items()
        if name != AUTOREGRESSIVE
    ]
    return (
        'Deviations from the AR action: mean / 95th percentile; in bins of the dimension that is '
        'farthest off, the gripper (the last one) apart.\n\n'
        + markdown_rows(head, rows)
        + '\n95th percentile of the deviation in each dimension:\n\n'
        + markdown_rows(['decoding', *axes], by_axis)
    )


def settings_lines(found: Way) -> list[str]:
    """Return the commands that set a running node, then the lines for its parameter file."""
    parameters = {'decoding_mode': found.decoding.mode}
    if found.r:
        parameters['acceptance_threshold'] = str(found.r)
    parameters['temporal_draft'] = str(found.temporal).lower()
    return [
        *(f'ros2 param set {NODE} {name} {value}' for name, value in parameters.items()),
        '',
        f'{NODE}:',
        '  ros__parameters:',
        *(f'    {name}: {value}' for name, value in parameters.items()),
    ]


def summary(
    results: Mapping[str, Mapping],
    found: Way,
    tolerance: DeviationTolerance,
    *,
    drift: float,
) -> str:
    """Return the recommendation in words, with warnings about how far it can be relied on.

    results: name of a way -> its figures, see `tuning.way_figures`.
    found: the recommended way.
    tolerance: what it was chosen for.
    drift: the longest median time of an AR action during the sweep, divided by the shortest.
    """
    row = results[found.name]
    lines = [
        f'Recommended for {tolerance}: {found.name}, {row["speedup"]:.2f} times as fast as '
        'autoregressive decoding.',
        '',
        *(f'    {line}'.rstrip() for line in settings_lines(found)),
        '',
        OPEN_LOOP,
    ]
    if row['speedup'] < 1:
        lines.append(
            'It is not faster than autoregressive decoding here: a better drafter '
            '(docs/how-to/drafter.md), or `decoding_mode: autoregressive`.'
        )
    if row['actions'] < ENOUGH_ACTIONS:
        lines.append(
            f'It rests on {row["actions"]} actions only: what 95 of 100 do shows in '
            f'{ENOUGH_ACTIONS} or more. Replay longer recordings, or a shorter --interval.'
        )
    if drift > MAX_DRIFT:
        lines.append(
            f'The machine was busy: an autoregressive action took up to {drift:.2f} times as long '
            'at one time as at another, so compare passes rather than times.'
        )
    return '\n'.join(lines)


def plot(results: Mapping[str, Mapping], path: Path, *, found: Way) -> None:
    """Plot costs against deviations, and deviations by dimension against r.

    results: name of a way -> its figures, see `tuning.way_figures`.
    path: the picture file to write.
    found: the recommended way, which is marked.
    """
    figure = Figure(figsize=(15, 8), layout='constrained')
    panels = figure.subplots(2, 3)
    arm = _is_arm(results)
    off, scale, unit = ('translation_m', 1e3, 'mm') if arm else ('worst_bins', 1.0, 'bins')
    for axes, cost, label in (
        (panels[0, 0], 'median_ms', 'ms an action (median)'),
        (panels[0, 1], 'target_passes', 'target passes an action'),
    ):
        _plot_cost(axes, results, cost=cost, off=off, scale=scale, found=found)
        axes.set(xlabel=f'p95 deviation from the AR action, {unit}', ylabel=label)
    _plot_accept_lengths(panels[0, 2], results)
    sweep = by_threshold(results, REPLAYED, temporal=found.temporal)
    names = [name for name, _, _ in _axes(results)]
    groups = [('bins', range(len(names)), 1.0, 'bins')]
    if arm:
        groups += [('values', range(3), 1e3, 'mm'), ('values', range(3, 6), 1e3, 'mrad')]
    else:
        groups += [('values', range(len(names)), 1.0, 'units of the norm stats')]
    for axes, (kind, dimensions, factor, title) in zip(panels[1], groups, strict=False):
        for d in dimensions:
            p95 = [factor * row['deviation'][kind]['p95'][d] for _, row in sweep]
            axes.plot([r for r, _ in sweep], p95, marker='o', label=names[d])
        axes.set(xlabel='r, bins (0: strict)', ylabel=f'p95 deviation, {title}')
        axes.set_title(f'by dimension, {_TEMPORAL[found.temporal]}', fontsize=10)
        axes.legend(fontsize=8)
    for axes in panels.flat:
        axes.grid(alpha=0.3)
    figure.savefig(path, dpi=100)


def _plot_cost(
    axes: Axes,
    results: Mapping[str, Mapping],
    *,
    cost: str,
    off: str,
    scale: float,
    found: Way,
) -> None:
    for temporal, label in _TEMPORAL.items():
        points = by_threshold(results, REPLAYED, temporal=temporal)
        x = [scale * row['deviation'][off]['p95'] for _, row in points]
        y = [row[cost] for _, row in points]
        axes.plot(x, y, marker='o', label=label)
        for (r, _), across, up in zip(points, x, y, strict=True):
            axes.annotate(
                f'{r}', (across, up), textcoords='offset points', xytext=(4, 5), fontsize=8
            )
    axes.axhline(results[AUTOREGRESSIVE][cost], color='grey', ls='--', label=AUTOREGRESSIVE)
    best = results[found.name]
    axes.plot(
        scale * best['deviation'][off]['p95'],
        best[cost],
        marker='o',
        ms=14,
        mfc='none',
        color='black',
        ls='',
        label=f'recommended: r={found.r}',
    )
    axes.set_ylim(bottom=0)
    axes.legend(fontsize=8)


def _plot_accept_lengths(axes: Axes, results: Mapping[str, Mapping]) -> None:
    for temporal, label in _TEMPORAL.items():
        points = by_threshold(results, REPLAYED, temporal=temporal)
        axes.plot(
            [r for r, _ in points],
            [row['tokens_per_pass'] for _, row in points],
            marker='o',
            label=f'{label}: tokens a pass, prefill counted',
        )
        if not temporal:
            lengths = [row['accept_length'] or float('nan') for _, row in points]
            axes.plot([r for r, _ in points], lengths, marker='s', label=f'{label}: accept length')
    axes.set(xlabel='r, bins (0: strict)', ylabel='tokens')
    axes.legend(fontsize=8)


def _is_arm(results: Mapping[str, Mapping]) -> bool:
    return 'translation_m' in results[AUTOREGRESSIVE]['deviation']


def _axes(results: Mapping[str, Mapping]) -> list[tuple[str, str, float]]:
    """Return (name, unit, factor to that unit) of each dimension; bins if units are unknown."""
    if _is_arm(results):
        units = [('mm', 1e3)] * 3 + [('mrad', 1e3)] * 3 + [('opening', 1.0)]
        return [(name, *unit) for name, unit in zip(DIMENSION_NAMES, units, strict=True)]
    count = len(results[AUTOREGRESSIVE]['deviation']['values']['mean'])
    return [(f'dimension {d}', 'bins', 1.0) for d in range(count)]


def _p95_by_axis(row: Mapping, results: Mapping[str, Mapping]) -> list[tuple[float, float]]:
    kind = 'values' if _is_arm(results) else 'bins'
    scales = [scale for _, _, scale in _axes(results)]
    return list(zip(row['deviation'][kind]['p95'], scales, strict=True))


def _cells(row: Mapping, *, arm: bool) -> list[str]:
    length = row['accept_length']
    cells = [
        f'{row["median_ms"]:.1f}',
        f'{row["speedup"]:.2f}',
        f'{row["target_passes"]:.2f}',
        '-' if length is None else f'{length:.2f}',
        f'{row["identical_to_autoregressive"]:.0%}',
        _pair(row['deviation']['worst_bins']),
    ]
    if arm:
        cells += [
            _pair(row['deviation']['translation_m'], scale=1e3, digits=2),
            _pair(row['deviation']['rotation_rad'], scale=1e3),
        ]
    return [*cells, f'{row["gripper_differs"]:.1%}']


def _pair(spread: Mapping[str, float], *, scale: float = 1.0, digits: int = 1) -> str:
    return ' / '.join(f'{scale * spread[k]:.{digits}f}' for k in ('mean', 'p95'))
