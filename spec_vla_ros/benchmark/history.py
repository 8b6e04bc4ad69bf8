# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Keeps the benchmark's results of all runs in one file, and plots how they have changed.

The file is a JSON list. Each run adds a line for each case and each way of decoding:

    {"date": "2026-11-25", "machine": ..., "versions": {"torch": ...}, "case": ..., "way": ...,
     "figures": {"mean_ms": ..., "times_generate": ..., ...}}
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from spec_vla_ros.files import written_whole

FIGURES = ('mean_ms', 'times_generate', 'times_autoregressive', 'target_passes', 'times_floor')
"""The figures that are kept, see `report.summarise`; those that a way lacks are left out."""

COMPARED = 'times_generate'
"""The figure that is plotted: speed as a multiple of transformers' generate in the same run.
Milliseconds of different machines or days cannot be compared as well."""


def append(report: Mapping, path: Path) -> int:
    """Append a benchmark's results to the list in a file, which may be new.

    Args:
        report: the content of bench.json.
        path: the file.

    Returns:
        How many entries were added.

    Raises:
        ValueError: the file holds something other than results.
    """
    before = read(path) if path.exists() else []
    new = list(_entries(report))
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(path) as partial:
        partial.write_text('[\n' + ',\n'.join(map(json.dumps, [*before, *new])) + '\n]\n')
    return len(new)


def read(path: Path) -> list[dict]:
    """Return the entries of a file, the oldest first.

    Raises:
        ValueError: it is no such list; the message says which entry is wrong.
    """
    try:
        found = json.loads(path.read_text())
    except ValueError as error:
        raise ValueError(f'{path} is no list of results, as --history writes: {error}') from error
    if not isinstance(found, list):
        raise ValueError(f'{path}: a list of entries is expected')
    for number, entry in enumerate(found):
        missing = {'date', 'machine', 'versions', 'case', 'way', 'figures'} - set(entry)
        if missing:
            raise ValueError(f'{path}: entry {number} lacks {", ".join(sorted(missing))}')
    return found


def plot(entries: Sequence[Mapping], picture: Path) -> None:
    """Plot `COMPARED` over the runs: a panel for each case, a line for each way and machine."""
    cases = list(dict.fromkeys(entry['case'] for entry in entries))
    figure = Figure(figsize=(4.2 * len(cases), 4.4), layout='constrained')
    axes = figure.subplots(1, len(cases), squeeze=False)
    ways = list(dict.fromkeys(e['way'] for e in entries if COMPARED in e['figures']))
    machines = list(dict.fromkeys(entry['machine'] for entry in entries))
    for panel, case in zip(axes[0], cases, strict=True):
        runs = _runs([entry for entry in entries if entry['case'] == case])
        for way, machine in ((w, m) for w in ways for m in machines):
            points = [
                (place, run[way]['figures'][COMPARED])
                for place, run in enumerate(runs)
                if way in run and run[way]['machine'] == machine
            ]
            panel.plot(
                *zip(*points, strict=True) if points else ([], []),
                color=mpl.colormaps['tab10'](ways.index(way)),
                marker='osD^v'[machines.index(machine) % 5],
                label=way if machine == machines[0] else None,
            )
        dates = [next(iter(run.values()))['date'] for run in runs]
        panel.set_xticks(range(len(runs)), dates, rotation=60, fontsize=8)
        panel.set(title=case, ylabel="times as fast as transformers' generate")
        panel.grid(alpha=0.3)
    signs = ', '.join(f'{"●■◆▲▼"[i % 5]} {machine}' for i, machine in enumerate(machines))
    figure.suptitle(signs, fontsize=9)
    figure.legend(*axes[0][0].get_legend_handles_labels(), loc='outside lower center', ncols=6)
    figure.savefig(picture, dpi=110)


def _entries(report: Mapping) -> Iterator[dict]:
    for case, found in report['cases'].items():
        for way, row in found['methods'].items():
            yield {
                'date': report['date'],
                'machine': report['hardware'],
                'versions': dict(report['versions']),
                'case': case,
                'way': way,
                'figures': {n: round(row[n], 4) for n in FIGURES if row.get(n) is not None},
            }


def _runs(entries: Sequence[Mapping]) -> list[dict[str, Mapping]]:
    """Return for each run: way -> its entry, if it has the figure `COMPARED`.

    entries: of one case, oldest first. A new run begins when a way comes again.
    """
    runs: list[dict[str, Mapping]] = []
    for entry in entries:
        if not runs or entry['way'] in runs[-1]:
            runs.append({})
        if COMPARED in entry['figures']:
            runs[-1][entry['way']] = entry
    return [run for run in runs if run]
