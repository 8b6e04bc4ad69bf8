# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The results of an evaluation as Markdown tables and as a plot."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from spec_vla_ros.evaluation.measures import Exactness
from spec_vla_ros.evaluation.ways import REPLAYED, by_threshold
from spec_vla_ros.types import AUTOREGRESSIVE, DIMENSION_NAMES, DIMENSIONS


def _number(name: str, digits: int) -> Callable[[Mapping], str]:
    def cell(row: Mapping) -> str:
        return '-' if row[name] is None else f'{row[name]:.{digits}f}'

    return cell


def _percent(value: float) -> str:
    return f'{value:.1%}'


COLUMNS: Mapping[str, Callable[[Mapping], str]] = {
    'success': lambda row: f'{row["successes"]}/{row["episodes"]}',
    'success, %': lambda row: f'{100 * row["success_rate"]:.1f}',
    '95 % interval': lambda row: ' - '.join(map(_percent, row['success_interval_95'])),
    'wrong object': lambda row: str(row['wrong_object']),
    'steps': _number('mean_steps_to_success', 1),
    'jerk': _number('mean_squared_jerk', 1),
    'same as AR': lambda row: _percent(row['identical_to_autoregressive']),
    'off, bins': lambda row: f'{np.mean(row["deviation_bins"][:-1]):.2f}',
    'off, mm': lambda row: f'{1e3 * np.mean(row["deviation_values"][:3]):.2f}',
    'off, mrad': lambda row: f'{1e3 * np.mean(row["deviation_values"][3:6]):.2f}',
    'accept length': _number('accept_length', 2),
    'passes': _number('target_passes', 2),
    'tokens/pass': _number('tokens_per_pass', 2),
    'ms': _number('median_ms', 1),
    'x AR': _number('speedup', 2),
    'x generate': _number('speedup_over_generate', 2),
}
"""Name of a column -> its cell for one way of decoding, from what `summary.summarise` returns."""

TABLETOP_COLUMNS = tuple(name for name in COLUMNS if name not in ('success, %', 'x generate'))


def markdown_table(
    results: Mapping[str, Mapping],
    columns: Sequence[str] = TABLETOP_COLUMNS,
    *,
    below: Iterable[Sequence[str]] = (),
) -> str:
    """Return a table with one row for each way of decoding; deviations are means over dimensions.

    Args:
        results: name of a way -> its figures, see `summary.summarise`.
        columns: names in `COLUMNS`.
        below: cells of further rows, the name first.
    """
    rows = ((name, *(COLUMNS[c](row) for c in columns)) for name, row in results.items())
    return markdown_rows(('decoding', *columns), (*rows, *below))


def markdown_rows(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table with these cells."""
    lines = [head, ('---',) * len(head), *rows]
    return ''.join(f'| {" | ".join(line)} |\n' for line in lines)


def exactness_lines(results: Mapping[str, Mapping], *, dtype: str) -> str:
    """Return lines that say how many actions of strict decoding differ from autoregressive ones.

    dtype: the precision of both, in words.
    """
    return ''.join(
        f'Actions of {name} that differ from autoregressive ones in {dtype}: '
        f'{Exactness(**row["exactness"])}.\n'
        for name, row in results.items()
        if row['exactness'] is not None
    )


def dimension_table(results: Mapping[str, Mapping]) -> str:
    """Return a table of the accept length of the rounds that begin at each dimension.

    A dimension at which no round begins has '-'.
    """
    count = max(len(row['accept_length_by_dimension']) for row in results.values())
    names = DIMENSION_NAMES if count == DIMENSIONS else range(count)
    lines = [f'| rounds from | {" | ".join(map(str, names))} |', '|' + '---|' * (count + 1)]
    for name, row in results.items():
        cells = ('-' if x is None else f'{x:.2f}' for x in row['accept_length_by_dimension'])
        lines.append(f'| {name} | {" | ".join(cells)} |')
    return '\n'.join(lines) + '\n'


def plot_sweep(results: Mapping[str, Mapping], path: Path) -> None:
    """Plot success and speed against the acceptance threshold into a picture file."""
    figure = Figure(figsize=(10, 4), layout='constrained')
    left, right = figure.subplots(1, 2)
    for temporal, label in ((False, 'drafter'), (True, 'drafter + temporal')):
        points = by_threshold(results, REPLAYED, temporal=temporal)
        if not points:
            continue
        thresholds = [r for r, _ in points]
        rates = [100 * row['success_rate'] for _, row in points]
        bounds = [row['success_interval_95'] for _, row in points]
        errors = [
            [max(0, rate - 100 * low) for rate, (low, _) in zip(rates, bounds, strict=True)],
            [max(0, 100 * high - rate) for rate, (_, high) in zip(rates, bounds, strict=True)],
        ]
        left.errorbar(thresholds, rates, errors, marker='o', capsize=3, label=label)
        right.plot(thresholds, [row['speedup'] for _, row in points], marker='o', label=label)
    baseline = results.get(AUTOREGRESSIVE)
    if baseline is not None:
        left.axhline(100 * baseline['success_rate'], color='grey', ls='--', label=AUTOREGRESSIVE)
    right.axhline(1.0, color='grey', ls='--', label=AUTOREGRESSIVE)
    left.set(ylabel='success, %')
    right.set(ylabel='speed, times autoregressive')
    for axes in (left, right):
        axes.set(xlabel='acceptance threshold r, bins (0: strict)')
        if axes.get_legend_handles_labels()[0]:  # empty if no way with a threshold has run
            axes.legend()
        axes.grid(alpha=0.3)
    figure.savefig(path, dpi=110)
