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
