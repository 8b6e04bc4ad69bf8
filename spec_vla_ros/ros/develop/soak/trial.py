# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""One fault injected into the running loop, and what came of it."""

from __future__ import annotations

import time
from dataclasses import dataclass

from spec_vla_ros.ros.develop.soak.faults import MARGIN, Fault, Hands

RECOVERY = 90.0
"""Seconds in which the loop must run again after a fault; a process may have to be loaded."""

ARM_MOVED = 0.002
"""Metres that the arm may move after it was to stand still: what it swings."""


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of a fault.

    at: seconds since the run began. halted_after: seconds from the fault to the last velocity
    that was not zero (0: none came), or None where the arm itself was watched. recovered_after:
    seconds until it moved again, None if it did not. faults: what was wrong; empty if nothing.
    """

    name: str
    at: float
    limit: float | None
    halted_after: float | None
    recovered_after: float | None
    faults: tuple[str, ...]


def try_fault(fault: Fault, hands: Hands, *, began: float) -> Trial:
    """Inject a fault, watch, set it right, and wait until the arm moves again."""
    start = time.monotonic()
    fault.begin(hands)
    done = time.monotonic()
    since = done if fault.takes_time else start
    until = done + fault.duration
    hands.watch.until(lambda: time.monotonic() >= until, timeout=fault.duration)
    wrong: list[str] = []
    halted_after = None
    if fault.limit is not None and fault.at_arm:
        moved = hands.watch.moved_between(since + fault.limit + MARGIN, until)
        if moved > ARM_MOVED:
            wrong.append(f'the arm moved by {1e3 * moved:.1f} mm after its command timeout')
    elif fault.limit is not None:
        last = hands.watch.last_motion(since)
        halted_after = 0.0 if last is None else last - since
        if halted_after > fault.limit + MARGIN:
            wrong.append(f'motion was commanded {halted_after:.2f} s after the fault')
    reasons = hands.watch.reasons_between(start, until)
    if fault.reason is not None and fault.reason not in reasons:
        wrong.append(f'reason {fault.reason} was not reported, but {sorted(reasons)}')
    if fault.limit is None and reasons:
        wrong.append(f'it halted for {sorted(reasons)}')
    righted = time.monotonic()
    fault.end(hands)
    recovered = hands.watch.until(lambda: hands.watch.moves_since(righted), timeout=RECOVERY)
    if recovered is None:
        wrong.append(f'it did not move again within {RECOVERY:g} s')
    return Trial(fault.name, start - began, fault.limit, halted_after, recovered, tuple(wrong))
