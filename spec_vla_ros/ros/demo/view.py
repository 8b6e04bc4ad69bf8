# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Shows the running demo: a live display in a terminal, plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType

import numpy as np
from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from spec_vla_ros.ros.demo.record import Record


def pace(records: Sequence[Record]) -> str:
    """Return in words the median milliseconds and the mean passes of an action."""
    milliseconds = [x for record in records for x in record.inference_ms]
    passes = [n for record in records for n in record.target_passes]
    if not passes:
        return '-'
    return f'{np.median(milliseconds):.1f} ms, {np.mean(passes):.1f} passes an action'


class View:
    """Shows the running episode and the results so far; a context manager."""

    def __init__(self, console: Console, *, episodes: int) -> None:
        self._console = console
        self._done: list[Record] = []
        self._progress = Progress(
            TextColumn('[bold]episodes'),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
        )
        self._task = self._progress.add_task('episodes', total=episodes)
        self._episodes = episodes
        self._live = Live(console=console, refresh_per_second=8, transient=True)

    def expect(self, episodes: int) -> None:
        """Change how many episodes there will be."""
        self._episodes = episodes
        self._progress.update(self._task, total=episodes)

    def say(self, text: str) -> None:
        """Print a line above the live display."""
        self._console.print(text, highlight=False, soft_wrap=True)

    def update(self, record: Record, command_rate: float) -> None:
        """Show the running episode."""
        if not self._console.is_terminal:
            return
        grid = Table.grid(padding=(0, 2))
        grid.add_row('[bold]episode', f'{len(self._done) + 1} of {self._episodes}')
        grid.add_row('[bold]instruction', record.instruction)
        grid.add_row('[bold]decoding', record.mode or '-')
        grid.add_row('[bold]step', f'{record.steps} ({record.seconds:.1f} s)')
        grid.add_row('[bold]success so far', self._score())
        grid.add_row('[bold]commands', f'{command_rate:.1f} Hz')
        everything = [*self._done, record]
        for mode in dict.fromkeys(r.mode for r in everything if r.mode):
            each = pace([r for r in everything if r.mode == mode])
            if mode == record.mode:
                each += f' (last: {record.inference_ms[-1]:.1f} ms, {record.target_passes[-1]})'
            grid.add_row(f'[bold]{mode}', each)
        recent = record.latency_ms[-20:]
        latency = f'{np.median(recent):.0f} ms from image to action' if recent else '-'
        grid.add_row('[bold]latency', latency)
        self._live.update(Group(grid, self._progress))

    def finished(self, record: Record) -> None:
        """Print the result of an episode that has ended."""
        self._done.append(record)
        self._progress.update(self._task, completed=len(self._done))
        verdict = '[green]success[/]' if record.success else '[red]failed[/]'
        if record.wrong_object:
            verdict += ' [red](lifted a wrong object)[/]'
        self.say(
            f'{len(self._done):3}/{self._episodes}  {record.instruction:<25} '
            f'{record.mode:<14} {verdict}  '
            f'{record.steps} steps, {record.seconds:.1f} s, {pace([record])}, '
            f'success so far {self._score()}'
        )
        if not record.success and record.halt:
            self.say(f'         the policy had halted: {record.halt}')

    def _score(self) -> str:
        return f'{sum(r.success for r in self._done)}/{len(self._done)}'

    def __enter__(self) -> View:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._console.is_terminal:
            self._live.stop()
