# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Memory that is freed is kept for the next image, unless the environment says otherwise."""

import os
import subprocess
import sys

import pytest

FAULTS = """
import resource, sys
from spec_vla_ros.inference.allocation import keep_freed_memory

if sys.argv[1] == 'keep':
    print(keep_freed_memory())
def image():
    return [bytearray(b'x') * 900_000 for _ in range(5)]
for _ in range(3):
    image()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    image()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def run(*arguments, **environment):
    clean = {k: v for k, v in os.environ.items() if not k.startswith(('MALLOC_', 'GLIBC_'))}
    command = [sys.executable, '-c', FAULTS, *arguments]
    env = {**clean, **environment}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_images_reuse_the_memory_of_those_before():
    kept, faults = run('keep')
    assert kept == 'True'
    (given_back,) = run('leave')
    assert int(given_back) > 1000
    assert int(faults) < int(given_back) / 5


@pytest.mark.parametrize(
    'setting',
    [{'MALLOC_MMAP_THRESHOLD_': '65536'}, {'GLIBC_TUNABLES': 'glibc.malloc.trim_threshold=65536'}],
    ids=str,
)
def test_the_environment_comes_first(setting):
    assert run('keep', **setting)[0] == 'False'
