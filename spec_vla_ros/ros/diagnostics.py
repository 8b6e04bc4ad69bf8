# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The policy node's diagnostics: whether it is well, why not, and figures."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

from spec_vla_ros.control.performance import WINDOW, Percentiles, Summary
from spec_vla_ros.control.tick import Counters, Halt, Reason
from spec_vla_ros.ros.converters import to_time
from spec_vla_ros.settings.nodes import PolicySettings
from spec_vla_ros.types import AUTOREGRESSIVE, PolicyInfo

OK, WARN, ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR

_ON_TIME = 0.9  # part of the control rate, below which commands are too slow

LEVELS = {
    Reason.NONE: OK,
    Reason.NO_INSTRUCTION: OK,
    Reason.BAD_INSTRUCTION: WARN,
    Reason.NO_IMAGE: WARN,
}
"""How serious a reason to halt is; those that are not listed are errors."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """What diagnostics are made from.

    halt: why the node halts, or that it does not; None while it is inactive.
    settings: those in force.
    images_missed: how many images were published but not seen by the node.
    not_heard: in words, which publishers and subscribers cannot be heard or cannot hear.
    held_back: why the node may not be activated; empty if it may.
    drafting_off: whether the last action's plan drafted nothing.
    draft_plan: that plan, as in the statistics.
    """

    halt: Halt | None
    settings: PolicySettings
    info: PolicyInfo
    counters: Counters
    summary: Summary
    images_missed: int
    not_heard: tuple[str, ...] = ()
    held_back: str = ''
    drafting_off: bool = False
    draft_plan: str = ''


def diagnostics_message(health: Health, *, node_name: str, now_ns: int) -> DiagnosticArray:
    """Return the node's health as one status with named values.

    node_name: the node's name with its namespace, by which the nodes of several arms differ.
    """
    status = _status(*verdict(health), node_name=node_name)
    status.hardware_id = health.info.device
    status.values = [KeyValue(key=key, value=value) for key, value in figures(health).items()]
    return _stamped(status, now_ns=now_ns)


def unconfigured_message(
    text: str, *, failed: bool, node_name: str, now_ns: int
) -> DiagnosticArray:
    """Return the diagnostics of an unconfigured node; failed: whether that is an error."""
    return _stamped(_status(ERROR if failed else OK, text, node_name=node_name), now_ns=now_ns)


def status_name(node_name: str) -> str:
    """Return the name of a node's status in diagnostics; node_name: with its namespace."""
    return f'{node_name.lstrip("/")}: policy'


def _status(level: bytes, text: str, *, node_name: str) -> DiagnosticStatus:
    return DiagnosticStatus(level=level, name=status_name(node_name), message=text)


def _stamped(status: DiagnosticStatus, *, now_ns: int) -> DiagnosticArray:
    message = DiagnosticArray(status=[status])
    message.header.stamp = to_time(now_ns)
    return message


def verdict(health: Health) -> tuple[bytes, str]:
    """Return the level, and the reason in words."""
    level, text = _verdict_of_the_halt(health)
    if not health.not_heard:
        return level, text
    return ERROR, '; '.join([text, *(who for who in health.not_heard if who not in text)])


def _verdict_of_the_halt(health: Health) -> tuple[bytes, str]:
    halt = health.halt
    if halt is None:
        return (ERROR, f'inactive: {health.held_back}') if health.held_back else (OK, 'inactive')
    if halt.reason is not Reason.NONE:
        waiting = halt.reason is Reason.NO_INSTRUCTION
        return LEVELS.get(halt.reason, ERROR), f'{"waiting" if waiting else "halted"}: {halt.text}'
    if late := too_slow(health):
        return WARN, f'running; {late}'
    limited = limits_hit(health.summary.recent)
    if limited:
        return WARN, f'running; in the last {WINDOW:g} s limited: {", ".join(limited)}'
    return OK, 'running, dry' if health.settings.dry_run else 'running'


def too_slow(health: Health) -> str:
    """Return in words that commands are published too rarely; empty if they are not.

    A motion is a fixed number of commands, so it then lasts longer, and the arm moves further.
    """
    hz, wanted = health.summary.beat_hz, health.settings.control_rate
    if hz is None or hz >= _ON_TIME * wanted:
        return ''
    return (
        f'commands come at {hz:.0f} Hz in place of control_rate={wanted:g}, so that a motion '
        f'lasts {100 * (wanted / hz - 1):.0f} % longer, and by velocities goes further, than it '
        "should: lower control_rate, or this computer's load"
    )


def limits_hit(recent: Counters) -> list[str]:
    """Return which limits took effect, with the number of control ticks."""
    found = {
        field.name.removesuffix('_clamps'): getattr(recent, field.name)
        for field in dataclasses.fields(Counters)
        if field.name.endswith('_clamps')
    }
    return [f'{name} ({ticks} ticks)' for name, ticks in found.items() if ticks]


def figures(health: Health) -> dict[str, str]:
    """Return the named values; times in milliseconds, rates in Hz, counters since configure."""
    summary, info, settings = health.summary, health.info, health.settings
    memory = (info.device_memory_mb, info.device_memory_peak_mb)
    return {
        'window [s]': f'{WINDOW:g}',
        **_percentiles('latency', summary.latency_ms),
        **_percentiles('inference', summary.inference_ms),
        'images [Hz]': f'{summary.images_hz:.1f}',
        'actions [Hz]': f'{summary.actions_hz:.1f}',
        'commands [Hz]': f'{summary.commands_hz:.1f}',
        'accept length': _number(summary.accept_length),
        'target passes per action': _number(summary.target_passes),
        'draft passes per action': _number(summary.draft_passes),
        'decoding mode': settings.decoding_mode,
        **settings.acceptance,
        'drafting': _drafting(health),
        'temporal draft': str(settings.temporal_draft),
        'dry run': str(settings.dry_run),
        'checkpoint': info.checkpoint,
        'unnorm key': info.unnorm_key,
        'recipe': info.recipe,
        'parameters': str(info.parameters),
        'drafter': 'loaded' if info.has_drafter else 'none',
        'device': info.device,
        'precision': info.dtype,
        'device memory [MB]': _number(memory[0]),
        'device memory, peak [MB]': _number(memory[1]),
        'images missed': str(health.images_missed),
        **{
            field.name.replace('_', ' '): str(getattr(health.counters, field.name))
            for field in dataclasses.fields(Counters)
        },
        'limits hit in the window': ', '.join(limits_hit(summary.recent)) or 'none',
    }


def _drafting(health: Health) -> str:
    if not health.info.has_drafter or health.settings.decoding_mode == AUTOREGRESSIVE:
        return 'none'
    if health.drafting_off:
        return 'switched off by measured costs; draft_top_k would fix a tree'
    return f'on: {health.draft_plan}' if health.draft_plan else 'on'


def _percentiles(name: str, found: Percentiles | None) -> dict[str, str]:
    return {
        f'{name} {p} [ms]': '-' if found is None else f'{getattr(found, p):.1f}'
        for p in ('p50', 'p95', 'p99')
    }


def _number(value: float | None) -> str:
    return '-' if value is None else f'{value:.2f}'
