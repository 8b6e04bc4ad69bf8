# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Jobs done one after the other in this process, or side by side on Ray.

Ray gives jobs to processes, on one machine or several, starts anew what died, and hands out GPUs.
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

_RESTARTS = 3  # of a worker that dies, and tries at the job that it was at
_OBJECT_STORE_BYTES = 200_000_000


class Worker(Protocol[Job_contra, Result_co]):
    """Does one job at a time."""

    def run(self, job: Job_contra) -> Result_co:
        """Do a job."""

    def close(self) -> None:
        """Free what the next job would have needed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Crew:
    """How many work, and where.

    processes: 1 is this one, where no cluster is named.
    cluster: address of a Ray cluster, 'auto' for the one that runs on this machine; None: one is
        started here for as long as it is needed.
    gpus: share of a GPU that each process gets on Ray; None: a whole one where there are any.
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
    crew: Crew,
    prepare: Callable[[Job], Job] = lambda job: job,
) -> Iterator[Result]:
    """Yield results as they come; on Ray in any order.

    Args:
        worker: makes one of the setup; on Ray a class, which is imported there.
        setup: what every worker is told.
        jobs: in the order in which they are handed out, each to whoever is free.
        crew: how many work, and where.
        prepare: changes a job just before it is handed out.

    Raises:
        ValueError: Ray is needed and is not installed, does not answer, or has too little.
    """
    if not jobs:
        return
    if crew.on_ray:
        yield from _on_ray(worker, setup, jobs, crew, prepare)
        return
    alone = worker(setup)
    try:
        for job in jobs:
            yield alone.run(prepare(job))
    finally:
        alone.close()


def _on_ray(
    worker: Any, setup: Any, jobs: Sequence[Any], crew: Crew, prepare: Callable[[Any], Any]
) -> Iterator[Any]:
    ray = _start_ray(crew)
    from ray.util import ActorPool

    try:
        kind = ray.remote(worker).options(
            num_cpus=1,
            num_gpus=_gpus(ray.cluster_resources(), crew),
            max_restarts=_RESTARTS,
            max_task_retries=_RESTARTS,
        )
        pool = ActorPool([kind.remote(setup) for _ in range(min(crew.processes, len(jobs)))])
        yield from pool.map_unordered(lambda a, job: a.run.remote(prepare(job)), jobs)
    finally:
        ray.shutdown()


def _start_ray(crew: Crew) -> Any:
    os.environ.setdefault('RAY_USAGE_STATS_ENABLED', '0')  # it would report to its makers
    try:
        import ray
    except ModuleNotFoundError as missing:
        raise ValueError(
            f'several processes run on Ray, and {missing.name} is not installed: '
            "pip install '.[ray]', or leave --processes at 1"
        ) from missing
    options: dict[str, Any] = {'address': crew.cluster}
    if crew.cluster is None:
        options = {
            'address': 'local',
            'num_cpus': crew.processes,
            'include_dashboard': False,
            'object_store_memory': _OBJECT_STORE_BYTES,
        }
    try:
        ray.init(logging_level=logging.WARNING, **options)
    except ConnectionError as error:
        raise ValueError(f'no Ray cluster answers at {crew.cluster!r}: {error}') from error
    return ray


def _gpus(there: dict[str, float], crew: Crew) -> float:
    """Return the share of a GPU for each process.

    Raises ValueError if there is not enough: Ray would wait for ever.
    """
    gpus = crew.gpus
    if gpus is None:
        gpus = 1.0 if there.get('GPU') else 0.0
    for name, each in (('CPU', 1.0), ('GPU', gpus)):
        needed, found = crew.processes * each, there.get(name, 0.0)
        if needed > found:
            raise ValueError(
                f'{crew.processes} processes take {needed:g} {name}s, and Ray has {found:g}: give '
                'fewer --processes, or less of a GPU to each'
            )
    return gpus
