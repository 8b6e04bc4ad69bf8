# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Writes the results of a suite: as JSON, as tables with published figures, and as a plot."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from spec_vla_ros.evaluation.report import (
    exactness_lines,
    markdown_rows,
    markdown_table,
    plot_sweep,
)
from spec_vla_ros.evaluation.summary import EpisodeFigures, summarise
from spec_vla_ros.sim.libero.suites import Task
from spec_vla_ros.types import AUTOREGRESSIVE

SUITES = ('libero_goal', 'libero_object', 'libero_spatial', 'libero_10')

PUBLISHED: Mapping[str, tuple[str, ...]] = {
    'Spec-VLA, autoregressive': ('78 1.00', '89 1.00', '85 1.00', '52 1.00'),
    'Spec-VLA, strict': ('74.2 1.09 2.04', '89.0 1.15 1.75', '83.8 1.08 1.59', '50.8 1.13 1.67'),
    'Spec-VLA, relaxed': ('74.4 1.42 2.94', '85.0 1.38 2.38', '85.8 1.28 2.14', '55.0 1.22 2.10'),
    'HeiSD, autoregressive': ('77.0 1.00', '71.2 1.00', '82.8 1.00', '54.4 1.00'),
    'HeiSD': ('73.0 2.38 4.75', '71.0 2.45 4.94', '78.0 1.90 4.83', '47.0 1.79 4.96'),
    'WA-SpecDec, autoregressive': ('78.2 1.00', '69.8 1.00', '82.8 1.00', '57.8 1.00'),
    'WA-SpecDec (other target)': ('78.0 2.12', '70.6 2.31', '80.4 1.77', '57.0 1.79'),
}
"""Published figures for each of `SUITES`, separated by spaces: success in per cent; speed, as a
multiple of the same paper's autoregressive decoding; accept length, if it was published.

From arXiv 2507.22424 (Spec-VLA, with OpenVLA's fine-tunes), 2603.17573, 2608.08725.
"""

BENCHMARK_COLUMNS = (
    *('success', 'success, %', '95 % interval', 'steps', 'accept length', 'passes', 'ms', 'x AR'),
    *('x generate', 'same as AR', 'off, bins', 'off, mm', 'off, mrad'),
)


@dataclass(frozen=True, slots=True)
class FinishedEpisode:
    """One episode: the number of its task, its figures, and its device, precision and torch."""

    task: int
    figures: EpisodeFigures
    ran_on: str


def write_report(
    out: Path,
    finished: Mapping[str, Sequence[FinishedEpisode]],
    *,
    tasks: Sequence[Task],
    settings: Mapping[str, Any],
) -> None:
    """Write SUITE.json, SUITE.md and SUITE.png, and print the tables.

    Args:
        out: folder to write into.
        finished: way of decoding -> its episodes.
        tasks: all tasks of the suite.
        settings: what the episodes were run with, ready for JSON.
    """
    suite = tasks[0].suite
    modes = {name: summarise([e.figures for e in found]) for name, found in finished.items()}
    by_task = {name: dict(_by_task(found)) for name, found in finished.items()}
    run = sorted({number for rows in by_task.values() for number in rows})
    report = {
        'date': date.today().isoformat(),
        'ran_on': sorted({e.ran_on for found in finished.values() for e in found}),
        'settings': settings,
        'tasks': {number: tasks[number].instruction for number in run},
        'modes': modes,
        'by_task': by_task,
    }
    out.mkdir(parents=True, exist_ok=True)
    (out / f'{suite}.json').write_text(json.dumps(report, indent=2) + '\n')
    text = markdown(report, suite)
    (out / f'{suite}.md').write_text(text)
    plot_sweep(modes, out / f'{suite}.png')
    print(text)
    films = [path.name for path in sorted(out.glob(f'{suite}_*.webp'))]
    written = [*(f'{suite}.{kind}' for kind in ('json', 'md', 'png')), *films]
    print(f'written to {out}: {", ".join(written)}')


def markdown(report: Mapping[str, Any], suite: str) -> str:
    """Return a report as Markdown.

    It holds a table of all ways of decoding with published figures, the gains in accept length,
    and the success in each task.

    report: as `write_report` writes it into SUITE.json.
    """
    modes = report['modes']
    lines = [
        f'{suite}, {report["date"]}, {"; ".join(report["ran_on"])}, '
        f'checkpoint {report["settings"]["checkpoint"]}',
        '',
        markdown_table(modes, BENCHMARK_COLUMNS, below=published_rows(suite)),
        'x AR: published figures are beside their own autoregressive decoding, ours are beside a '
        'lean one; x generate: beside that of transformers, with the same weights and in the same '
        'run. Both are ratios of medians over the observations that all of them decoded. '
        'WA-SpecDec fine-tunes the target.',
        '',
        ''.join(gains(modes)),
        exactness_lines(modes, dtype='the precision in use'),
        task_table(report),
    ]
    return '\n'.join(lines)


def published_rows(suite: str) -> Iterator[tuple[str, ...]]:
    """Yield the published figures for a suite as rows of the table of `BENCHMARK_COLUMNS`."""
    for name, figures in PUBLISHED.items():
        success, speed, *length = figures[SUITES.index(suite)].split()
        cells = {'success, %': success, 'x AR': speed, 'accept length': ''.join(length) or '-'}
        yield (f'*{name}*', *(cells.get(column, '-') for column in BENCHMARK_COLUMNS))


def gains(modes: Mapping[str, Mapping]) -> Iterator[str]:
    """Yield a line for each relaxed way: its accept length compared with strict decoding's.

    If the autoregressive way has run, the line also has the difference in success from it.
    """
    baseline, strict = modes.get(AUTOREGRESSIVE), modes.get('strict')
    for name, row in modes.items():
        if strict is None or row in (baseline, strict) or row['accept_length'] is None:
            continue
        gain = row['accept_length'] / strict['accept_length'] - 1
        line = f'Accept length of {name}: {gain:+.0%} beside strict'
        if baseline is not None:
            points = 100 * (row['success_rate'] - baseline['success_rate'])
            line += f'; success {points:+.1f} points beside autoregressive'
        yield f'- {line}.\n'


def task_table(report: Mapping[str, Any]) -> str:
    """Return a table of success and mean steps to success, by task and way of decoding."""
    modes, by_task = [*report['modes']], report['by_task']
    rows = (
        (f'{number} {instruction}', *(_cell(by_task[m][number]) for m in modes))
        for number, instruction in report['tasks'].items()
    )
    return markdown_rows(('task', *modes), rows)


def _cell(row: Mapping) -> str:
    steps = row['mean_steps_to_success']
    success = f'{row["successes"]}/{row["episodes"]}'
    return success if steps is None else f'{success}, {steps:.0f} steps'


def _by_task(found: Sequence[FinishedEpisode]) -> Iterator[tuple[int, dict]]:
    for number in sorted({episode.task for episode in found}):
        yield number, summarise([e.figures for e in found if e.task == number])
