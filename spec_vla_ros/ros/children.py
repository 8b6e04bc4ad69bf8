# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Child processes that never outlive their parent, and how nodes are started as such."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType

from ament_index_python.packages import get_package_share_directory

from spec_vla_ros.programs import DieWithParent


class ChildFailedError(RuntimeError):
    """A child process has ended unexpectedly; the message holds the end of its output."""


class Children:
    """Processes that are started and stopped together; a context manager.

    Each has its own session, so that Ctrl-C in the terminal reaches only the parent, which then
    stops them in order. If the parent is killed, the kernel terminates them.
    """

    def __init__(self) -> None:
        self._running: dict[str, tuple[subprocess.Popen[bytes], Path]] = {}

    def start(
        self, name: str, command: Sequence[str], *, log: Path, env: Mapping[str, str] | None = None
    ) -> int:
        """Start a process with its output in `log`, and return its process id.

        env: variables to add to the environment.
        """
        tie_to_us = DieWithParent(signal.SIGTERM)  # leaves time to clean up shared memory

        # An interrupt waits until the new child is on the list of those to be stopped.
        unblocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})

        def die_with_parent() -> None:
            signal.pthread_sigmask(signal.SIG_SETMASK, unblocked)
            tie_to_us()

        try:
            log.parent.mkdir(parents=True, exist_ok=True)
            with log.open('wb') as output:
                process = subprocess.Popen(
                    list(command),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env={**os.environ, **(env or {})},
                    start_new_session=True,
                    preexec_fn=die_with_parent,  # noqa: PLW1509 - nothing in it takes a lock
                )
            self._running[name] = (process, log)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, unblocked)
        return process.pid

    def check(self) -> None:
        """Raise ChildFailedError if one of the processes has ended."""
        for name, (process, log) in self._running.items():
            code = process.poll()
            if code is not None:
                raise ChildFailedError(
                    f'{name} ended with {_meaning(code)}; the end of {log}:\n{_tail(log)}'
                )

    def stop(self, *, grace: float = 20.0) -> dict[str, int]:
        """Interrupt all, the last one started first; kill what still runs after `grace` seconds.

        Returns the exit code of each by its name; negative for a signal, as in subprocess.
        """
        for process, _ in reversed(self._running.values()):
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
        deadline = time.monotonic() + grace
        codes = {}
        for name, (process, _) in self._running.items():
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            codes[name] = process.returncode
        self._running.clear()
        return codes

    def __enter__(self) -> Children:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def node_command(
    module: str,
    *,
    file: str = '',
    parameters: Iterable[str] = (),
    remaps: Iterable[str] = (),
) -> list[str]:
    """Return the command line that starts a node.

    Args:
        module: the Python module to run.
        file: one of the package's parameter files, without .yaml; empty for none.
        parameters: as NAME:=VALUE; they overrule those of the file.
        remaps: as NAME:=OTHER.
    """
    command = [sys.executable, '-m', module, '--ros-args']
    if file:
        folder = Path(get_package_share_directory('spec_vla_ros')) / 'config'
        command += ['--params-file', str(folder / f'{file}.yaml')]
    for flag, given in (('-p', parameters), ('-r', remaps)):
        command += [word for value in given for word in (flag, value)]
    return command


def _meaning(code: int) -> str:
    return f'exit code {code}' if code >= 0 else f'signal {signal.Signals(-code).name}'


def _tail(path: Path) -> str:
    return '\n'.join(path.read_text(errors='replace').splitlines()[-15:])
