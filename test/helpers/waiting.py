# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Waiting for what happens in other threads and processes, on machines that may be busy."""

import time

PATIENCE = 300.0
"""Seconds after which something hangs; nothing is asserted about how fast it is.

On a busy machine a process takes a minute until it has imported torch and rclpy. The time limit
of a whole test, in pyproject.toml, is longer.
"""


def wait_for(condition, what='the condition'):
    """Return the condition's first true value."""
    deadline = time.monotonic() + PATIENCE
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f'waited {PATIENCE:g} s in vain for {what}'
        time.sleep(0.005)


def wait_for_line(stderr, words, *, behind=''):
    """Return the first whole line with these words that a node writes into its log.

    stderr: the fixture: rclpy publishes one log of all nodes of one name in a process.
    behind: words that must have come before.
    """

    def line():
        written = stderr().rpartition('\n')[0]
        since = written.partition(behind)[2] if behind else written
        return next((x for x in since.splitlines() if words in x), None)

    return wait_for(line, f'a line with {words!r}')
