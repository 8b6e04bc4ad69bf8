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


def wait_for_line(capfd, words):
    """Return the first line with these words that a node writes into its log.

    By what is written: rclpy publishes one log of all nodes of one name in a process.
    """
    written = []

    def line():
        written.append(capfd.readouterr().err)
        return next((x for x in ''.join(written).splitlines() if words in x), None)

    return wait_for(line, f'a line with {words!r}')
