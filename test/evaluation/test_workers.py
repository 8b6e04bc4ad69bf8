# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Jobs are done once each: one after the other here, or side by side on Ray."""

import builtins
from importlib.util import find_spec

import pytest

from spec_vla_ros.evaluation.workers import Parallelism, _gpus, run_jobs

ON_RAY = Parallelism(processes=2)


def make_worker_class(*, mark=None, die=lambda: None):
    """A class as Ray takes it along; it dies at job 2, once if there is `mark`, a file."""

    class Adder:
        def __init__(self, setup):
            self.setup = setup

        def run(self, job):
            from pathlib import Path

            if job == 2 and not (mark and Path(mark).exists()):
                if mark:
                    Path(mark).touch()
                die()
            if job < 0:
                raise ValueError(f'job {job} cannot be')
            return job + self.setup

        def close(self):
            self.setup = None

    return Adder


def test_alone_jobs_come_in_order_and_are_prepared_when_their_turn_comes():
    workers, prepared, seen = [], [], []
    adder = make_worker_class()

    def make(setup):
        workers.append(adder(setup))
        return workers[-1]

    def prepare(job):
        prepared.append((job, list(seen)))
        return 10 * job

    for result in run_jobs(make, 1, [1, 2, 3], parallelism=Parallelism(), prepare=prepare):
        seen += [result]
    assert seen == [11, 21, 31]
    assert prepared == [(1, []), (2, [11]), (3, [11, 21])]
    assert [worker.setup for worker in workers] == [None]  # closed


def test_a_worker_is_closed_when_its_job_fails():
    workers = []

    def make(setup):
        workers.append(make_worker_class()(setup))
        return workers[-1]

    with pytest.raises(ValueError, match='job -1'):
        list(run_jobs(make, 1, [5, -1, 6], parallelism=Parallelism()))
    assert workers[0].setup is None


def test_without_jobs_nobody_is_made():
    assert list(run_jobs(lambda setup: 1 / 0, 1, [], parallelism=ON_RAY)) == []


def test_a_missing_ray_is_said(monkeypatch):
    plain = builtins.__import__

    def without_ray(name, *args, **options):
        if name == 'ray':
            raise ModuleNotFoundError('no ray', name='ray')
        return plain(name, *args, **options)

    monkeypatch.setattr(builtins, '__import__', without_ray)
    with pytest.raises(ValueError, match=r'ray is not installed: pip install .*\[ray\]'):
        list(run_jobs(make_worker_class(), 1, [1], parallelism=ON_RAY))


def test_gpus_are_shared_as_asked_and_never_waited_for():
    parallelism = Parallelism(processes=2)
    assert _gpus({'CPU': 2.0}, parallelism) == 0.0
    assert _gpus({'CPU': 2.0, 'GPU': 2.0}, parallelism) == 1.0
    assert _gpus({'CPU': 8.0, 'GPU': 1.0}, Parallelism(processes=2, gpus=0.5)) == 0.5
    with pytest.raises(ValueError, match='2 processes take 2 GPUs, and Ray has 1'):
        _gpus({'CPU': 2.0, 'GPU': 1.0}, parallelism)
    with pytest.raises(ValueError, match='2 processes take 2 CPUs, and Ray has 1'):
        _gpus({'CPU': 1.0}, parallelism)


def death(*, for_good):
    """Return a function that ends its process; for good: as if its machine were gone."""

    def die():
        import os
        import time

        import ray

        if not for_good:
            os._exit(1)
        ray.kill(ray.get_runtime_context().current_actor, no_restart=True)
        time.sleep(60)

    return die


@pytest.fixture(scope='module')
def home(tmp_path_factory):
    """A folder of its own, in which Ray writes a token that a process reads once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('HOME', str(tmp_path_factory.mktemp('home')))
        yield


on_ray = pytest.mark.skipif(find_spec('ray') is None, reason='no Ray: make libero')


@pytest.mark.libero  # of the environment that has Ray
@on_ray
@pytest.mark.parametrize('for_good', [False, True])
def test_on_ray_a_job_whose_process_dies_is_done_by_another(home, tmp_path, for_good):
    worker = make_worker_class(mark=str(tmp_path / 'died'), die=death(for_good=for_good))
    assert sorted(run_jobs(worker, 100, range(5), parallelism=ON_RAY)) == [100, 101, 102, 103, 104]
    assert (tmp_path / 'died').exists()
    with pytest.raises(ValueError, match='job -1 cannot be'):
        list(run_jobs(make_worker_class(), 1, [-1], parallelism=ON_RAY))


@pytest.mark.libero
@on_ray
def test_a_job_of_which_every_process_dies_ends_it_with_the_others_done(home):
    done, worker = [], make_worker_class(die=death(for_good=True))
    with pytest.raises(ValueError, match='all processes on Ray were lost, with 1 jobs left'):
        done.extend(run_jobs(worker, 0, range(5), parallelism=ON_RAY))
    assert sorted(done) == [0, 1, 3, 4]
