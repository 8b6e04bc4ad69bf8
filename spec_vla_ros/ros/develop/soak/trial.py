# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Injects one fault into the running loop, and checks the reaction."""

from __future__ import annotations

import time
from dataclasses import dataclass

from spec_vla_ros.ros.develop.soak.faults import MARGIN, Fault, FaultTools

RECOVERY = 90.0
"""Seconds in which the arm must move again after a fault; a policy may have to be loaded."""

ARM_MOVED = 0.002
"""Metres that the arm may swing after it had to stop."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One injected fault and the reaction.

    name: of the fault.
    at: when it was injected, seconds since the run began.
    limit: see `Fault.limit`.
    halted_after: seconds from the fault to the last non-zero velocity command, 0 if none came;
        None if this is not required, or if the arm itself was observed.
    recovered_after: seconds from the repair until motion was commanded again; None if it was not.
    violations: what was not as required, in words.
    """

    name: str
    at: float
    limit: float | None
    halted_after: float | None
    recovered_after: float | None
    violations: tuple[str, ...]


def try_fault(fault: Fault, tools: FaultTools, *, began: float) -> Trial:
    """Inject a fault, check the reaction, repair the fault, and wait until the arm moves again.

    began: when the run began, by `time.monotonic`.
    """
    start = time.monotonic()
    fault.begin(tools)
    done = time.monotonic()
    since = done if fault.takes_time else start
    until = done + fault.duration
    tools.watch.until(lambda: time.monotonic() >= until, timeout=fault.duration)
    wrong: list[str] = []
    halted_after = None
    if fault.limit is not None and fault.at_arm:
        moved = tools.watch.moved_between(since + fault.limit + MARGIN, until)
        if moved > ARM_MOVED:
            wrong.append(f'the arm moved by {1e3 * moved:.1f} mm after its command timeout')
    elif fault.limit is not None:
        last = tools.watch.last_motion(since)
        halted_after = 0.0 if last is None else last - since
        if halted_after > fault.limit + MARGIN:
            wrong.append(f'motion was commanded {halted_after:.2f} s after the fault')
    reasons = tools.watch.reasons_between(start, until)
    if fault.reason is not None and fault.reason not in reasons:
        wrong.append(f'reason {fault.reason} was not reported, but {sorted(reasons)}')
    if fault.limit is None and reasons:
        wrong.append(f'it halted for {sorted(reasons)}')
    righted = time.monotonic()
    fault.end(tools)
    recovered = tools.watch.until(lambda: tools.watch.moves_since(righted), timeout=RECOVERY)
    if recovered is None:
        wrong.append(f'it did not move again within {RECOVERY:g} s')
    return Trial(fault.name, start - began, fault.limit, halted_after, recovered, tuple(wrong))
