# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The results of the benchmark: figures, Markdown tables and a plot."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import matplotlib as mpl
import torch
import transformers
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from spec_vla_ros.benchmark.timing import Measured
from spec_vla_ros.device import device_name
from spec_vla_ros.evaluation.measures import Exactness

PHASES = ('vision', 'prefill', 'decode', 'draft', 'verify', 'rest')
BEGIN, END = '<!-- bench: begin -->', '<!-- bench: end -->'
_COLUMNS = (
    'way',
    'ms (mean)',
    'median',
    '10 - 90 %',
    'x generate',
    'x generate, behind the prefill',
    'x AR',
    'passes',
    'tokens/pass',
    'x floor',
    *PHASES,
)


def measured_on(device: torch.device, threads: int) -> dict:
    """Return the entries of bench.json that say on which hardware and versions it was measured."""
    versions = {'torch': torch.__version__, 'transformers': transformers.__version__}
    return {
        'machine': machine(device, threads),
        'hardware': _hardware(device, threads),
        'versions': versions,
    }


def machine(device: torch.device, threads: int) -> str:
    """Return hardware and versions in one line."""
    versions = f'torch {torch.__version__}, transformers {transformers.__version__}'
    return f'{_hardware(device, threads)}, {versions}'


def _hardware(device: torch.device, threads: int) -> str:
    cuda = device.type == 'cuda'
    how = f'CUDA {torch.version.cuda}' if cuda else f'{threads} thread(s)'
    return f'{device_name(device)}, {how}'


def summarise(
    measured: Mapping[str, Measured],
    floors: Mapping[str, float],
    *,
    baseline: tuple[str, str, str],
) -> dict[str, dict]:
    """Return name of a way -> its figures, ready for JSON.

    Ratios are of mean times. Medians would show only the most frequent number of passes.

    Args:
        measured: name of a way -> its times.
        floors: name of a way -> the milliseconds that an action takes at least on this hardware;
            some ways may be missing.
        baseline: names of transformers' generate, of the same for the first token only, and of
            this package's autoregressive decoding.
    """
    generate, first, autoregressive = (measured[name] for name in baseline)
    prefill = autoregressive.phases_ms['prefill'] + autoregressive.phases_ms.get('vision', 0.0)
    behind = generate.mean_ms - first.mean_ms
    return {
        name: {
            'mean_ms': one.mean_ms,
            'median_ms': one.median_ms,
            'p10_ms': one.quantile_ms(0.1),
            'p90_ms': one.quantile_ms(0.9),
            'times_generate': generate.mean_ms / one.mean_ms,
            'times_generate_behind_prefill': (
                behind / max(one.mean_ms - prefill, 1e-9) if one.phases_ms else None
            ),
            'times_autoregressive': autoregressive.mean_ms / one.mean_ms,
            'target_passes': one.target_passes,
            'tokens_per_pass': one.tokens_per_pass,
            'floor_ms': floors.get(name),
            'times_floor': one.mean_ms / floors[name] if name in floors else None,
            'peak_device_bytes': one.peak_bytes,
            'phases_ms': dict(one.phases_ms),
        }
        for name, one in measured.items()
    }


def write_results(report: Mapping, folder: Path) -> str:
    """Write bench.json, bench.md and bench.png; return the Markdown."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / 'bench.json').write_text(json.dumps(report, indent=2) + '\n')
    text = markdown(report)
    (folder / 'bench.md').write_text(text)
    plot(report, folder / 'bench.png')
    return text


def write_docs(report: Mapping, folder: Path) -> None:
    """Write the tables between the markers of a folder's bench.md, and the plot beside it.

    Raises:
        ValueError: there is no bench.md, or it lacks the markers.
    """
    before, after = around_tables(folder)
    page = folder / 'bench.md'
    page.write_text(f'{before}{BEGIN}\n\n{markdown(report)}\n{END}{after}')
    plot(report, folder / 'bench.png')


def around_tables(folder: Path) -> tuple[str, str]:
    """Return the text before and after the markers of a folder's bench.md.

    Raises:
        ValueError: there is no bench.md, or it lacks the markers.
    """
    page = folder / 'bench.md'
    before, begin, rest = (page.read_text() if page.is_file() else '').partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f'{page} needs the lines {BEGIN} and {END} around its tables')
    return before, after


def markdown(report: Mapping) -> str:
    """Return the report as Markdown, with a table for each case."""
    lines = [f'{report["date"]}, {report["machine"]}.', '']
    for name, case in report['cases'].items():
        lines += [f'**{name}**: {_about(case)}', '']
        lines += ['| ' + ' | '.join(_COLUMNS) + ' |', '|' + '---|' * len(_COLUMNS)]
        lines += [
            '| ' + ' | '.join(_cells(way, row)) + ' |' for way, row in case['methods'].items()
        ]
        lines.append('')
    return '\n'.join(lines)


def plot(report: Mapping, path: Path) -> None:
    """Plot the times of each way by phase, a panel for each case."""
    cases = report['cases']
    figure = Figure(figsize=(4.2 * len(cases), 4), layout='constrained')
    axes = figure.subplots(1, len(cases), squeeze=False)
    colours = mpl.colormaps['tab10']
    for panel, (name, case) in zip(axes[0], cases.items(), strict=True):
        rows = {w: r for w, r in case['methods'].items() if 'first token' not in w}
        for place, row in enumerate(rows.values()):
            left = 0.0
            for number, phase in enumerate(PHASES):
                width = row['phases_ms'].get(phase, 0.0)
                panel.barh(place, width, left=left, color=colours(number))
                left += width
            if not row['phases_ms']:
                panel.barh(place, row['mean_ms'], color='grey')
        panel.set_yticks(range(len(rows)), list(rows))
        panel.invert_yaxis()
        panel.set(title=name, xlabel='milliseconds an action')
        panel.grid(axis='x', alpha=0.3)
    handles = [Rectangle((0, 0), 1, 1, color=colours(i)) for i in range(len(PHASES))]
    figure.legend(handles, PHASES, loc='outside lower center', ncols=len(PHASES))
    figure.savefig(path, dpi=110)


def _about(case: Mapping) -> str:
    found = case.get('exactness')
    exact = '' if found is None else f'; strict actions that differ from AR: {Exactness(**found)}'
    return (
        f'{case["prompt_length"]} tokens of prompt, {case["dtype"]}, '
        f'{case["weight_bytes"] / 2**20:.0f} MiB of weights, process '
        f'{case["process_bytes"] / 2**20:.0f} MiB; reads {case["bandwidth_gb_s"]:.1f} GB/s, '
        f'multiplies {case["rate_gflop_s"]:.0f} GFLOP/s; accept lengths '
        f'{case["accept_lengths"]}; tokens of generate and AR '
        f'{"equal" if case["same_tokens"] else "NOT all equal"}{exact}.'
    )


def _cells(way: str, row: Mapping) -> list[str]:
    def number(value: float | None) -> str:
        return '' if value is None else f'{value:.2f}'

    return [
        way,
        number(row['mean_ms']),
        number(row['median_ms']),
        f'{row["p10_ms"]:.2f} - {row["p90_ms"]:.2f}',
        number(row['times_generate']),
        number(row['times_generate_behind_prefill']),
        number(row['times_autoregressive']),
        number(row['target_passes']),
        number(row['tokens_per_pass']),
        number(row['times_floor']),
        *(number(row['phases_ms'].get(phase)) for phase in PHASES),
    ]
