# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Free ROS domains, so that two demos or test runs on one machine do not hear each other.

`keep_to_this_machine` also hides nodes from other machines, for programs with a simulated robot.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import random
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

DOMAINS = range(10, 100)
"""People use low numbers; above 101, the ports are in Linux's ephemeral range."""


@contextlib.contextmanager
def free_domain(*, directory: Path | None = None) -> Iterator[int]:
    """Yield a ROS domain id, and reserve it until the context ends.

    It is reserved by a lock on a file, which the kernel releases when the process ends, however
    that happens. A domain in which somebody without a lock already listens is skipped.

    directory: the folder of the lock files; by default one for all users of the machine.
    Raises RuntimeError if all domains are taken.
    """
    directory = directory or Path(tempfile.gettempdir()) / 'spec_vla_ros_domains'
    if not directory.exists():
        directory.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(PermissionError):  # somebody else was first
            directory.chmod(0o1777)
    for domain in random.sample(DOMAINS, len(DOMAINS)):
        lock = _try_lock(directory / f'domain_{domain}.lock')
        if lock is None:
            continue
        try:
            if not _somebody_listens(domain):
                yield domain
                return
        finally:
            os.close(lock)
    raise RuntimeError(f'all {len(DOMAINS)} ROS domains are taken, see the locks in {directory}')


def keep_to_this_machine() -> None:
    """Keep nodes of this process and of its future children from discovering other machines."""
    os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
    for elsewhere in ('ROS_STATIC_PEERS', 'ROS_DISCOVERY_SERVER', 'ROS_SUPER_CLIENT'):
        os.environ.pop(elsewhere, None)


def _try_lock(path: Path) -> int | None:
    """Return the descriptor that holds the lock; None if another process has it."""
    try:
        # Opened for reading, and created only if it is missing, since otherwise a file that
        # another user created could not be locked (see fs.protected_regular).
        try:
            descriptor = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            descriptor = os.open(path, os.O_RDONLY | os.O_CREAT, 0o644)
    except PermissionError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def _somebody_listens(domain: int) -> bool:
    """Whether a DDS participant holds the domain's first discovery port (RTPS 2.2, 9.6.1.1)."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(('', 7400 + 250 * domain + 10))
        except OSError:
            return True
    return False
