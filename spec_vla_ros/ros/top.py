# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""A dashboard of a running policy node, in the terminal."""

from __future__ import annotations

import sys
import threading
import time
from collections import deque
from dataclasses import dataclass, field

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.exceptions import NameValidationException
from rclpy.node import Node
from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from spec_vla_ros.msg import DecodeStatistics, PolicyStatus, VlaAction
from spec_vla_ros.programs import INTERRUPTED, noting_signals
from spec_vla_ros.ros import qos
from spec_vla_ros.ros.diagnostics import status_name
from spec_vla_ros.ros.endpoints import publishers_on, type_name
from spec_vla_ros.ros.remote import NoRosError, RemoteNode

NODE = 'spec_vla_top'  # listed in `endpoints.ONLY_WATCH`
BARS = '▁▂▃▄▅▆▇█'
HISTORY = 60  # actions to show
SILENCE = 3.0  # seconds without a status, after which the node counts as gone
STATES = {
    PolicyStatus.STATE_INACTIVE: ('inactive', 'dim'),
    PolicyStatus.STATE_RUNNING: ('running', 'green'),
    PolicyStatus.STATE_HALTED: ('halted', 'red'),
}
FIGURES = (
    'latency p50 [ms]',
    'latency p95 [ms]',
    'latency p99 [ms]',
    'inference p50 [ms]',
    'inference p95 [ms]',
    'images [Hz]',
    'actions [Hz]',
    'commands [Hz]',
    'accept length',
    'target passes per action',
    'draft passes per action',
    'drafting',
    'device',
    'device memory [MB]',
    'limits hit in the window',
)
"""The values of the diagnostics that are shown."""

COUNTERS = (
    'images missed',
    'actions published',
    'actions rejected',
    'results discarded',
    'inference errors',
    'inference timeouts',
    'halts',
    'worker restarts',
)


@dataclass(slots=True)
class Seen:
    """The latest messages from the node; status_at: when the status arrived, monotonic seconds."""

    status: PolicyStatus | None = None
    status_at: float = 0.0
    action: VlaAction | None = None
    diagnostics: dict[str, str] = field(default_factory=dict)
    statistics: deque[DecodeStatistics] = field(default_factory=lambda: deque(maxlen=HISTORY))


class Watcher:
    """Follows the topics of one policy node.

    Args:
        remote: subscribes to the topics.
        namespace: the namespace of the policy node, such as '/left_arm'; empty for none.
        name: the name of the policy node.

    Raises:
        NameValidationException: the namespace is not valid.
    """

    def __init__(self, remote: RemoteNode, *, namespace: str = '', name: str = 'spec_vla') -> None:
        self.seen = Seen()
        self._lock = threading.Lock()
        prefix = namespace.rstrip('/')
        self._status_name = status_name(f'{prefix}/{name}')
        for kind, topic, callback, profile in (
            (PolicyStatus, 'status', self._on_status, qos.LATCHED),
            (DecodeStatistics, f'{name}/statistics', self._on_statistics, qos.COMMAND),
            (VlaAction, 'action', self._on_action, qos.COMMAND),
        ):
            remote.subscribe(kind, f'{prefix}/{topic}', callback, profile)
        for topic in {f'{prefix}/diagnostics', '/diagnostics'}:
            remote.subscribe(DiagnosticArray, topic, self._on_diagnostics, qos.COMMAND)

    def dashboard(self) -> Group:
        """Return the dashboard of what has been seen so far."""
        with self._lock:
            return dashboard(self.seen, now=time.monotonic())

    def _on_status(self, message: PolicyStatus) -> None:
        with self._lock:
            self.seen.status, self.seen.status_at = message, time.monotonic()

    def _on_statistics(self, message: DecodeStatistics) -> None:
        with self._lock:
            self.seen.statistics.append(message)

    def _on_action(self, message: VlaAction) -> None:
        with self._lock:
            self.seen.action = message

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name == self._status_name:
                with self._lock:
                    self.seen.diagnostics = {item.key: item.value for item in status.values}


def dashboard(seen: Seen, *, now: float) -> Group:
    """Return the dashboard of what has been seen of a node; now: monotonic seconds."""
    return Group(
        Panel(_state(seen, now=now), title='spec_vla', title_align='left'),
        Panel(_decoding(seen), title='decoding', title_align='left'),
        Panel(
            _two_columns(seen.diagnostics), title='last seconds, and counters', title_align='left'
        ),
    )


def sparkline(values: list[float], *, low: float, high: float) -> str:
    """Return values between low and high as bars, one character each."""
    span = max(high - low, 1e-9)
    steps = len(BARS) - 1
    return ''.join(BARS[round(steps * min(max((v - low) / span, 0.0), 1.0))] for v in values)


def watch(*, namespace: str, name: str, once: bool, timeout: float) -> int:
    """Show the dashboard until interrupted, or print it once; return the exit status.

    timeout: with `once`, how many seconds to wait for the node.
    Raises ValueError if the namespace is not valid, there is no terminal to draw in, or ROS cannot
    be started.
    """
    console = Console()
    if not once and (not console.is_terminal or console.is_dumb_terminal):
        raise ValueError(
            'there is no terminal to draw in: give --once, or, in a container, `docker exec -it`'
        )
    try:
        remote = RemoteNode(NODE)
    except NoRosError as error:
        raise ValueError(str(error)) from error
    with noting_signals() as stop, remote:
        try:
            watcher = Watcher(remote, namespace=namespace, name=name)
        except NameValidationException as error:
            raise ValueError(
                f'--namespace {namespace!r} or --node {name!r} is none: {error}'
            ) from error
        if once:
            deadline = time.monotonic() + timeout
            while not (watcher.seen.status and watcher.seen.diagnostics):
                if stop.came:
                    return INTERRUPTED
                if time.monotonic() > deadline:
                    console.print(_state(watcher.seen, now=time.monotonic()))
                    print(_missing(watcher.seen, remote.node, namespace), file=sys.stderr)
                    return 1
                time.sleep(0.05)
            console.print(watcher.dashboard())
            return 0
        with Live(console=console, refresh_per_second=8, screen=True) as live:
            while not stop.came:
                live.update(watcher.dashboard())
                time.sleep(0.1)
        return 0


def _missing(seen: Seen, node: Node, namespace: str) -> str:
    """Return in words which messages are missing on which topics, and where there are nodes."""
    own = '/'.join(['', *namespace.strip('/').split('/')]).rstrip('/')
    if seen.status is not None:
        there = ', '.join({each.node_name for each in publishers_on(node, f'{own}/status')})
        return (
            f'no diagnostics have come, on {own}/diagnostics or /diagnostics; the node there is '
            f'called {there}: give --node if it is another one'
        )
    kind = type_name(PolicyStatus)
    found = [
        name.removesuffix('/status') or '/'
        for name, kinds in node.get_topic_names_and_types()
        if kind in kinds and name.endswith('/status') and node.count_publishers(name)
    ]
    there = (
        f'there are nodes in {", ".join(found)}: give --namespace'
        if found
        else 'there is none in another namespace, either: is it started, with this ROS_DOMAIN_ID?'
    )
    return f'nobody publishes the status of a policy node on {own}/status; {there}'


def _state(seen: Seen, *, now: float) -> Table:
    grid = _grid()
    status = seen.status
    if status is None:
        grid.add_row('state', Text('no node has been heard yet', style='yellow'))
        return grid
    silent = now - seen.status_at
    name, style = STATES.get(status.state, ('unknown', 'yellow'))
    if silent > SILENCE:
        name, style = f'silent for {silent:.0f} s', 'yellow'
    grid.add_row('state', Text(name, style=f'bold {style}'))
    grid.add_row('instruction', status.instruction or '-')
    if status.reason_text:
        grid.add_row('reason', Text(status.reason_text, style='red'))
    for text in status.not_heard:
        grid.add_row('not heard', Text(text, style='red'))
    if seen.action is not None:
        delta = seen.action.delta_position
        moved = ' '.join(f'{1e3 * value:+6.1f}' for value in (delta.x, delta.y, delta.z))
        grid.add_row('last action', f'{moved} mm, gripper {seen.action.gripper_opening:.2f}')
    return grid


def _decoding(seen: Seen) -> Table:
    grid = _grid()
    if not seen.statistics:
        grid.add_row('mode', seen.diagnostics.get('decoding mode', '-'))
        return grid
    last = seen.statistics[-1]
    thresholds = ' '.join(map(str, last.acceptance_thresholds))
    grid.add_row('mode', last.mode + (', temporal draft' if last.temporal_draft else ''))
    grid.add_row('thresholds', f'{thresholds} bins')
    passes = [float(s.target_passes) for s in seen.statistics]
    millis = [s.inference_ms for s in seen.statistics]
    grid.add_row('target passes', f'{sparkline(passes, low=1, high=7)}  {passes[-1]:.0f}')
    grid.add_row('inference', f'{sparkline(millis, low=0, high=max(millis))}  {millis[-1]:.1f} ms')
    phases = zip(last.phase_names, last.phase_ms, strict=False)
    grid.add_row('phases', ', '.join(f'{name} {ms:.1f}' for name, ms in phases) + ' ms')
    return grid


def _two_columns(values: dict[str, str]) -> Table:
    both = Table.grid(padding=(0, 4))
    left, right = _grid(), _grid()
    for key in FIGURES:
        left.add_row(key, values.get(key, '-'))
    for key in COUNTERS:
        right.add_row(key, values.get(key, '-'))
    both.add_row(left, right)
    return both


def _grid() -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style='dim')
    grid.add_column()
    return grid
