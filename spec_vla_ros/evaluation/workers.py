# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Runs jobs one after the other in this process, or in parallel on Ray.

Ray distributes jobs over processes on one or several machines, restarts processes that died, and
assigns GPUs.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

Job = TypeVar('Job')
Result = TypeVar('Result')
Job_contra = TypeVar('Job_contra', contravariant=True)
Result_co = TypeVar('Result_co', covariant=True)
Setup = TypeVar('Setup')

_LOG = logging.getLogger(__name__)
_RESTARTS = 3  # of a worker that dies, and repetitions of the job that it died of
_OBJECT_STORE_BYTES = 200_000_000


class Worker(Protocol[Job_contra, Result_co]):
    """Does one job at a time."""

    def run(self, job: Job_contra) -> Result_co:
        """Do a job."""

    def close(self) -> None:
        """Free what is kept between jobs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parallelism:
    """How many processes run the jobs, and where.

    processes: 1 without a cluster means the calling process.
    cluster: address of a Ray cluster, 'auto' for the one that runs on this machine; None to start
        one here for as long as it is needed.
    gpus: share of a GPU for each process on Ray; None for a whole one if the cluster has any.
    """

    processes: int = 1
    cluster: str | None = None
    gpus: float | None = None

    @property
    def on_ray(self) -> bool:
        """Whether Ray is needed."""
        return self.processes > 1 or self.cluster is not None


def run_jobs(
    worker: Callable[[Setup], Worker[Job, Result]],
    setup: Setup,
    jobs: Sequence[Job],
    *,
    parallelism: Parallelism,
    prepare: Callable[[Job], Job] = lambda job: job,
) -> Iterator[Result]:
    """Yield the jobs' results as they come; on Ray in any order.

    Args:
        worker: makes a worker from the setup; on Ray it must be a class, which is imported there.
        setup: the argument of every worker.
        jobs: handed out in this order, each to the next free worker.
        parallelism: how many processes run the jobs, and where.
        prepare: changes a job just before it is handed out.

    Raises:
        ValueError: Ray is needed and is not installed, does not answer, has too few CPUs or
            GPUs, or lost all processes.
    """
    if not jobs:
        return
    if parallelism.on_ray:
        yield from _on_ray(worker, setup, jobs, parallelism, prepare)
        return
    alone = worker(setup)
    try:
        for job in jobs:
            yield alone.run(prepare(job))
    finally:
        alone.close()


def _on_ray(
    worker: Any,
    setup: Any,
    jobs: Sequence[Any],
    parallelism: Parallelism,
    prepare: Callable[[Any], Any],
) -> Iterator[Any]:
    ray = _start_ray(parallelism)
    from ray.exceptions import RayActorError

    try:
        kind = ray.remote(worker).options(
            num_cpus=1,
            num_gpus=_gpus(ray.cluster_resources(), parallelism),
            max_restarts=_RESTARTS,
            max_task_retries=_RESTARTS,
        )
        idle = [kind.remote(setup) for _ in range(min(parallelism.processes, len(jobs)))]
        left, running, reason = list(jobs)[::-1], dict[Any, tuple[Any, Any]](), ''
        while left or running:
            while left and idle:
                actor, job = idle.pop(), left.pop()
                running[actor.run.remote(prepare(job))] = actor, job
            if not running:
                raise ValueError(
                    f'all processes on Ray were lost, with {len(left)} jobs left ({reason}): look '
                    'whether its machines are there and have memory, code and checkpoint; then '
                    'start again'
                )
            (done,), _ = ray.wait(list(running))
            actor, job = running.pop(done)
            try:
                result = ray.get(done)
            except RayActorError as lost:
                # Ray has started it again in vain, as where its machine is gone. What a worker
                # raised while it was made is in the last line.
                reason = str(lost).strip().splitlines()[-1]
                _LOG.warning('a process on Ray is lost, others go on without it: %s', reason)
                left.append(job)
                continue
            idle.append(actor)
            yield result
    finally:
        ray.shutdown()


def _start_ray(parallelism: Parallelism) -> Any:
    os.environ.setdefault('RAY_USAGE_STATS_ENABLED', '0')  # it would report to its makers
    try:
        import ray
    except ModuleNotFoundError as missing:
        raise ValueError(
            f'several processes run on Ray, and {missing.name} is not installed: '
            "pip install '.[ray]', or leave --processes at 1"
        ) from missing
    options: dict[str, Any] = {'address': parallelism.cluster}
    if parallelism.cluster is None:
        options = {
            'address': 'local',
            'num_cpus': parallelism.processes,
            'include_dashboard': False,
            'object_store_memory': _OBJECT_STORE_BYTES,
        }
    try:
        ray.init(logging_level=logging.WARNING, **options)
    except ConnectionError as error:
        raise ValueError(f'no Ray cluster answers at {parallelism.cluster!r}: {error}') from error
    return ray


def _gpus(there: dict[str, float], parallelism: Parallelism) -> float:
    """Return the share of a GPU for each process.

    there: the resources of the Ray cluster, by name.

    Raises:
        ValueError: they do not suffice, and Ray would wait for ever.
    """
    gpus = parallelism.gpus
    if gpus is None:
        gpus = 1.0 if there.get('GPU') else 0.0
    for name, each in (('CPU', 1.0), ('GPU', gpus)):
        needed, found = parallelism.processes * each, there.get(name, 0.0)
        if needed > found:
            raise ValueError(
                f'{parallelism.processes} processes take {needed:g} {name}s, and Ray has '
                f'{found:g}: give fewer --processes, or less of a GPU to each'
            )
    return gpus
