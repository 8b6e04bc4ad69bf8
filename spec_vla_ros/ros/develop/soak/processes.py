# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The processes of a soak: starts, kills and restarts robot, relay and policy, and samples them.

They are called parts here, since a part may have several processes one after the other.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import defaultdict
from pathlib import Path

import psutil

from spec_vla_ros.ros.children import ChildFailedError, Children, node_command
from spec_vla_ros.ros.develop.soak.growth import MemorySample

ROBOT, RELAY, POLICY, WORKER = 'sim_robot', 'camera_relay', 'policy_node', 'inference'
SAMPLE_PERIOD = 2.0  # seconds


class SoakProcesses:
    """Starts the parts in a ROS domain, and samples their memory, threads and descriptors.

    Args:
        children: starts the processes, and stops them at the end.
        domain_id: the ROS domain.
        logs: folder for the output of the processes.
    """

    def __init__(self, children: Children, *, domain_id: int, logs: Path) -> None:
        self._children, self._domain_id, self._logs = children, domain_id, logs
        self._processes: dict[str, psutil.Process] = {}
        self._starts: dict[str, int] = defaultdict(int)
        self._killed: set[str] = set()
        self._began = time.monotonic()
        self._ended = threading.Event()
        self.samples: dict[str, list[MemorySample]] = defaultdict(list)
        self._sampler = threading.Thread(target=self._sample, name='sampler', daemon=True)

    def start_all(self) -> None:
        """Start all parts and the sampling."""
        for part in (ROBOT, RELAY, POLICY):
            self.start(part)
        self._sampler.start()

    def start(self, part: str) -> None:
        """Start a part, which may have been killed before."""
        ros = 'spec_vla_ros.ros'
        commands = {
            ROBOT: node_command(f'{ros}.robots.sim_node', file='sim_robot'),
            RELAY: node_command(f'{ros}.develop.soak.relay'),
            POLICY: node_command(
                f'{ros}.policy_node', file='spec_vla', remaps=['image:=image_relayed']
            ),
        }
        self._starts[part] += 1
        pid = self._children.start(
            part,
            commands[part],
            log=self._logs / f'{part}_{self._starts[part]}.log',
            env={'ROS_DOMAIN_ID': str(self._domain_id)},
        )
        self._processes[part] = psutil.Process(pid)
        self._killed.discard(part)

    def kill(self, part: str) -> None:
        """Kill a part by SIGKILL, and remove its shared memory."""
        process = self._processes[part]
        self._killed.add(part)
        locks = []
        for path in Path(f'/proc/{process.pid}/fd').iterdir():
            with contextlib.suppress(FileNotFoundError):  # closed in the meantime
                locks.append(path.readlink())
        process.kill()
        with contextlib.suppress(psutil.TimeoutExpired):
            process.wait(5.0)
        for lock in locks:  # the owner of a segment of Fast DDS holds the lock file beside it
            if lock.match('/dev/shm/fast*_*_el') and 'port' not in lock.name:
                lock.with_name(lock.name.removesuffix('_el')).unlink(missing_ok=True)
                lock.unlink(missing_ok=True)

    def kill_worker(self) -> None:
        """Kill the process that infers by SIGKILL."""
        worker = self._worker()
        if worker is not None:
            worker.kill()

    def check(self) -> None:
        """Raise ChildFailedError if a part has ended that was not killed."""
        for part, process in self._processes.items():
            alive = process.is_running() and process.status() != psutil.STATUS_ZOMBIE
            if part not in self._killed and not alive:
                log = self._logs / f'{part}_{self._starts[part]}.log'
                raise ChildFailedError(f'{part} has ended by itself, see {log}')

    def close(self) -> None:
        """End the sampling."""
        self._ended.set()
        if self._sampler.is_alive():
            self._sampler.join()

    def _worker(self) -> psutil.Process | None:
        """Return the process that infers: the largest child of the policy node, or None."""
        with contextlib.suppress(psutil.Error):
            children = self._processes[POLICY].children(recursive=True)
            return max(children, key=lambda p: p.memory_info().rss, default=None)
        return None

    def _sample(self) -> None:
        while not self._ended.wait(SAMPLE_PERIOD):
            parts = {**self._processes, WORKER: self._worker()}
            for part, process in parts.items():
                if process is None:
                    continue
                with contextlib.suppress(psutil.Error, OSError):  # it is being killed
                    sample = MemorySample(
                        seconds=time.monotonic() - self._began,
                        pid=process.pid,
                        memory=_anonymous(process.pid),
                        resident=process.memory_info().rss,
                        threads=process.num_threads(),
                        descriptors=process.num_fds(),
                    )
                    if sample.memory:  # a zombie has none
                        self.samples[part].append(sample)


def _anonymous(pid: int) -> int:
    """Return the resident bytes of a process that belong to no file.

    Pages of files, such as libraries, are shared, so they depend on which other processes run.
    """
    for line in Path(f'/proc/{pid}/status').read_text().splitlines():
        if line.startswith('RssAnon:'):
            return 1024 * int(line.split()[1])
    return 0
