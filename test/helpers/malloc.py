# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""How a process is to be started whose peak of memory is measured."""

# Memory of more than 32 MiB goes back to the system once it is freed. The matrices of a large
# model are of that size; those of the tests' models are to be treated like them.
RETURNED_WHEN_FREED = {'MALLOC_MMAP_THRESHOLD_': '65536'}
