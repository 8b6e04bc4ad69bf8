# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The results of a soak: verdict and figures, as JSON, Markdown and a plot."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from spec_vla_ros.ros.develop.soak.faults import MARGIN
from spec_vla_ros.ros.develop.soak.growth import MemorySample, by_process
from spec_vla_ros.ros.develop.soak.run import SoakRun
from spec_vla_ros.ros.develop.soak.trial import Trial

RATE_SHARE = 0.9
"""Share of the control rate that the median rate of commands must reach."""

LIFE_SHARE, SHORTEST_LIFE = 0.3, 180.0
"""How long a process must have lived for its growth to be judged: share of the run, seconds."""


def soak_figures(outcome: SoakRun) -> dict:
    """Return all figures, ready for JSON; 'passed' is the verdict."""
    shortest = max(LIFE_SHARE * outcome.seconds, SHORTEST_LIFE)
    growth = by_process(outcome.samples, at_least=shortest)
    rates = np.array(outcome.rates)
    rate_held = bool(len(rates) and np.median(rates) >= RATE_SHARE * outcome.control_rate)
    wrong = [t for t in outcome.trials if t.violations]
    grown = [part for part, found in growth.items() if any(one['grows'] for one in found)]
    return {
        'date': date.today().isoformat(),
        'machine': platform.machine(),
        'seconds': outcome.seconds,
        'passed': not (wrong or grown or outcome.ended_early) and rate_held,
        'ended_early': outcome.ended_early or None,
        'episodes': outcome.episodes,
        'successes': outcome.successes,
        'commands': outcome.commands,
        'faults_injected': len(outcome.trials),
        'faults_gone_wrong': [
            {'fault': t.name, 'at': t.at, 'what': list(t.violations)} for t in wrong
        ],
        'rate_held': rate_held,
        'commands_hz': {
            'control_rate': outcome.control_rate,
            'median': float(np.median(rates)) if len(rates) else None,
            'p5': float(np.percentile(rates, 5)) if len(rates) else None,
        },
        'by_fault': {name: _fault(trials) for name, trials in _by_name(outcome.trials).items()},
        'grown': grown,
        'processes': growth,
        'margin': MARGIN,
    }


def markdown(found: Mapping) -> str:
    """Return the figures (see `soak_figures`) as Markdown."""
    rate = found['commands_hz']
    early = found['ended_early']
    lines = [
        f'{found["date"]}, {found["seconds"] / 60:.1f} minutes: '
        f'**{"passed" if found["passed"] else "not passed"}**. '
        f'{found["faults_injected"]} faults, {len(found["faults_gone_wrong"])} of them not '
        f'handled as promised; {found["episodes"]} episodes, of which {found["successes"]} ended '
        f'with success in spite of the fault; {found["commands"]} commands, '
        f'{_rate(rate["median"])} a second between faults (median of windows; 5th percentile '
        f'{_rate(rate["p5"])}; control_rate {rate["control_rate"]:g}).',
        '',
        *([f'**Ended early**: {early}', ''] if early else []),
        '| fault | times | last motion after, limit | longest | moves again after, median / '
        'longest | wrong |',
        '|---|---|---|---|---|---|',
    ]
    for name, row in found['by_fault'].items():
        limit = 'does not halt' if row['limit'] is None else f'{row["limit"]:.2f} s'
        longest = '-' if row['longest_halt'] is None else f'{row["longest_halt"]:.2f} s'
        again = (
            f'{row["median_recovery"]:.1f} / {row["longest_recovery"]:.1f} s'
            if row['median_recovery'] is not None
            else '-'
        )
        lines.append(
            f'| {name} | {row["times"]} | {limit} | {longest} | {again} | {row["wrong"]} |'
        )
    lines += [
        '',
        f'{found["margin"]} s for transport and scheduling are allowed on top of each limit.',
        '',
        '| process | lived, min | own memory, MB | slope, MB/h | grown, MB | threads | '
        'descriptors | grows |',
        '|---|---|---|---|---|---|---|---|',
    ]
    for part, lives in found['processes'].items():
        lines += [
            f'| {part} | {one["seconds"] / 60:.1f} | {one["memory_mb"]:.0f} | '
            f'{one["slope_mb_per_hour"]:+.1f} | {one["grown_mb"]:+.2f} | '
            f'{one["threads"]} ({one["extra_threads"]:+d}) | '
            f'{one["descriptors"]} ({one["extra_descriptors"]:+d}) | '
            f'{"yes" if one["grows"] else "no"} |'
            for one in lives
        ]
    for wrong in found['faults_gone_wrong']:
        lines += ['', f'- at {wrong["at"]:.0f} s, {wrong["fault"]}: {"; ".join(wrong["what"])}']
    return '\n'.join(lines) + '\n'


def _rate(value: float | None) -> str:
    return '-' if value is None else f'{value:.1f}'


def plot(outcome: SoakRun, path: Path) -> None:
    """Plot memory, threads and descriptors over time, and how soon each fault halted the arm."""
    figure = Figure(figsize=(12, 8), layout='constrained')
    panels = figure.subplots(2, 2)
    for axes, name, scale, label in (
        (panels[0, 0], 'memory', 2**20, 'own memory, MB'),
        (panels[0, 1], 'threads', 1, 'threads'),
        (panels[1, 0], 'descriptors', 1, 'file descriptors'),
    ):
        for number, (part, samples) in enumerate(outcome.samples.items()):
            _draw_lives(axes, samples, name, scale=scale, label=part, colour=f'C{number}')
        axes.set(xlabel='minutes', ylabel=label, ylim=(0, None))
        axes.legend(fontsize=8)
    axes = panels[1, 1]
    rows = {n: t for n, t in _by_name(outcome.trials).items() if t[0].halted_after is not None}
    for row, (_, trials) in enumerate(rows.items()):
        axes.plot(
            [t.halted_after for t in trials], [row] * len(trials), 'o', color='C0', alpha=0.5
        )
        axes.plot([(trials[0].limit or 0.0) + MARGIN], [row], '|', color='C3', ms=14)
    axes.set_yticks(range(len(rows)), list(rows), fontsize=8)
    axes.set(xlabel='last motion after the fault, s (bar: limit and margin)', xlim=(0, None))
    for each in panels.flat:
        each.grid(alpha=0.3)
    figure.savefig(path, dpi=100)


def _draw_lives(
    axes: Axes,
    samples: Sequence[MemorySample],
    name: str,
    *,
    scale: float,
    label: str,
    colour: str,
) -> None:
    """Plot a field of the samples, with a line for each process that a part has had."""
    for number, pid in enumerate(dict.fromkeys(s.pid for s in samples)):
        life = [s for s in samples if s.pid == pid]
        axes.plot(
            [s.seconds / 60 for s in life],
            [getattr(s, name) / scale for s in life],
            color=colour,
            lw=1,
            label=None if number else label,
        )


def _by_name(trials: Sequence[Trial]) -> dict[str, list[Trial]]:
    found: dict[str, list[Trial]] = {}
    for trial in sorted(trials, key=lambda t: t.name):
        found.setdefault(trial.name, []).append(trial)
    return found


def _fault(trials: Sequence[Trial]) -> dict:
    halts = [t.halted_after for t in trials if t.halted_after is not None]
    again = [t.recovered_after for t in trials if t.recovered_after is not None]
    return {
        'times': len(trials),
        'limit': trials[0].limit,
        'longest_halt': max(halts, default=None),
        'median_recovery': float(np.median(again)) if again else None,
        'longest_recovery': max(again, default=None),
        'wrong': sum(bool(t.violations) for t in trials),
    }
